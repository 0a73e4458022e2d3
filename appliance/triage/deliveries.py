"""What a decision causes: the payloads, made durable first, and the deliveries that will carry them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.decision import Decision
from store_forward.features import FEATURES_TYPE, IMAGES_TYPE
from store_forward.outbox import DeliveryRequest
from store_forward.spool import StoredObject

URGENT, ESCALATION, RESULT, BULK = 0, 1, 2, 3
#: The kinds that ask the cloud: with the image, or with its features alone.
IMAGE, FEATURES = "escalation", "features"
ESCALATIONS = (IMAGE, FEATURES)
_DICOM = "application/dicom"
_EVENT = "application/json"


@dataclass(frozen=True)
class Subject:
    """What a delivery is about, and how urgent the study is held to be."""

    study_instance_uid: str
    revision: int
    decision: Decision
    abnormality: float | None

    @property
    def looks_urgent(self) -> bool:
        """Urgent, or escalated while leaning towards a finding."""
        leaning = self.abnormality is not None and self.abnormality >= 0.5
        return self.decision is Decision.urgent or leaning

    @property
    def asking(self) -> int:
        """The priority at which the cloud is asked about it."""
        return URGENT if self.looks_urgent else ESCALATION


def escalation(subject: Subject, payload: StoredObject, left_out: int, *, as_bulk: bool = False) -> DeliveryRequest:
    """The de-identified study to the cloud; ``left_out`` instances of it could not be made safe and stay.

    ``as_bulk`` when its features go first.
    """
    priority = BULK if as_bulk else subject.asking
    request = _request(subject, IMAGE, "cloud", priority, payload, IMAGES_TYPE)
    return replace(request, attributes={"left_out": left_out})


def features_first(subject: Subject, payload: StoredObject) -> DeliveryRequest:
    """The features of a study's pictures to the cloud, in place of the images or ahead of them."""
    return _request(subject, FEATURES, "cloud", subject.asking, payload, FEATURES_TYPE)


def result(subject: Subject, kind: str, destination: str, payload: StoredObject) -> DeliveryRequest:
    """A report or another result to a PACS; ``kind`` names the effect and keeps a repeated one from doubling."""
    priority = URGENT if subject.decision is Decision.urgent else RESULT
    return _request(subject, kind, destination, priority, payload, _DICOM)


def event(
    subject: Subject, kind: str, destination: str, payload: StoredObject, event_id: str, *, urgent: bool
) -> DeliveryRequest:
    """What was decided, to a webhook; ``event_id`` is what its receiver tells a repeated one by."""
    request = _request(subject, kind, destination, URGENT if urgent else RESULT, payload, _EVENT)
    return replace(request, attributes={"event_id": event_id})


def _request(
    subject: Subject, kind: str, destination: str, priority: int, payload: StoredObject, content_type: str
) -> DeliveryRequest:
    return DeliveryRequest(
        key=f"{subject.study_instance_uid}:{subject.revision}:{kind}:{destination}",
        subject=subject.study_instance_uid,
        revision=subject.revision,
        kind=kind,
        destination=destination,
        priority=priority,
        payload=payload.digest,
        size_bytes=payload.size_bytes,
        content_type=content_type,
    )
