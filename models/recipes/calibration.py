"""From logits to the probability a decision rests on, and the lines it is decided by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibrated import sigmoid, softmax
from models.decision import Thresholds
from models.recipes.scoring import Numbers
from models.recipes.task import Task
from models.recipes.thresholds import Bound, Truth, lowered, platt, routine_below, temperature, urgent_from


@dataclass(frozen=True, eq=False)
class Known:
    """Logits ``(n, k)`` of pictures whose labels ``(n,)`` are known as indices of the task's classes."""

    logits: Numbers
    labels: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Known:
        """The pictures that a mask ``(n,)`` chooses."""
        return Known(self.logits[chosen], self.labels[chosen])


@dataclass(frozen=True, eq=False)
class Calibration:
    """``probability = activation(logit / temperature + bias)``, as in the manifest."""

    task: Task
    temperature: float
    bias: tuple[float, ...]

    def probabilities(self, logits: Numbers) -> Numbers:
        """``(n, k)`` logits → ``(n, k)`` probabilities of the network's outputs."""
        scaled = logits / self.temperature + np.array(self.bias)
        return sigmoid(scaled) if self.task.activation == "sigmoid" else softmax(scaled)

    def abnormality(self, logits: Numbers) -> Numbers:
        """``(n,)``: the probability that a finding the pack acts on is present."""
        first = self.task.outputs - len(self.task.findings)
        acting = [first + self.task.findings.index(name) for name in self.task.acts_on]
        chances = self.probabilities(logits)[:, acting]
        together: Numbers = chances.sum(axis=1) if self.task.activation == "softmax" else chances.max(axis=1)
        return np.minimum(together, 1.0)


def is_abnormal(labels: NDArray[np.int64], task: Task) -> Truth:
    """``(n,)`` class indices → whether the label is one the pack acts on."""
    truth: Truth = np.isin(labels, [task.classes.index(name) for name in task.acts_on])
    return truth


def calibrate(known: Known, task: Task) -> Calibration:
    """Platt scaling for independent findings, a temperature for classes that exclude each other."""
    if task.activation == "softmax":
        return Calibration(task, temperature(known.logits, known.labels), (0.0,) * task.outputs)
    if task.outputs != 1:
        raise ValueError("several independent findings need a calibration of their own each")
    scale, bias = platt(known.logits[:, 0], is_abnormal(known.labels, task))
    return Calibration(task, scale, (bias,))


def bounds(task: Task) -> tuple[Bound, Bound]:
    """What has to hold for routine and for urgent: wrong are the abnormal ones there, and the others here."""
    missed = Bound(task.missed, task.prevalence, task.settled)
    return missed, Bound(task.false_alarms, 1.0 - task.prevalence, task.settled)


def choose_thresholds(
    calibration: Calibration, plain: Known, ordering: Known, hard: dict[str, Known]
) -> tuple[Thresholds, dict[str, float]]:
    """The lines, and what each would have been without the hard versions.

    Both bounds hold with confidence on the plain pictures. On every hard version of them the share of abnormal images
    among routine holds by count as well: a false alarm on a spoiled picture costs a look, a miss costs more.
    """
    task = calibration.task
    missed, false = bounds(task)
    scores, truth = calibration.abnormality(plain.logits), is_abnormal(plain.labels, task)
    order = calibration.abnormality(ordering.logits), is_abnormal(ordering.labels, task)
    low = routine_below(scores, truth, order, missed)
    high = urgent_from(scores, truth, order, false)
    plain_lines = {"routine_below": low, "urgent_from": high}
    for version in hard.values():
        low = lowered(low, calibration.abnormality(version.logits), is_abnormal(version.labels, task), missed)
    # Even odds are the limit on both sides: nothing likely is routine, nothing unlikely urgent.
    return Thresholds(routine_below=min(low, 0.5), urgent_from=max(high, 0.5)), plain_lines


def digest_of(names: tuple[str, ...], labels: NDArray[np.int64]) -> str:
    """SHA-256 over the sorted ``name label`` lines of the calibration images: which they were, in one number."""
    lines = sorted(f"{name} {label}" for name, label in zip(names, labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
