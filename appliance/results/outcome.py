"""The decision about one revision of a study, as plain values: what reports and pictures are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.rules.verdict import NO_ORDERS, Orders
from appliance.schema import Agreement
from models.decision import Decision, Lines, PackIdentity
from models.reasons import EXPLANATIONS, Reason

#: What an answer of the cloud rests on.
Basis = Literal["image", "features"]

#: Stands in every report; the picture has its own wording burned in.
DISCLAIMER = "Research use only, not for diagnosis"


@dataclass(frozen=True, slots=True)
class ImageFinding:
    """The calibrated probability (0..1) of one named finding on one image."""

    sop_instance_uid: str
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class AmendedAnswer:
    """What the cloud answered later. ``sop_instance_uid`` of its findings may be empty.

    ``basis`` is what the answer rests on: the image, read by the full model, or its features alone; ``after_features``
    when there was an answer from features before.
    """

    decision: Decision
    reason: Reason | None
    findings: tuple[ImageFinding, ...]
    pack: PackIdentity | None
    device: str | None
    answered_at: float
    agreement: Agreement | None = None
    basis: Basis = "image"
    after_features: bool = False

    @property
    def speaker(self) -> str:
        """Who says so, at the beginning of a sentence."""
        return "Full model" if self.basis == "image" else "From features alone"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was decided about fewer images of the study: its edition, and what its answer rested on if it had one."""

    edition: str
    answered: Basis | None = None


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """One decision. Times are seconds since 1970-01-01 UTC; ``pack`` is None when no model could speak.

    ``abnormality`` is the highest probability any image was decided by, None when none was read. ``shown`` is the
    finding that the heat map of the deciding image is drawn for. ``provisional`` while the full model is asked.
    ``images_digest`` names the set of images that were given to be read. ``lines`` are those it was decided with, None
    when no model could speak. ``urgent_images`` are the SOP Instance UIDs of the images that were found urgent.
    ``earlier`` is what was decided before a late image came. ``orders`` are what the site's rules say of how it goes
    out.
    """

    study_instance_uid: str
    revision: int
    decision: Decision
    decided_at: float
    reason: Reason | None = None
    detail: str = ""
    findings: tuple[ImageFinding, ...] = ()
    abnormality: float | None = None
    pack: PackIdentity | None = None
    device: str | None = None
    answer: AmendedAnswer | None = None
    shown: ImageFinding | None = None
    provisional: bool = False
    images_digest: str = ""
    lines: Lines | None = None
    urgent_images: tuple[str, ...] = ()
    earlier: Earlier | None = None
    orders: Orders = NO_ORDERS

    @property
    def instance_number(self) -> int:
        """Of each result: rises with the revisions of the study, and with the answer to one."""
        return 2 * self.revision + (2 if self.answer else 1)

    @property
    def edition(self) -> str:
        """What tells this reading from others of the same study: the images it is about.

        Two boxes that have read the same images thus give their documents the same UIDs, however often a late image
        has reopened the study on either.
        """
        return self.images_digest or str(self.revision)

    @property
    def recorded_at(self) -> float:
        """When the newest statement in this outcome was made; the content time of its documents."""
        return self.answer.answered_at if self.answer else self.decided_at

    def findings_on(self, sop_instance_uid: str) -> list[ImageFinding]:
        """What was found on one image, the most probable first; empty when it was not read."""
        on_image = [one for one in self.findings if one.sop_instance_uid == sop_instance_uid]
        return sorted(on_image, key=lambda one: -one.probability)


def lines_in_words(lines: Lines) -> str:
    """The lines a decision was made with, and whose they are: "routine below 0.02, urgent from 0.93 (the pack's own)".

    The bound that a pack states is about its own lines alone.
    """
    thresholds = lines.thresholds
    whose = f"set by {lines.set_by}; the pack's bound is not about them" if lines.set_by else "the pack's own"
    return f"routine below {thresholds.routine_below:.4g}, urgent from {thresholds.urgent_from:.4g} ({whose})"


def bound_in_words(lines: Lines) -> str:
    """What the pack has shown for these lines, empty when nothing has: "at most 2 % missed, …".

    The shares are those of ``calibration.bound`` in the manifest, 0..1.
    """
    if lines.bound is None or not {"missed", "false_alarms", "confidence"} <= lines.bound.keys():
        return ""
    missed, false, confidence = (lines.bound[name] for name in ("missed", "false_alarms", "confidence"))
    return (
        f"at most {missed:.3g} abnormal among routine, at most {false:.3g} others among urgent, "
        f"each with {confidence:.3g} confidence over the calibration images"
    )


def in_words(decision: Decision, reason: Reason | None, detail: str = "") -> str:
    """One sentence for a person: the decision and, if there is a reason, what it means."""
    words = decision.value.replace("_", " ").capitalize()
    if reason is not None:
        words = f"{words}: {EXPLANATIONS[reason]}"
    return f"{words} ({detail})" if detail else words
