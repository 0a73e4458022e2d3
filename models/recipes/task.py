"""What one pack is to learn: the one place where its classes, data, scope and words stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from models.preprocessing import InputSpec

Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True)
class Schedule:
    """How long and how boldly to train one network; ``images`` are drawn per epoch, as many from each class."""

    architecture: str
    epochs: int
    images: int
    seed: int
    frozen_blocks: int = 3
    learning_rate: float = 6e-4
    batch: int = 32
    smoothing: float = 0.02
    teacher_share: float = 0.6


@dataclass(frozen=True)
class Words:
    """The sentences of the model card that differ from pack to pack."""

    intended_use: str
    population: str
    data: str
    licence: str
    limits: tuple[str, ...]
    minutes: int = 0
    heat_map: str = (
        "The heat map is the sum the score is made of, at the resolution of the last layer; it shows where, not why."
    )


@dataclass(frozen=True)
class Task:
    """One diagnostic question.

    ``classes`` are the labels of the images, the normal one first. With ``sigmoid`` the network has one logit for
    each class after the first; with ``softmax`` one for every class, and exactly one of them is true.
    ``acts_on`` are the findings that make an image abnormal. ``group`` is the CSV column whose images must stay on
    one side of the split; without it, images that look alike are grouped. The networks to train, if any: ``full`` for
    the cloud, ``seconds`` that teach beside it, and ``lights`` that compete for the box. At most ``missed`` of the
    images called routine may be abnormal, wherever up to ``prevalence`` of all are, and at most ``false_alarms`` of the
    urgent ones not, wherever at least as many are. Only lines are taken that settle at least ``settled`` of either.
    ``strain`` is how often a train image goes through each change, as a share of how often a radiograph does.
    ``heat_map_proven`` once ``tests/real/test_where_it_looked.py`` passes with the box's pack.
    """

    name: str
    version: str
    classes: tuple[str, ...]
    activation: Activation
    acts_on: tuple[str, ...]
    spec: InputSpec
    scope: dict[str, Any]
    words: Words
    full: Schedule | None = None
    seconds: tuple[Schedule, ...] = ()
    lights: tuple[Schedule, ...] = ()
    group: str | None = None
    missed: float = 0.02
    false_alarms: float = 0.02
    prevalence: float = 2 / 3
    settled: float = 0.7
    strain: float = 1.0
    heat_map_proven: bool = False

    @property
    def outputs(self) -> int:
        """Logits of the network."""
        return len(self.classes) - (self.activation == "sigmoid")

    @property
    def findings(self) -> tuple[str, ...]:
        """Every class but the normal one."""
        return self.classes[1:]
