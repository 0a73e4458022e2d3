"""What the cloud is asked with: the image, its features, or the features first and the image behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.privacy.deidentify import pseudonymous_uid
from appliance.triage.deliveries import Subject, escalation, features_first
from models.decision import ImageResult
from models.reasons import UNCOUNTED
from store_forward.features import PictureFeatures, StudyFeatures
from store_forward.outbox import DeliveryRequest
from store_forward.spool import StoredObject


@dataclass(frozen=True)
class Asked:
    """Durable payloads for the cloud. ``left_out`` instances are not in the archive; ``withheld`` says why."""

    features: StoredObject | None = None
    archive: StoredObject | None = None
    left_out: int = 0
    withheld: str = ""

    @property
    def is_asked(self) -> bool:
        """Whether anything goes."""
        return self.features is not None or self.archive is not None

    def requests(self, subject: Subject) -> list[DeliveryRequest]:
        """The deliveries; behind its features the image is bulk."""
        first = [features_first(subject, self.features)] if self.features is not None else []
        if self.archive is None:
            return first
        return [*first, escalation(subject, self.archive, self.left_out, as_bulk=bool(first))]


def features_of(study_instance_uid: str, read: Sequence[ImageResult], key: bytes) -> StudyFeatures | None:
    """The features of every picture of a study, under its pseudonyms.

    None when they would not stand for the whole: a picture was not read, or has no features because the pack has no
    head, or two packs read the study. What the site's rules leave out is no part of it.
    """
    pictures = [result for result in read if result.reason not in UNCOUNTED]
    packs = {result.pack for result in pictures}
    pack = packs.pop() if len(packs) == 1 else None
    if pack is None:
        return None
    parts = []
    for result in pictures:
        if result.reduced is None:
            return None
        parts.append(
            PictureFeatures(sop_instance_uid=pseudonymous_uid(result.sop_instance_uid, key), features=result.reduced)
        )
    return StudyFeatures(
        pack=pack.name,
        pack_version=pack.version,
        pack_digest=pack.digest,
        study_instance_uid=pseudonymous_uid(study_instance_uid, key),
        pictures=tuple(parts),
    )
