"""Fine-tune one network on labelled images, alone or towards teachers, and keep the epoch that is worst-case best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.preprocessing import normalise
from models.recipes.augmentation import HARD_VERSIONS, augment, exchange_fine_structure
from models.recipes.labelled_images import LabelledImages
from models.recipes.network import MapClassifier, logits_of
from models.recipes.scoring import macro_auc
from models.recipes.task import Schedule, Task

console = Console(stderr=True)
_EXCHANGED = 0.5
_WATCHED = 250


def as_batch(pixels: NDArray[np.uint8], task: Task) -> Tensor:
    """``(n, s, s)`` 8-bit squares → ``(n, 1, s, s)`` float32 as the box would make them."""
    batch = torch.from_numpy(np.stack([normalise(p.astype(np.float32), task.spec)[None] for p in pixels]))
    return batch.contiguous(memory_format=torch.channels_last)


def activated(logits: Tensor, task: Task) -> Tensor:
    """Logits as the probabilities of the task's outputs."""
    return torch.sigmoid(logits) if task.activation == "sigmoid" else torch.softmax(logits, dim=1)


def predict(network: MapClassifier, pixels: NDArray[np.uint8], task: Task, batch: int = 64) -> NDArray[np.float64]:
    """Probabilities ``(n, k)`` for ``(n, s, s)`` squares."""
    starts = range(0, len(pixels), batch)
    scores = [activated(logits_of(network, as_batch(pixels[i : i + batch], task)), task) for i in starts]
    return torch.cat(scores).numpy().astype(np.float64)


def hard_aucs(network: MapClassifier, part: LabelledImages, task: Task) -> dict[str, float]:
    """Macro AUC on each hard version of a split."""
    rng = np.random.default_rng(0)
    aucs = {}
    for name, change in HARD_VERSIONS.items():
        changed = np.stack([change(image, rng) for image in part.pixels])
        aucs[name] = macro_auc(part.labels, predict(network, changed, task))
    return aucs


def _balanced_order(labels: NDArray[np.int64], images: int, rng: np.random.Generator) -> NDArray[np.int64]:
    picks = []
    classes = np.unique(labels)
    for value in classes:
        members, wanted = np.flatnonzero(labels == value), images // len(classes)
        picks.append(rng.choice(members, size=wanted, replace=len(members) < wanted))
    return rng.permutation(np.concatenate(picks))


def _varied(part: LabelledImages, index: int, rng: np.random.Generator, strain: float) -> NDArray[np.uint8]:
    """One image, at full strain half of the time with another class's fine structure, then through the chain."""
    image = part.pixels[index]
    if rng.random() < _EXCHANGED * strain:
        others = np.flatnonzero(part.labels != part.labels[index])
        image = exchange_fine_structure(image, part.pixels[rng.choice(others)], rng)
    return augment(image, rng, strain)


def _batches(
    part: LabelledImages, task: Task, plan: Schedule, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    order = _balanced_order(part.labels, plan.images, rng)
    for start in range(0, len(order) - plan.batch + 1, plan.batch):
        chosen = order[start : start + plan.batch]
        pixels = np.stack([_varied(part, int(i), rng, task.strain) for i in chosen])
        yield as_batch(pixels, task), torch.from_numpy(part.labels[chosen])


def _truth(labels: Tensor, task: Task, plan: Schedule) -> Tensor:
    """Smoothed one-hot rows ``(n, k)``."""
    one_hot = nn.functional.one_hot(labels, len(task.classes)).float()[:, len(task.classes) - task.outputs :]
    even = 0.5 if task.activation == "sigmoid" else 1.0 / task.outputs
    share = 2 * plan.smoothing
    return one_hot * (1 - share) + even * share


def _targets(truth: Tensor, images: Tensor, teachers: Sequence[MapClassifier], task: Task, plan: Schedule) -> Tensor:
    if not teachers:
        return truth
    told = torch.stack([activated(logits_of(teacher, images), task) for teacher in teachers]).mean(dim=0)
    return plan.teacher_share * told + (1 - plan.teacher_share) * truth


def _loss(logits: Tensor, targets: Tensor, task: Task) -> Tensor:
    if task.activation == "sigmoid":
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)
    return nn.functional.cross_entropy(logits, targets)


def train(
    task: Task,
    plan: Schedule,
    parts: tuple[LabelledImages, LabelledImages],
    teachers: Sequence[MapClassifier] = (),
) -> tuple[MapClassifier, dict[str, float]]:
    """Train on ``parts[0]``, choose the epoch by the worst hard AUC on ``parts[1]``.

    The last two epochs are looked at, on about 250 images of ``parts[1]``. Returns the averaged network of the better
    one in evaluation mode and its AUC on every hard version.
    """
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    network = MapClassifier(plan.architecture, task.outputs).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.freeze_until(plan.frozen_blocks)
    body = [p for p in network.backbone.parameters() if p.requires_grad]
    rates = [plan.learning_rate, plan.learning_rate * 5]
    groups = [{"params": body, "lr": rates[0]}, {"params": list(network.head.parameters()), "lr": rates[1]}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
    classes = len(task.classes)
    steps = plan.epochs * (plan.images // classes * classes // plan.batch)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rates, total_steps=steps, pct_start=0.15)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.98), use_buffers=True)
    watched = parts[1].every(max(1, len(parts[1]) // _WATCHED))
    best: dict[str, float] = {}
    best_state: dict[str, Tensor] = {}
    with Progress(console=console) as progress:
        bar = progress.add_task(plan.architecture, total=steps)
        for epoch in range(plan.epochs):
            network.train()
            for images, labels in _batches(parts[0], task, plan, rng):
                targets = _targets(_truth(labels, task, plan), images, teachers, task, plan)
                loss = _loss(network(images)[0], targets, task)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                scheduler.step()
                averaged.update_parameters(network)
                progress.update(bar, advance=1, description=f"{plan.architecture} epoch {epoch + 1} {loss.item():.3f}")
            if epoch + 2 < plan.epochs:
                continue
            aucs = hard_aucs(averaged.module, watched, task)
            worst = min(aucs.values())
            console.print(f"epoch {epoch + 1}: worst {worst:.4f}", {k: round(v, 4) for k, v in aucs.items()})
            if worst > min(best.values(), default=-1.0):
                best = aucs
                best_state = {k: v.clone() for k, v in averaged.module.state_dict().items()}
    network.load_state_dict(best_state)
    return network.eval(), best
