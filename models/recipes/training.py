"""Fine-tune one network on labelled images, alone or towards a teacher, and keep the epoch that is worst-case best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.preprocessing import InputSpec, normalise
from models.recipes.augmentation import HARD_VERSIONS, augment
from models.recipes.labelled_images import LabelledImages
from models.recipes.network import MapClassifier, probabilities

console = Console(stderr=True)


@dataclass(frozen=True)
class Schedule:
    """How long and how boldly to train."""

    epochs: int
    frozen_blocks: int
    learning_rate: float = 4e-4
    batch: int = 32
    images_per_class: int = 1000
    smoothing: float = 0.02
    teacher_share: float = 0.6
    seed: int = 20261


def as_batch(pixels: NDArray[np.uint8], spec: InputSpec) -> Tensor:
    """``(n, s, s)`` 8-bit squares → ``(n, 1, s, s)`` float32 as the box would make them."""
    return torch.from_numpy(np.stack([normalise(p.astype(np.float32), spec)[None] for p in pixels]))


def predict(network: nn.Module, pixels: NDArray[np.uint8], spec: InputSpec, batch: int = 64) -> NDArray[np.float64]:
    """Sigmoid scores ``(n,)`` for ``(n, s, s)`` squares."""
    module = network.module if isinstance(network, AveragedModel) else network
    starts = range(0, len(pixels), batch)
    scores = [probabilities(module, as_batch(pixels[i : i + batch], spec)) for i in starts]  # type: ignore[arg-type]
    return torch.cat(scores)[:, 0].numpy().astype(np.float64)


def hard_aucs(network: nn.Module, part: LabelledImages, spec: InputSpec) -> dict[str, float]:
    """AUC on each hard version of a split."""
    rng = np.random.default_rng(0)
    aucs = {}
    for name, change in HARD_VERSIONS.items():
        changed = np.stack([change(image, rng) for image in part.pixels])
        aucs[name] = float(roc_auc_score(part.labels, predict(network, changed, spec)))
    return aucs


def _balanced_order(labels: NDArray[np.float32], per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    picks = []
    for value in (0.0, 1.0):
        members = np.flatnonzero(labels == value)
        picks.append(rng.choice(members, size=per_class, replace=len(members) < per_class))
    return rng.permutation(np.concatenate(picks))


def _batches(
    part: LabelledImages, spec: InputSpec, plan: Schedule, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    order = _balanced_order(part.labels, plan.images_per_class, rng)
    for start in range(0, len(order) - plan.batch + 1, plan.batch):
        chosen = order[start : start + plan.batch]
        pixels = np.stack([augment(part.pixels[i], rng) for i in chosen])
        yield as_batch(pixels, spec), torch.from_numpy(part.labels[chosen])[:, None]


def _targets(labels: Tensor, images: Tensor, teacher: MapClassifier | None, plan: Schedule) -> Tensor:
    smooth = labels * (1 - 2 * plan.smoothing) + plan.smoothing
    if teacher is None:
        return smooth
    return plan.teacher_share * probabilities(teacher, images).clone() + (1 - plan.teacher_share) * smooth


def train(
    network: MapClassifier,
    parts: tuple[LabelledImages, LabelledImages],
    spec: InputSpec,
    plan: Schedule,
    teacher: MapClassifier | None = None,
) -> tuple[MapClassifier, dict[str, float]]:
    """Train on ``parts[0]``, choose the epoch by the worst hard AUC on ``parts[1]``.

    Every third image of ``parts[1]`` is looked at after each epoch; the chosen one is measured on all of them.
    Returns the chosen averaged network in evaluation mode and its AUC on every hard version.
    """
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    network.freeze_until(plan.frozen_blocks)
    body = [p for p in network.backbone.parameters() if p.requires_grad]
    groups = [
        {"params": body, "lr": plan.learning_rate},
        {"params": list(network.head.parameters()), "lr": plan.learning_rate * 5},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
    steps = plan.epochs * (2 * plan.images_per_class // plan.batch)
    rates = [plan.learning_rate, plan.learning_rate * 5]
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rates, total_steps=steps, pct_start=0.15)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.98), use_buffers=True)
    loss_of = nn.BCEWithLogitsLoss()
    best_worst, best_state = -1.0, {}
    with Progress(console=console) as progress:
        bar = progress.add_task("training", total=steps)
        for epoch in range(plan.epochs):
            network.train()
            for images, labels in _batches(parts[0], spec, plan, rng):
                targets = _targets(labels, images, teacher, plan)
                logits, _ = network(images)
                loss = loss_of(logits, targets)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                scheduler.step()
                averaged.update_parameters(network)
                progress.update(bar, advance=1, description=f"epoch {epoch + 1} loss {loss.item():.3f}")
            aucs = hard_aucs(averaged, parts[1].every(3), spec)
            worst = min(aucs.values())
            console.print(f"epoch {epoch + 1}: worst {worst:.4f}", {k: round(v, 4) for k, v in aucs.items()})
            if worst > best_worst:
                best_worst = worst
                best_state = {k: v.clone() for k, v in averaged.module.state_dict().items()}
    network.load_state_dict(best_state)
    return network.eval(), hard_aucs(network, parts[1], spec)
