"""A box whose outbox has deliveries about studies, with the images they are about."""

from __future__ import annotations

from sqlalchemy import update

from appliance.schema import studies
from appliance.standby.marks import Mark, about
from appliance.triage.queue import settle_if_done
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import DeliveryRequest
from tests.dicom_factory import chest_radiograph, uid
from tests.small_box import NOW, SmallBox

STUDY, IMAGES = uid("study of two"), "a" * 64


def ask(box: SmallBox, kind: str, destination: str = "archive", images: str = IMAGES, revision: int = 1) -> int:
    """One more delivery of the study; its number."""
    request = DeliveryRequest(
        f"{STUDY}:{revision}:{kind}:{destination}", STUDY, revision, kind, destination, 2, "b" * 64, 10, "a/b"
    )
    with writing(box.engine) as connection:
        return outbox.enqueue(connection, about(images, request), NOW)


def deliver(box: SmallBox, destination: str = "archive", receipt: str = "status 0x0000") -> None:
    """Carry the next delivery to a destination."""
    with writing(box.engine) as connection:
        leased = outbox.lease(connection, destination, "lane", NOW, 60.0)
        assert leased is not None
        outbox.delivered(connection, leased, receipt, NOW)


def decide(box: SmallBox, *, escalated: bool = False, images: str = IMAGES) -> None:
    """Take the study in, and have it decided about these images."""
    box.receive(chest_radiograph(seed="of two", StudyInstanceUID=STUDY))
    columns = {"state": "decided", "decided_at": NOW, "images_digest": images, "escalated": escalated}
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(**columns))


def settle(box: SmallBox) -> None:
    """Settle the study if nothing is left to do."""
    with writing(box.engine) as connection:
        assert settle_if_done(connection, STUDY, NOW)


def mark(kind: str, destination: str = "archive", images: str = IMAGES) -> Mark:
    """A mark about the study."""
    return Mark(
        study_instance_uid=STUDY,
        images_digest=images,
        kind=kind,
        destination=destination,
        receipt="by the first box: status 0x0000",
    )
