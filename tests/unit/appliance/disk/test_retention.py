"""A study's files go only when all of it has arrived and its time is over; what is said about it stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from appliance.disk import removals as removing
from appliance.disk.days import recorded_days
from appliance.disk.retention import Retention
from appliance.disk.tables import deletions, removals
from appliance.errors import InstanceConflict, OutOfResources
from appliance.ingest.admit import Admitted
from appliance.ingest.commitment_verdict import Verdict, promise
from appliance.results.commitments import FailureReason
from appliance.schema import StudyState, heat_map_layers, instances, set_aside, studies, study_events
from appliance.triage.queue import settle_if_done
from appliance.web.study import study_view
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest, deliveries
from tests.dicom_factory import uid
from tests.small_box import NOW, SCANNER, SmallBox, image

DAY_S = 86_400.0
LATER = NOW + 31 * DAY_S
STUDY = uid("study 0")


def decided(box: SmallBox, *payloads: bytes, study: str = STUDY) -> None:
    """The study is decided, with a picture, and each payload is on its way to the archive."""
    picture = box.spool.keep_bytes(f"picture of {study}".encode()).digest
    with writing(box.engine) as connection:
        values = {"state": StudyState.DECIDED, "decision": "urgent", "heat_map": picture, "thumbnail": picture}
        connection.execute(update(studies).where(studies.c.study_instance_uid == study).values(**values))
        for number, content in enumerate(payloads):
            kept = box.spool.keep_bytes(content)
            key = f"{study} {number}"
            outbox.enqueue(connection, DeliveryRequest(key, study, 1, "report", "archive", 2, kept.digest,
                                                       kept.size_bytes, "application/dicom"), NOW)  # fmt: skip


def arrive(box: SmallBox, number: int = 100) -> None:
    """Up to ``number`` deliveries get their receipt, and the study settles when that was all."""
    for _ in range(number):
        with writing(box.engine) as connection:
            delivery = outbox.lease(connection, "archive", "test", NOW, 60.0)
            if delivery is None:
                return
            outbox.delivered(connection, delivery, "receipt", NOW)
            settle_if_done(connection, delivery.subject, NOW)


def tidy(box: SmallBox, now: float = LATER, keep_days: float | None = 30.0, *, keeps_committed: bool = True) -> None:
    """Let retention do all it finds."""
    retention = Retention(box.engine, box.spool, keep_days, keeps_committed=keeps_committed)
    while retention.step(now):
        pass


def objects(box: SmallBox) -> set[str]:
    """What lies in the spool."""
    return {path.name for path in (box.spool.root / "objects").glob("*/*")}


def kinds(box: SmallBox) -> list[str]:
    """What has happened to studies."""
    return [row.kind for row in box.rows(study_events)]


@pytest.fixture
def settled(box: SmallBox) -> SmallBox:
    """A box with one study of two images, its report delivered."""
    box.receive(image(), image(seed="1", StudyInstanceUID=STUDY))
    decided(box, b"report")
    arrive(box)
    assert box.study(STUDY).state == StudyState.SETTLED
    return box


def test_its_files_go_and_its_rows_stay(settled: SmallBox) -> None:
    """Images, report and pictures; decision, receipt and history are kept, and the page says what happened."""
    with writing(settled.engine) as connection:
        layer = {"sop_instance_uid": "1.2", "digest": settled.spool.keep_bytes(b"layer").digest}
        connection.execute(heat_map_layers.insert().values(study_instance_uid=STUDY, **layer))
    rows, receipts = settled.rows(instances), settled.rows(deliveries)
    freed = sum(path.stat().st_size for path in (settled.spool.root / "objects").glob("*/*"))
    tidy(settled)
    assert objects(settled) == set()
    assert settled.rows(instances) == rows
    assert settled.rows(deliveries) == receipts
    assert settled.study(STUDY).decision == "urgent"
    assert kinds(settled)[-2:] == ["deleting", "deleted"]
    assert settled.rows(removals) == []
    with reading(settled.engine) as connection:
        view = study_view(connection, STUDY, True)
        assert recorded_days(connection, LATER)[0].deleted_bytes == freed
    assert view is not None
    assert (view.deleted_at, view.heat_map) == (LATER, None)
    assert [one.receipt for one in view.row.deliveries] == ["receipt"]


def test_nothing_goes_unless_a_time_is_given(settled: SmallBox) -> None:
    """The default keeps all."""
    before = objects(settled)
    tidy(settled, NOW + 10_000 * DAY_S, keep_days=None)
    assert objects(settled) == before


def test_nothing_goes_before_its_time(settled: SmallBox) -> None:
    """Counted from when the study was settled, and from its last image."""
    before = objects(settled)
    tidy(settled, NOW + 30 * DAY_S - 1)
    assert objects(settled) == before
    with writing(settled.engine) as connection:
        connection.execute(update(studies).values(last_received_at=NOW + 5 * DAY_S))
    tidy(settled)
    assert objects(settled) == before


def test_nothing_unsent_goes(box: SmallBox) -> None:
    """One of two deliveries waits, is leased or is parked: all of the study stays, however long that takes."""
    box.receive(image())
    decided(box, b"report", b"picture")
    arrive(box, 1)
    before = objects(box)
    long_after = NOW + 3000 * DAY_S
    tidy(box, long_after)
    with writing(box.engine) as connection:
        delivery = outbox.lease(connection, "archive", "test", NOW, 60.0)
        assert delivery is not None
        outbox.refused(connection, delivery, "pacs_refused", "", NOW)
        # Even if something had called the study settled.
        connection.execute(update(studies).values(state=StudyState.SETTLED, settled_at=NOW))
    tidy(box, long_after)
    assert objects(box) == before


def test_an_earlier_revision_counts_too(settled: SmallBox) -> None:
    """What is parked of it still needs its payload."""
    with writing(settled.engine) as connection:
        connection.execute(update(studies).values(revision=2))
        connection.execute(update(deliveries).values(state="parked", receipt=None))
    before = objects(settled)
    tidy(settled)
    assert objects(settled) == before


def test_what_another_needs_stays(settled: SmallBox) -> None:
    """The same report is on its way for another study, and one image was also set aside."""
    settled.receive(image(seed="2", StudyInstanceUID="1.2.3"))
    decided(settled, b"report", study="1.2.3")
    aside = settled.rows(instances)[0].file_digest
    with writing(settled.engine) as connection:
        row = {"file_digest": aside, "reason": "test", "source": SCANNER, "received_at": NOW}
        connection.execute(set_aside.insert().values(**row))
    other = settled.rows(instances)[2].file_digest
    tidy(settled)
    report = settled.rows(deliveries)[0].payload
    picture = settled.study("1.2.3").heat_map
    assert objects(settled) == {aside, other, report, picture}
    assert settled.rows(removals) == []


def test_two_studies_of_the_same_bytes_both_end(settled: SmallBox) -> None:
    """The shared report goes with the last of them."""
    settled.receive(image(seed="2", StudyInstanceUID="1.2.3"))
    decided(settled, b"report", study="1.2.3")
    arrive(settled)
    tidy(settled)
    assert objects(settled) == set()
    assert [row.state for row in settled.rows(deletions)] == ["removed", "removed"]


def test_small_steps(settled: SmallBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few files at a time, so that reception waits for no more than that."""
    monkeypatch.setattr(removing, "OBJECTS_PER_STEP", 1)
    retention = Retention(settled.engine, settled.spool, 30.0)
    left = []
    while retention.step(LATER):
        left.append(len(objects(settled)))
    assert left[:5] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("killed_before", ["unlink", "sync_folder", "delete"])
