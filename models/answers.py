"""What a pack said about one labelled image, and what its label says against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from models.decision import Decision, ImageResult, decide
from models.errors import CannotTriage
from models.manifest import Manifest
from models.reasons import Reason
from models.runner import PackRunner

ANY_NORMAL, ANY_ABNORMAL = "normal", "abnormal"
#: The class of an image whose label says no more than normal or abnormal.
UNKNOWN_CLASS = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """One image: the probability of each finding, the one the decision rests on (NaN: not read), and what was decided.

    ``findings`` is empty and ``reason`` set when the image was refused or could not be read.
    """

    findings: tuple[float, ...] = ()
    abnormality: float = math.nan
    decision: Decision = Decision.not_triaged
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What a label says: the index among ``(normal, *findings)`` or :data:`UNKNOWN_CLASS`, and whether to act on it."""

    class_index: int
    abnormal: bool


class UnknownLabel(ValueError):
    """A label that says nothing about this pack's classes; the text names what is allowed."""


def answer(runner: PackRunner, pixels: NDArray[Any]) -> Answer:
    """Read one ``(rows, columns)`` grey image, brighter = denser. A refusal is an answer with its reason."""
    try:
        reading = runner.read(pixels)
    except CannotTriage as refused:
        return Answer(reason=refused.reason)
    decision = decide(reading.abnormality, runner.lines.thresholds)
    return Answer(tuple(one.probability for one in reading.findings), reading.abnormality, decision)


def answer_of(result: ImageResult) -> Answer:
    """The same of an image that went the whole way of :class:`models.triage.Triage`."""
    if result.abnormality is None:
        return Answer(reason=result.reason)
    return Answer(tuple(one.probability for one in result.findings), result.abnormality, result.decision)


def truth_of(label: str, manifest: Manifest, normal: str | None = None) -> Truth:
    """What ``label`` means for the pack; ``normal`` is a further label of images that need no action.

    A pack whose findings exclude each other also takes ``normal`` and ``abnormal``, which name no class. Any
    other pack takes every further label as abnormal: as its finding when it has but one.

    Raises:
        UnknownLabel: the label is none of the pack's classes, where these exclude each other.
    """
    if label in manifest.findings:
        return Truth(1 + manifest.findings.index(label), label in manifest.acts_on and label != normal)
    if label in {manifest.normal, normal}:
        return Truth(0, False)
    if manifest.activation == "sigmoid":
        return Truth(1 if len(manifest.findings) == 1 else UNKNOWN_CLASS, True)
    if label in (ANY_NORMAL, ANY_ABNORMAL):
        return Truth(UNKNOWN_CLASS, label == ANY_ABNORMAL)
    classes = ", ".join((manifest.normal, *manifest.findings))
    raise UnknownLabel(f"the label {label!r} is none of {classes}; {ANY_NORMAL} and {ANY_ABNORMAL} are allowed too")
