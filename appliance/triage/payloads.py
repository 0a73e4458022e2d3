"""Makes everything a decision will send or show, and makes it durable, before anything is committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from appliance.privacy.deidentify import pseudonymous_uid
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.outgoing import require_nothing_in_text
from appliance.privacy.package import identifiers_in, package_study
from appliance.privacy.policy import policy_of
from appliance.results.event import Event, event_id, event_of
from appliance.results.outcome import ImageFinding, StudyOutcome
from appliance.results.picture import as_png, heat_layer, overlay
from appliance.rules.verdict import NO_ORDERS, Orders
from appliance.settings import EventType, Settings
from appliance.triage.asked import Asked, features_of
from appliance.triage.deliveries import event
from appliance.triage.documents import DocumentMaker, Made, Shown, subject_of
from appliance.triage.outcome_rows import Prepared
from appliance.triage.queue import Claim
from models.decision import Decision, ImageResult, StudyDecision
from models.errors import CannotTriage
from models.pixels import PixelLimits, grey_image, open_dicom
from models.reasons import RULED_OUT
from store_forward.features import write_features
from store_forward.outbox import DeliveryRequest
from store_forward.spool import Spool, StoredObject

_PAGE_PICTURE_PX, _THUMBNAIL_PX = 768, 128


class PayloadMaker:
    """Reports, pictures and the de-identified archive of one study, as durable spool objects."""

    def __init__(self, settings: Settings, spool: Spool, site_key: bytes) -> None:
        self._spool = spool
        self._site_key = site_key
        archives = {one.name: one.results for one in settings.pacs} | {one.name: one.results for one in settings.stow}
        self._documents = DocumentMaker(archives, spool)
        self._webhooks = settings.webhook
        self._box_id = settings.cloud.box_id
        self._has_cloud = settings.cloud.url is not None
        self._escalate = settings.cloud.escalate
        self._policy = policy_of(settings.deidentification)
        self._limits = PixelLimits(settings.limits.max_pixels, settings.limits.max_decoded_bytes)

    def prepare(
        self,
        claim: Claim,
        paths: Sequence[Path],
        read: Sequence[ImageResult],
        decision: StudyDecision,
        now: float,
        with_pixels: bool = True,
        orders: Orders = NO_ORDERS,
    ) -> Prepared:
        """Turn a study's results into what one transaction writes.

        ``with_pixels`` is false for a study whose pixels have already brought the worker down.
        """
        asked = self._asked(claim, _not_left_out(paths, read), read, decision.decision)
        outcome = replace(_outcome(claim, read, decision, now), provisional=asked.is_asked, orders=orders)
        index = decision.index if decision.index is not None else 0
        shown = self._open(paths[index]) if with_pixels and paths else None
        heat_map = read[index].heat_map if read else None
        picture = self._keep(as_png(overlay(shown[1], heat_map, _PAGE_PICTURE_PX))) if shown else None
        small = self._keep(as_png(overlay(shown[1], heat_map, _THUMBNAIL_PX))) if shown else None
        layer = self._keep(heat_layer(heat_map)) if shown and heat_map is not None else None
        was_read = index < len(read) and read[index].pack is not None
        deciding = Shown(*shown, heat_map) if shown and was_read else None
        documents = self._documents.decided(_sources(paths, read), outcome, deciding)
        requests = [*documents.deliveries, *self._events(outcome, "study.decided")]
        requests += asked.requests(subject_of(outcome))
        return Prepared(
            outcome=outcome,
            deliveries=tuple(orders.given(requests)),
            escalated=asked.is_asked,
            latency_ms=sum(result.latency_ms.total for result in read) if read else None,
            heat_map=picture.digest if picture else None,
            thumbnail=small.digest if small else None,
            heat_layer=layer.digest if layer else None,
            notes=tuple(note for note in (*documents.notes, asked.withheld) if note),
        )

    def image_after_all(self, paths: Sequence[Path]) -> Asked:
        """The image to the cloud because it could make nothing of the features."""
        archive, withheld, left_out = self._archive(paths)
        return Asked(archive=archive, left_out=left_out, withheld=withheld)

    def amended_report(self, paths: Sequence[Path], outcome: StudyOutcome, picture: str | None = None) -> Made:
        """The results once more, now with the cloud's answer in them, and the same for those who get events."""
        made = self._documents.amended(paths, outcome, picture)
        requests = [*made.deliveries, *self._events(outcome, "study.amended")]
        return replace(made, deliveries=tuple(outcome.orders.given(requests)))

    def _events(self, outcome: StudyOutcome, kind: EventType) -> list[DeliveryRequest]:
        """One for each webhook that wants to know; its id follows from study, images, kind and what is answered."""
        number = event_id(self._site_key, outcome, kind)
        from_features = outcome.answer is not None and outcome.answer.basis == "features"
        name = "event_features" if from_features else kind.replace("study.", "event_")
        requests = []
        for webhook in self._webhooks:
            if kind not in webhook.events or outcome.orders.withheld:
                continue
            uid = outcome.study_instance_uid
            named = pseudonymous_uid(uid, self._site_key) if webhook.study == "pseudonym" else uid
            told: Event = event_of(outcome, kind, number, self._box_id, named, webhook.study)
            payload = self._keep(told.model_dump_json().encode())
            requests.append(event(subject_of(outcome), name, webhook.name, payload, number, urgent=told.data.urgent))
        return requests

    def _asked(self, claim: Claim, paths: Sequence[Path], read: Sequence[ImageResult], decision: Decision) -> Asked:
        """What the cloud is asked with, or why it is not.

        Features go for a study that could go as a whole. Its archive is made all the same: that shows that it is safe.
        """
        if decision is not Decision.escalate:
            return Asked()
        if not self._has_cloud:
            return Asked(withheld="no cloud is configured; a person has to read this study")
        archive, withheld, left_out = self._archive(paths)
        features = None
        if self._escalate != "image" and archive is not None and left_out == 0:
            features = features_of(claim.study_instance_uid, read, self._site_key)
        if features is None:
            return Asked(archive=archive, left_out=left_out, withheld=withheld)
        payload = write_features(features)
        try:
            described = features.model_dump_json(exclude={"pictures": {"__all__": {"features"}}})
            require_nothing_in_text(identifiers_in(paths, self._policy), described, "the features")
        except CannotDeidentify as refused:
            return Asked(withheld=f"kept on the box: {refused}")
        kept = self._keep(payload)
        return Asked(features=kept, archive=archive if self._escalate == "features_first" else None)

    def _archive(self, paths: Sequence[Path]) -> tuple[StoredObject | None, str, int]:
        """The payload for the cloud or why nothing may leave, and how many instances have to stay here."""
        target = self._spool.temporary()
        try:
            present = [path for path in paths if path.exists()]
            package = package_study(present, self._site_key, self._spool.content(target), self._policy)
            stored = self._spool.keep(target)
        except CannotDeidentify as refused:
            return None, f"kept on the box: {refused}", len(paths)
        finally:
            target.unlink(missing_ok=True)
        left_out = len(package.left_out) + len(paths) - len(present)
        note = f"{left_out} of {len(paths)} instances kept on the box" if left_out else ""
        return stored, note, left_out

    def _open(self, path: Path) -> tuple[Dataset, NDArray[np.float32]] | None:
        """The image as people see it; nothing when it has no readable pixels, which its result already says."""
        try:
            dataset = open_dicom(path)
            return dataset, grey_image(dataset, self._limits)
        except CannotTriage:
            return None

    def _keep(self, data: bytes) -> StoredObject:
        return self._spool.keep_bytes(data)