def test_a_kill_in_between_is_gone_on_from(
    settled: SmallBox, monkeypatch: pytest.MonkeyPatch, killed_before: str
) -> None:
    """Rows say what is going: the next process finishes it, and nothing refers to what is gone."""

    class Killed(BaseException):
        """The process ends here."""

    def die(*_arguments: object) -> None:
        raise Killed

    def interrupted() -> None:
        with pytest.raises(Killed):
            tidy(settled)

    with monkeypatch.context() as patched:
        patched.setattr(Path if killed_before == "unlink" else removing, killed_before, die)
        interrupted()
    assert settled.count(removals) > 0
    assert settled.rows(deletions)[0].state == "removing"
    tidy(settled)
    assert objects(settled) == set()
    assert settled.rows(deletions)[0].state == "removed"
    assert kinds(settled).count("deleted") == 1


def test_the_same_image_again_is_kept_anew_and_read_by_nobody(settled: SmallBox) -> None:
    """Acknowledged because it is durable again; the decision covers it already; its time begins anew."""
    tidy(settled)
    again = LATER + 5 * DAY_S
    assert settled.admit(image(), now=again)[0] is Admitted.ALREADY_HELD
    assert settled.admit(image(), now=again)[0] is Admitted.ALREADY_HELD
    study = settled.study(STUDY)
    assert (study.state, study.revision, study.decision) == (StudyState.SETTLED, 1, "urgent")
    assert settled.spool.verify(settled.rows(instances)[0].file_digest)
    assert kinds(settled).count("arrived_again") == 1
    tidy(settled, again + 29 * DAY_S)
    assert len(objects(settled)) == 1
    tidy(settled, again + 31 * DAY_S)
    assert objects(settled) == set()
    assert [row.state for row in settled.rows(deletions)] == ["superseded", "removed"]


