"""One image from file to decision: facts → scope → pixels → network → rule. Never a score for a failure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from models.decision import Decision, ImageLatency, ImageResult, PackIdentity, decide
from models.errors import CannotTriage
from models.image_facts import ImageFacts, facts_of
from models.non_images import is_no_image
from models.pack import ModelPack
from models.pixels import DEFAULT_LIMITS, PixelLimits, grey_image, has_pixels, open_dicom
from models.reasons import SCOPE_REASONS, Reason
from models.runner import PackRunner
from models.scope import closest, refusal

__all__ = ["ImageLatency", "ImageResult", "PackIdentity", "Triage"]


class Triage:
    """Reads images with the first of its packs that was made for them.

    ``out_of_scope`` is what becomes of an image no pack was made for: ``not_triaged``, or ``escalate`` to
    have the cloud look at it; the reason is kept either way. ``without_backend`` are packs that are installed
    but that nothing here can run: their images are ``not_triaged(no_backend)``. ``unreadable`` names packs that the
    disk did not give: one of them may have been the one for an image that no other is for, which is then
    ``not_triaged(pack_unreadable)``.
    """

    def __init__(
        self,
        runners: Sequence[PackRunner],
        limits: PixelLimits = DEFAULT_LIMITS,
        out_of_scope: Decision = Decision.not_triaged,
        without_backend: Sequence[ModelPack] = (),
        unreadable: Sequence[str] = (),
    ) -> None:
        if out_of_scope not in (Decision.not_triaged, Decision.escalate):
            raise ValueError(f"out_of_scope is {out_of_scope}; an unread image can only wait or be escalated")
        self._runners = tuple(runners)
        self._limits = limits
        self._out_of_scope = out_of_scope
        self._without_backend = tuple(without_backend)
        self._unreadable = tuple(unreadable)

    @property
    def lacks_packs(self) -> bool:
        """Whether the disk did not give all the packs in use."""
        return bool(self._unreadable)

    def image(self, source: Path | Dataset) -> ImageResult:
        """Triage one instance, a file or a data set. What cannot be read becomes ``not_triaged(reason)``."""
        started = time.perf_counter()
        facts = ImageFacts()
        try:
            dataset = source if isinstance(source, Dataset) else self._open(source)
            facts = facts_of(dataset)
            runner = self._runner_for(facts, has_pixels(dataset))
            pixels = grey_image(dataset, self._limits)
            decode_ms = _since_ms(started)
            reading = runner.read(pixels)
        except CannotTriage as refused:
            return self._refused(facts.sop_instance_uid, refused, _since_ms(started))
        proven = runner.pack.manifest.heat_map_proven
        return ImageResult(
            sop_instance_uid=facts.sop_instance_uid,
            decision=decide(reading.abnormality, runner.lines.thresholds),
            pack=runner.pack.identity,
            findings=reading.findings,
            abnormality=reading.abnormality,
            heat_map=reading.heat_map if proven else None,
            shown=reading.shown if proven else None,
            reduced=reading.reduced,
            device=runner.device,
            latency_ms=ImageLatency(decode_ms, reading.infer_ms, _since_ms(started)),
            lines=runner.lines,
        )

    def _open(self, path: Path) -> Dataset:
        return open_dicom(path, max_inflated_bytes=self._limits.max_decoded_bytes)

    def _runner_for(self, facts: ImageFacts, with_pixels: bool) -> PackRunner:
        if is_no_image(facts, with_pixels):
            raise CannotTriage(Reason.not_an_image)
        if not with_pixels:
            raise CannotTriage(Reason.no_pixel_data)
        refusals: list[Reason] = []
        for runner in self._runners:
            reason = refusal(runner.pack.manifest.scope, facts)
            if reason is None:
                return runner
            refusals.append(reason)
        for pack in self._without_backend:
            reason = refusal(pack.manifest.scope, facts)
            if reason is None:
                raise CannotTriage(Reason.no_backend, f"pack {pack.manifest.name}")
            refusals.append(reason)
        if self._unreadable:
            raise CannotTriage(Reason.pack_unreadable, ", ".join(self._unreadable))
        raise CannotTriage(closest(refusals) if refusals else Reason.no_pack)

    def _refused(self, sop_instance_uid: str, refused: CannotTriage, total_ms: float) -> ImageResult:
        in_scope = refused.reason not in SCOPE_REASONS
        return ImageResult(
            sop_instance_uid=sop_instance_uid,
            decision=Decision.not_triaged if in_scope else self._out_of_scope,
            reason=refused.reason,
            detail=refused.detail,
            latency_ms=ImageLatency(total=total_ms),
        )


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