def _outcome(claim: Claim, read: Sequence[ImageResult], decision: StudyDecision, now: float) -> StudyOutcome:
    spoken = next((r for r in read if r.pack is not None), None)
    if decision.index is not None and read[decision.index].pack is not None:
        spoken = read[decision.index]
    return StudyOutcome(
        study_instance_uid=claim.study_instance_uid,
        revision=claim.revision,
        decision=decision.decision,
        decided_at=now,
        reason=decision.reason,
        detail=decision.detail,
        findings=tuple(
            ImageFinding(result.sop_instance_uid, found.name, found.probability)
            for result in read
            for found in result.findings
        ),
        abnormality=max((r.abnormality for r in read if r.abnormality is not None), default=None),
        pack=spoken.pack if spoken else None,
        device=spoken.device if spoken else None,
        shown=_shown(read[decision.index or 0]) if read else None,
        images_digest=claim.images_digest,
        lines=spoken.lines if spoken else None,
        urgent_images=tuple(result.sop_instance_uid for result in read if result.decision is Decision.urgent),
        earlier=claim.earlier,
    )


def _shown(result: ImageResult) -> ImageFinding | None:
    """The finding that the heat map of this image is drawn for."""
    found = next((one for one in result.findings if one.name == result.shown), None)
    return ImageFinding(result.sop_instance_uid, found.name, found.probability) if found else None


def _not_left_out(paths: Sequence[Path], read: Sequence[ImageResult]) -> Sequence[Path]:
    """What may be asked about: all but what the site's rules leave out."""
    left_out = {index for index, result in enumerate(read) if result.reason in RULED_OUT}
    return [path for index, path in enumerate(paths) if index not in left_out]


def _sources(paths: Sequence[Path], read: Sequence[ImageResult]) -> list[Path]:
    """What the report names: the images a model read, or all when none was."""
    named = [path for path, result in zip(paths, read, strict=False) if result.pack is not None]
    return named or list(paths)