def test_another_image_reopens_the_study(settled: SmallBox) -> None:
    """A late image is a late image; the page no longer says that all is deleted."""
    tidy(settled)
    settled.admit(image(seed="late", StudyInstanceUID=STUDY), now=LATER)
    study = settled.study(STUDY)
    assert (study.state, study.revision, study.instance_count) == (StudyState.RECEIVING, 2, 3)
    with reading(settled.engine) as connection:
        view = study_view(connection, STUDY, True)
    assert view is not None
    assert view.deleted_at is None


def test_other_bytes_of_a_deleted_image_are_taken_as_new(settled: SmallBox) -> None:
    """Nobody can tell any more whether it is the same: it is kept, and read."""
    changed = image(PatientName="Phantom^Other")
    with pytest.raises(InstanceConflict):
        settled.admit(changed)
    with writing(settled.engine) as connection:
        connection.execute(set_aside.delete())
    tidy(settled)
    assert settled.admit(changed, now=LATER)[0] is Admitted.STORED
    study = settled.study(STUDY)
    assert (study.state, study.revision, study.instance_count) == (StudyState.RECEIVING, 2, 2)
    assert all(settled.spool.holds(row.file_digest) for row in settled.rows(instances)[:1])


def test_an_image_that_arrives_while_it_is_removed_is_not_acknowledged(
    settled: SmallBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept, then unlinked by the other process before its row is written: the sender is told to send it again."""
    keep: Callable[..., object] = settled.spool.keep

    def keep_and_lose(path: Path) -> object:
        kept = keep(path)
        tidy(settled)
        return kept

    monkeypatch.setattr(settled.spool, "keep", keep_and_lose)
    with pytest.raises(OutOfResources, match="send it again"):
        settled.admit(image())
    monkeypatch.undo()
    assert settled.count(set_aside) == 0
    assert settled.admit(image(), now=LATER)[0] is Admitted.ALREADY_HELD
    assert settled.spool.verify(settled.rows(instances)[0].file_digest)


def test_a_removal_that_is_overtaken_lets_the_file_stand(settled: SmallBox) -> None:
    """The rows say that it goes; the image comes again before it has gone."""
    retention = Retention(settled.engine, settled.spool, 30.0)
    assert retention.step(LATER)
    assert settled.count(removals) == 4
    before = objects(settled)
    settled.admit(image(), now=LATER)
    while retention.step(LATER + 1):
        pass
    assert objects(settled) >= before - {settled.rows(deliveries)[0].payload} - _pictures(before, settled)
    assert all(settled.spool.verify(row.file_digest) for row in settled.rows(instances))


def _pictures(names: set[str], box: SmallBox) -> set[str]:
    with reading(box.engine) as connection:
        kept = set(connection.execute(select(instances.c.file_digest)).scalars())
    return names - kept


def test_looking_rests_between_two_rounds(settled: SmallBox) -> None:
    """A box with nothing to delete does not look all day; a clock set back does not put it off."""
    retention = Retention(settled.engine, settled.spool, 30.0)
    while retention.step(NOW):
        pass
    assert not retention.step(NOW + 599.0)
    with writing(settled.engine) as connection:
        connection.execute(update(studies).values(settled_at=NOW - 40 * DAY_S, last_received_at=NOW - 40 * DAY_S))
    assert not retention.step(NOW + 599.0)
    assert retention.step(NOW - 5 * DAY_S)


def test_what_was_promised_is_kept(settled: SmallBox) -> None:
    """A commitment given before retention was switched on holds, unless the configuration says in words that not."""
    row = settled.rows(instances)[0]
    reference = (row.sop_class_uid, row.sop_instance_uid)
    assert promise(settled.engine, Verdict((reference,), ()), NOW).committed == (reference,)
    tidy(settled)
    assert settled.spool.holds(row.file_digest)
    tidy(settled, keeps_committed=False)
    assert not settled.spool.holds(row.file_digest)


def test_what_is_being_deleted_cannot_be_promised(settled: SmallBox) -> None:
    """It was found a moment before its study's time was over: no such object instance."""
    row = settled.rows(instances)[0]
    reference = (row.sop_class_uid, row.sop_instance_uid)
    Retention(settled.engine, settled.spool, 30.0).step(LATER)
    assert settled.spool.holds(row.file_digest)
    verdict = promise(settled.engine, Verdict((reference,), ()), LATER)
    assert verdict == Verdict((), ((reference, FailureReason.NO_SUCH_OBJECT_INSTANCE),))
