"""The decision rule: calibrated findings → one image's decision → the study's. Values in, values out.

``routine`` is a positive statement by a model that ran. Nothing here turns a missing reading into it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.reasons import RULED_OUT, UNCOUNTED, Reason


class Decision(StrEnum):
    """What happens next with an image or a study."""

    routine = "routine"
    urgent = "urgent"
    escalate = "escalate"
    not_triaged = "not_triaged"


@dataclass(frozen=True, slots=True)
class Finding:
    """The calibrated probability (0..1) that one named finding is present.

    Raises:
        ValueError: ``probability`` is not a finite number in 0..1.
    """

    name: str
    probability: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.probability) and 0.0 <= self.probability <= 1.0):
            raise ValueError(f"the probability of {self.name} is {self.probability}, not a number in 0..1")


class Thresholds(BaseModel):
    """``p < routine_below`` is routine, ``p >= urgent_from`` urgent; between them the box does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    routine_below: float = Field(ge=0.0, le=1.0)
    urgent_from: float = Field(ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        if self.routine_below > self.urgent_from:
            raise ValueError("routine_below must not be above urgent_from")
        return self


def settles_no_more(lines: Thresholds, own: Thresholds) -> bool:
    """Whether every image that ``lines`` settle, ``own`` settle the same way; the others are escalated."""
    return lines.routine_below <= own.routine_below and lines.urgent_from >= own.urgent_from


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The thresholds a decision was made with. ``set_by`` says who set them; empty: they are the pack's own.

    ``bound`` is what the pack shows for its own lines; None for any others, for which nobody has shown it.
    """

    thresholds: Thresholds
    set_by: str = ""
    bound: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class PackIdentity:
    """Which model pack spoke; ``digest`` is the SHA-256 of its manifest in hexadecimal."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class ImageLatency:
    """Where the time for one image went, in ms: ``decode`` is opening and decoding, ``infer`` the network."""

    decode: float = 0.0
    infer: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """What was decided about one image.

    ``findings`` is empty, ``abnormality``, ``heat_map`` and ``shown`` None unless a model ran, the last two also when
    nothing shows that the pack's map points at a finding. ``abnormality`` is the
    probability the decision rests on: that one of the findings the pack acts on is present. ``heat_map`` is
    ``(rows, columns)`` float32 in 0..1 over the whole of the original image, possibly at a lower resolution, and
    ``shown`` the finding it is drawn for. ``reason`` is set for ``not_triaged``, and for ``escalate`` when the image
    was out of scope. ``reduced`` is what the pack's head would read in place of the image. ``lines`` are those it was
    decided with, None unless a model ran.
    """

    sop_instance_uid: str
    decision: Decision
    reason: Reason | None = None
    detail: str = ""
    pack: PackIdentity | None = None
    findings: tuple[Finding, ...] = ()
    abnormality: float | None = None
    heat_map: NDArray[np.float32] | None = None
    shown: str | None = None
    reduced: bytes | None = None
    device: str | None = None
    latency_ms: ImageLatency = field(default_factory=ImageLatency)
    lines: Lines | None = None


@dataclass(frozen=True, slots=True)
class StudyDecision:
    """What was decided about a study; ``index`` is that of the result that decided, None without images."""

    decision: Decision
    reason: Reason | None = None
    detail: str = ""
    index: int | None = None


def decide(abnormality: float, thresholds: Thresholds) -> Decision:
    """One image, by the probability (0..1) that a finding the pack acts on is present.

    Raises:
        ValueError: the probability is not a finite number in 0..1; NaN would compare false with every line.
    """
    if not (math.isfinite(abnormality) and 0.0 <= abnormality <= 1.0):
        raise ValueError(f"the probability to decide by is {abnormality}, not a number in 0..1")
    if abnormality >= thresholds.urgent_from:
        return Decision.urgent
    return Decision.routine if abnormality < thresholds.routine_below else Decision.escalate


def decide_study(results: Sequence[ImageResult]) -> StudyDecision:
    """A study: its worst image decides, and it is ``routine`` only when every image was read and is routine.

    Objects that are no images (reports, notes, segmentations) do not count, nor does what a rule of the site leaves
    out, which the detail names. If some images are routine and others could not be read or fit no pack, the study is
    escalated with ``partly_covered``: the absence of a finding is claimed only for what was read.
    """
    images = [index for index, result in enumerate(results) if result.reason not in UNCOUNTED]
    left_out = [index for index, result in enumerate(results) if result.reason in RULED_OUT]
    if not left_out:
        return _decide_images(results, images)
    if not images:
        phantom = all(results[index].reason is Reason.phantom for index in left_out)
        reason = Reason.phantom if phantom else Reason.excluded_by_rule
        return StudyDecision(Decision.not_triaged, reason, _who_left_out(results, left_out), left_out[0])
    decided = _decide_images(results, images)
    note = f"{len(left_out)} of {len(results)} instances left out: {_who_left_out(results, left_out)}"
    return replace(decided, detail=f"{decided.detail}; {note}" if decided.detail else note)


def _who_left_out(results: Sequence[ImageResult], left_out: list[int]) -> str:
    return ", ".join(dict.fromkeys(results[index].detail for index in left_out))


def _decide_images(results: Sequence[ImageResult], images: list[int]) -> StudyDecision:
    if not images:
        return StudyDecision(Decision.not_triaged, Reason.no_images)
    for decision in (Decision.urgent, Decision.escalate):
        found = [index for index in images if results[index].decision is decision]
        if found:
            return _decided_by(results, _most_abnormal(results, found))
    unread = [index for index in images if results[index].decision is Decision.not_triaged]
    if len(unread) == len(images):
        return _decided_by(results, unread[0])
    if unread:
        return _partly_covered(results, images, unread)
    return _decided_by(results, _most_abnormal(results, images))


def _most_abnormal(results: Sequence[ImageResult], among: list[int]) -> int:
    return max(among, key=lambda index: results[index].abnormality or 0.0)


def _decided_by(results: Sequence[ImageResult], index: int) -> StudyDecision:
    result = results[index]
    return StudyDecision(result.decision, result.reason, result.detail, index)


def _partly_covered(results: Sequence[ImageResult], images: list[int], unread: list[int]) -> StudyDecision:
    codes = sorted({reason.value for index in unread if (reason := results[index].reason)})
    detail = f"{len(unread)} of {len(images)} images not read: {', '.join(codes)}"
    return StudyDecision(Decision.escalate, Reason.partly_covered, detail, unread[0])
