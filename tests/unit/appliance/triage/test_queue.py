"""Which study is next, and when one is done."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from appliance.schema import StudyState, studies, study_events
from appliance.triage.queue import (
    Claim,
    claim_next,
    complete_quiet_studies,
    requeue_interrupted,
    settle_if_done,
    still_ours,
)
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest, enqueue, lease
from tests.dicom_factory import uid
from tests.small_box import NOW, SmallBox, image


def complete(box: SmallBox, now: float) -> int:
    """Complete what is quiet at ``now``."""
    with writing(box.engine) as connection:
        return complete_quiet_studies(connection, now)


def claim(box: SmallBox) -> Claim | None:
    """Claim the next study."""
    with writing(box.engine) as connection:
        return claim_next(connection, NOW)


def decide(box: SmallBox, study: str, **values: object) -> None:
    """Put a study into ``decided``."""
    with writing(box.engine) as connection:
        of_study = studies.c.study_instance_uid == study
        connection.execute(update(studies).where(of_study).values(state=StudyState.DECIDED, **values))


def request(study: str, revision: int = 1, key: str = "a") -> DeliveryRequest:
    """A delivery about a study."""
    return DeliveryRequest(key, study, revision, "report", "archive", 2, "0" * 64, 1, "application/dicom")


def settles(box: SmallBox, study: str) -> bool:
    """Whether the study settles now."""
    with writing(box.engine) as connection:
        return settle_if_done(connection, study, NOW + 9)


def test_a_study_completes_after_its_quiet_time(box: SmallBox) -> None:
    """Not a moment earlier."""
    study = box.receive(image(), now=NOW)
    assert complete(box, NOW - 0.1) == 0
    assert complete(box, NOW) == 1
    assert complete(box, NOW + 1) == 0
    assert box.study(study).state == StudyState.COMPLETE
    assert box.rows(study_events)[-1].detail == "1 instances"


def test_nothing_to_claim(box: SmallBox) -> None:
    """A study that is still being received is not read."""
    box.receive(image())
    assert claim(box) is None


def test_the_study_that_waited_longest_is_next(box: SmallBox) -> None:
    """First complete, first read."""
    box.receive(image(seed="late"), now=NOW + 5)
    first = box.receive(image(seed="early"), now=NOW)
    complete(box, NOW + 10)
    claimed = claim(box)
    assert claimed is not None
    assert claimed.study_instance_uid == first


def test_the_attempt_is_counted_before_the_work(box: SmallBox) -> None:
    """A claim is written down whether or not the worker survives it."""
    study = box.receive(image())
    complete(box, NOW)
    for attempt in (1, 2, 3):
        claimed = claim(box)
        assert claimed is not None
        assert claimed.attempt == attempt == box.study(study).triage_attempts
        assert box.study(study).state == StudyState.TRIAGING
        with writing(box.engine) as connection:
            assert requeue_interrupted(connection, NOW) == 1
    assert [row.kind for row in box.rows(study_events)].count("interrupted") == 3


def test_a_claimed_study_is_not_claimed_twice(box: SmallBox) -> None:
    """One reading at a time."""
    box.receive(image())
    complete(box, NOW)
    assert claim(box) is not None
    assert claim(box) is None


def test_instances_come_in_a_fixed_order(box: SmallBox) -> None:
    """By series and instance, however they arrived: equal studies give equal payloads."""
    views = [image(seed=str(n), StudyInstanceUID=uid("s"), SeriesInstanceUID=f"1.2.{9 - n}") for n in range(3)]
    box.receive(*views)
    complete(box, NOW)
    claimed = claim(box)
    assert claimed is not None
    assert [one for one, _ in claimed.instances] == [str(view.SOPInstanceUID) for view in reversed(views)]
    assert all(box.spool.verify(digest) for _, digest in claimed.instances)


def test_a_late_image_takes_the_claim_away(box: SmallBox) -> None:
    """What is being read no longer covers the study."""
    study = box.receive(image())
    complete(box, NOW)
    claimed = claim(box)
    assert claimed is not None
    with reading(box.engine) as connection:
        assert still_ours(connection, claimed)
    box.admit(image(seed="1", StudyInstanceUID=study))
    with reading(box.engine) as connection:
        assert not still_ours(connection, claimed)


def test_a_study_with_nothing_on_its_way_settles(box: SmallBox) -> None:
    """Once, with its time and an event."""
    study = box.receive(image())
    decide(box, study)
    assert settles(box, study)
    assert not settles(box, study)
    assert (box.study(study).state, box.study(study).settled_at) == (StudyState.SETTLED, NOW + 9)


@pytest.mark.parametrize("state", [StudyState.RECEIVING, StudyState.COMPLETE, StudyState.TRIAGING])
def test_an_undecided_study_never_settles(box: SmallBox, state: StudyState) -> None:
    """There has to be a decision first."""
    study = box.receive(image())
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(state=state))
    assert not settles(box, study)


def test_an_unknown_study_never_settles(box: SmallBox) -> None:
    """A delivery may be about something this database does not know."""
    assert not settles(box, "1.2.3")


def test_an_escalated_study_waits_for_its_answer(box: SmallBox) -> None:
    """Delivered is not answered."""
    study = box.receive(image())
    decide(box, study, escalated=True)
    assert not settles(box, study)
    decide(box, study, answered_at=NOW)
    assert settles(box, study)


def test_a_delivery_on_its_way_or_parked_holds_the_study_open(box: SmallBox) -> None:
    """Waiting, leased and parked all mean that somebody still has to get it."""
    study = box.receive(image())
    decide(box, study)
    with writing(box.engine) as connection:
        number = enqueue(connection, request(study), NOW)
    assert not settles(box, study)
    with writing(box.engine) as connection:
        leased = lease(connection, "archive", "me", NOW, 60)
    assert leased is not None
    assert not settles(box, study)
    with writing(box.engine) as connection:
        outbox.park(connection, [number], "test", NOW)
    assert not settles(box, study)
    with writing(box.engine) as connection:
        outbox.retry(connection, [number], NOW)
        again = lease(connection, "archive", "me", NOW, 60)
        assert again is not None
        outbox.delivered(connection, again, "ok", NOW)
    assert settles(box, study)


def test_deliveries_of_an_earlier_revision_do_not_hold_it(box: SmallBox) -> None:
    """What was parked before the late image came is history."""
    study = box.receive(image())
    with writing(box.engine) as connection:
        enqueue(connection, request(study, revision=1), NOW)
    decide(box, study, revision=2)
    assert settles(box, study)
