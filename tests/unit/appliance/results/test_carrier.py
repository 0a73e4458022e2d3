"""A result is done when the PACS has committed to keep it, where it offers that: against a real peer on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import Row, event, update

from appliance.disk.retention import may_be_deleted
from appliance.lane import Lane
from appliance.results.carrier import PacsCarrier
from appliance.results.commitments import awaited, commitments, last_receipt
from appliance.schema import StudyState, studies
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest, deliveries, delivery_events
from tests.committing_archive import CommittingArchive, report, send_report
from tests.dicom_factory import as_bytes
from tests.listening_box import Listen
from tests.small_box import NOW, MakeBox, SmallBox, image

GIVEN_TIME_S = 3600.0


def going_on() -> bool:
    """Nobody has asked for a stop."""
    return False


class Site:
    """A box, its receiver, an archive, and the lane between them."""

    def __init__(self, make_box: MakeBox, listen: Listen, archive: CommittingArchive, **pacs: Any) -> None:
        peer = {"name": "archive", "host": "127.0.0.1", "port": archive.port, "ae_title": "ARCHIVE"}
        other = {"name": "other", "host": "127.0.0.1", "port": 9, "ae_title": "OTHER"}
        pacs.setdefault("commitment_hold_s", 0)
        self.box: SmallBox = make_box(pacs=[peer | pacs, other])
        self.port = listen(self.box).port
        self.archive = archive
        self.lane = self.new_lane()
        self.enqueue()

    def new_lane(self) -> Lane:
        """The lane of an uplink process that has just started."""
        peer = self.box.settings.pacs[0]
        carrier = PacsCarrier(peer, "SCANSIDE", self.box.engine)
        return Lane(peer.name, "pacs", carrier, self.box.engine, self.box.spool, 300.0)

    def enqueue(self, seed: str = "0", subject: str = "1.2") -> None:
        """One more result for the archive."""
        stored = self.box.spool.keep_bytes(as_bytes(image(seed=seed)))
        asked = DeliveryRequest(
            f"{subject}:{seed}", subject, 1, "picture", "archive", 2, stored.digest, stored.size_bytes, "a/b"
        )
        with writing(self.box.engine) as connection:
            outbox.enqueue(connection, asked, 0.0)

    def step(self) -> Row[Any]:
        """One attempt, which has to be due; the first delivery after it."""
        assert self.lane.step(going_on)
        return self.delivery()

    def delivery(self) -> Row[Any]:
        """The first delivery."""
        return self.box.rows(deliveries)[0]

    def time_passes(self) -> None:
        """Whatever waits has waited long enough."""
        with writing(self.box.engine) as connection:
            connection.execute(update(deliveries).values(next_at=0.0))

    def reports(self, failure_reason: int | None = None, which: int = -1, **more: Any) -> int | None:
        """The archive reports on what it was asked, on an association of its own; the status it gets."""
        information = report(self.archive.asked[which], failure_reason)
        return send_report(self.port, information, 1 if failure_reason is None else 2, **more)

    def causes(self) -> list[str]:
        """The causes in the history of the first delivery."""
        return [row.cause for row in self.box.rows(delivery_events) if row.delivery_id == 1 and row.cause]


MakeSite = Callable[..., Site]


@pytest.fixture
def archive() -> Iterator[CommittingArchive]:
    """An archive that commits."""
    with CommittingArchive().serving() as archive:
        yield archive


@pytest.fixture
def make_site(make_box: MakeBox, listen: Listen, archive: CommittingArchive) -> MakeSite:
    """A maker of sites with that archive, or another."""

    def make(other: CommittingArchive | None = None, **pacs: Any) -> Site:
        return Site(make_box, listen, other or archive, **pacs)

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """One whose archive reports when a test says so."""
    return make_site()


def test_a_report_on_the_same_association(make_site: MakeSite, archive: CommittingArchive) -> None:
    """The archive commits while the association is held; one attempt is enough, and the receipt says committed."""
    archive.on_same_association = True
    site = make_site(commitment_hold_s=20)
    row = site.step()
    assert (row.state, row.attempts) == ("delivered", 1)
    assert row.receipt == f"committed; transaction {archive.transactions[0]}, stored with status 0x0000"
    assert archive.stored == [archive.asked[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID]


def test_a_report_on_a_later_association(site: Site) -> None:
    """Stored is not delivered: it waits without a failure until the archive reports, and is not stored again."""
    row = site.step()
    assert (row.state, row.cause, row.failures, row.receipt) == ("waiting", "commitment_awaited", 0, None)
    assert GIVEN_TIME_S - 60 < row.next_at - time.time() <= GIVEN_TIME_S
    assert not site.lane.step(going_on)
    assert site.reports() == 0x0000
    row = site.step()
    assert (row.state, row.attempts, row.failures) == ("delivered", 2, 0)
    assert row.receipt.startswith(f"committed; transaction {site.archive.transactions[0]}")
    assert (len(site.archive.stored), len(site.archive.asked)) == (1, 1)
    assert site.causes() == ["commitment_awaited", "commitment_reported"]


def test_the_lane_goes_on_meanwhile(site: Site) -> None:
    """What is behind it in the queue does not wait for the archive to make up its mind."""
    site.enqueue("1")
    site.step()
    site.step()
    assert len(site.archive.stored) == 2
    assert [row.cause for row in site.box.rows(deliveries)] == ["commitment_awaited"] * 2
    with reading(site.box.engine) as connection:
        assert (awaited(connection, "archive"), awaited(connection, "other")) == (2, 0)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (0x0110, "processing failure (0x0110)"),
        (0x0112, "no such object instance (0x0112)"),
        (0x0213, "resource limitation (0x0213)"),
        (0xA123, "a reason of its own (0xa123)"),
    ],
)
def test_what_it_does_not_have_is_stored_again(site: Site, reason: int, words: str) -> None:
    """After a pause, with the archive's reason in the history, and under a new transaction."""
    site.step()
    assert site.reports(reason) == 0x0000
    row = site.step()
    assert (row.state, row.cause, row.failures) == ("waiting", "pacs_commitment_failed", 1)
    assert words in row.detail
    assert len(site.archive.stored) == 1
    site.time_passes()
    site.step()
    assert len(site.archive.stored) == 2
    assert len(set(site.archive.transactions)) == 2
    assert site.reports() == 0x0000
    assert site.step().state == "delivered"


@pytest.mark.parametrize(("reason", "words"), [(0x0119, "class / instance conflict"), (0x0122, "not supported")])
def test_what_it_will_never_keep_is_parked(site: Site, reason: int, words: str) -> None:
    """Storing it again cannot help; a person can have it tried again, from the start."""
    site.step()
    assert site.reports(reason) == 0x0000
    row = site.step()
    assert (row.state, row.cause) == ("parked", "pacs_commitment_failed")
    assert words in row.detail
    with writing(site.box.engine) as connection:
        outbox.retry(connection, [row.id], time.time())
    assert site.step().cause == "commitment_awaited"
    assert len(site.archive.stored) == 2


def test_a_duplicate_transaction_gets_another(site: Site) -> None:
    """The instance is there; only the transaction has to be a new one."""
    site.step()
    site.reports(0x0131)
    assert site.step().failures == 1
    site.time_passes()
    site.step()
    assert len(site.archive.stored) == 1
    assert len(set(site.archive.transactions)) == 2


def test_a_silent_archive_is_asked_again(site: Site) -> None:
    """Under a new transaction each time, without end and without storing anew; a report that comes late counts."""
    for failures in (1, 2, 3):
        assert site.step().cause == "commitment_awaited"
        site.time_passes()
        row = site.step()
        assert (row.state, row.cause, row.failures) == ("waiting", "pacs_commitment_silent", failures)
        site.time_passes()
    assert (len(site.archive.stored), len(set(site.archive.transactions))) == (1, 3)
    assert site.reports(which=0) == 0x0000
    assert site.step().state == "delivered"
    assert site.archive.transactions[0] in site.delivery().receipt


def test_an_archive_without_commitment(make_site: MakeSite) -> None:
    """Done after the successful status, and the receipt says so; where commitment is required, a person is needed."""
    with CommittingArchive(commits=False).serving() as archive:
        site = make_site(archive)
        assert site.step().receipt == "stored, peer offers no commitment; status 0x0000"
        with reading(site.box.engine) as connection:
            assert last_receipt(connection, "archive") == "stored, peer offers no commitment"
    assert site.box.count(commitments) == 0


def test_commitment_required(make_site: MakeSite) -> None:
    """It is stored all the same, but not done."""
    with CommittingArchive(commits=False).serving() as archive:
        row = make_site(archive, commitment="required").step()
    assert (row.state, row.cause, row.receipt) == ("parked", "pacs_no_commitment", None)
    assert len(archive.stored) == 1


def test_commitment_never(make_site: MakeSite, archive: CommittingArchive) -> None:
    """It is not asked for, and the receipt does not pretend that the archive had no such offer."""
    site = make_site(commitment="never")
    assert site.step().receipt == "stored, commitment not asked for; status 0x0000"
    assert archive.asked == []


@pytest.mark.parametrize(
    ("status", "state", "cause"),
    [
        (0x0110, "waiting", "pacs_commitment_not_taken"),
        (0x0213, "waiting", "pacs_commitment_not_taken"),
        (0x0124, "parked", "pacs_commitment_refused"),
    ],
)
def test_a_request_that_is_not_taken(make_site: MakeSite, status: int, state: str, cause: str) -> None:
    """A failure status means that nothing will be committed; the next attempt asks, and does not store again."""
    with CommittingArchive(action_status=status).serving() as archive:
        site = make_site(archive)
        row = site.step()
        assert (row.state, row.cause) == (state, cause)
        assert f"{status:#06x}" in row.detail
        archive.action_status = 0x0000
        with writing(site.box.engine) as connection:
            outbox.retry(connection, [row.id], time.time())
        assert site.step().cause == "commitment_awaited"
    assert (len(archive.stored), len(archive.asked)) == (1, 2)


def test_a_report_that_is_repeated(site: Site) -> None:
    """It is answered with success each time and changes nothing; nor does one that says the opposite."""
    site.step()
    assert site.reports() == 0x0000
    (before,) = site.box.rows(commitments)
    assert site.reports() == 0x0000
    assert site.reports(0x0112) == 0x0000
    assert site.box.rows(commitments) == [before]
    site.step()
    delivered = site.delivery()
    assert site.reports() == 0x0000
    assert site.delivery() == delivered


def _unknown(asked: Dataset) -> Dataset:
    return report(asked, transaction_uid="1.2.3")


def _about_another(asked: Dataset) -> Dataset:
    information = report(asked)
    information.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    return information


def _without_transaction(asked: Dataset) -> Dataset:
    information = report(asked)
    del information.TransactionUID
    return information


def _without_reason(asked: Dataset) -> Dataset:
    information = report(asked, 0x0112)
    del information.FailedSOPSequence[0].FailureReason
    return information


@pytest.mark.parametrize("make", [_unknown, _about_another, _without_transaction, _without_reason])
def test_a_report_that_fits_nothing(site: Site, make: Callable[[Dataset], Dataset]) -> None:
    """Invalid Argument Value (PS3.7 C.5.3), and nothing changes."""
    site.step()
    before = site.delivery(), site.box.rows(commitments)
    assert send_report(site.port, make(site.archive.asked[0])) == 0x0115
    assert (site.delivery(), site.box.rows(commitments)) == before


def test_an_event_that_is_none(site: Site) -> None:
    """Another event type, and another instance than the well-known one."""
    site.step()
    information = report(site.archive.asked[0])
    assert send_report(site.port, information, 3) == 0x0113
    assert send_report(site.port, information, instance_uid="1.2.3") == 0x0112
    assert site.delivery().cause == "commitment_awaited"


def test_a_report_from_another_pacs(site: Site) -> None:
    """One that is configured but was not asked cannot speak for the one that was."""
    site.step()
    assert site.reports(ae_title="OTHER") == 0x0115
    assert site.delivery().cause == "commitment_awaited"


def test_reports_are_for_configured_peers_only(site: Site) -> None:
    """A stranger finds the presentation context refused."""
    site.step()
    assert site.reports(ae_title="STRANGER") is None
    assert site.box.rows(commitments)[0].outcome is None


def test_reports_come_from_the_peers_own_addresses(make_box: MakeBox, listen: Listen) -> None:
    """The right AE title from elsewhere is a stranger; further addresses can be named."""
    information = report(_asked())
    peer = {"name": "archive", "host": "192.0.2.1", "port": 104, "ae_title": "ARCHIVE"}
    for more, answer in (({}, None), ({"report_hosts": ["127.0.0.1"]}, 0x0115), ({"commitment": "never"}, None)):
        box = make_box(f"box-{len(more)}-{answer}", pacs=[peer | more])
        assert send_report(listen(box).port, information) == answer


def _asked() -> Dataset:
    item, asked = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2", "1.3"
    asked.TransactionUID, asked.ReferencedSOPSequence = "1.4", [item]
    return asked


def test_a_pacs_that_may_not_send_may_report(make_box: MakeBox, listen: Listen) -> None:
    """Where peers are configured, a PACS need not be among them, and still cannot store."""
    peer = {"name": "archive", "host": "127.0.0.1", "port": 9, "ae_title": "ARCHIVE"}
    box = make_box(pacs=[peer], dicom={"peers": {"SCANNER": {}}})
    scanner = listen(box)
    assert send_report(scanner.port, report(_asked())) == 0x0115
    scanner.ae_title = "ARCHIVE"
    association = scanner.open(image())
    assert [one.abstract_syntax for one in association.accepted_contexts] == ["1.2.840.10008.1.1"]
    association.release()


def test_a_report_that_cannot_be_written(site: Site) -> None:
    """Resource Limitation instead of success, and the box asks again in its time."""
    site.step()

    def read_only(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA query_only = 1")

    def as_it_was(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA query_only = 0")

    event.listen(site.box.engine, "checkout", read_only)
    assert site.reports() == 0x0213
    event.remove(site.box.engine, "checkout", read_only)
    event.listen(site.box.engine, "checkout", as_it_was)
    assert site.box.rows(commitments)[0].outcome is None
    assert site.reports() == 0x0000
    assert site.step().state == "delivered"


def test_the_report_comes_before_the_lane_is_done(site: Site) -> None:
    """An archive can be quicker than we: what is reported while the attempt still holds its lease is not missed."""
    with writing(site.box.engine) as connection:
        held = outbox.lease(connection, "archive", "uplink", time.time(), 60.0)
    assert held is not None
    path = site.box.spool.file(held.payload)
    with pytest.raises(Exception, match="commitment_awaited"):
        PacsCarrier(site.box.settings.pacs[0], "SCANSIDE", site.box.engine).carry(path, held, going_on)
    assert site.reports() == 0x0000
    with writing(site.box.engine) as connection:
        outbox.awaiting(connection, held, "commitment_awaited", "", time.time())
    assert site.step().state == "delivered"


@pytest.mark.parametrize("reported", [True, False])
def test_an_uplink_that_is_killed_meanwhile(site: Site, reported: bool) -> None:
    """Between the request and what is written about it: the successor settles what was reported, else asks again."""
    with writing(site.box.engine) as connection:
        held = outbox.lease(connection, "archive", "killed", time.time(), 60.0)
    assert held is not None
    path = site.box.spool.file(held.payload)
    with pytest.raises(Exception, match="commitment_awaited"):
        PacsCarrier(site.box.settings.pacs[0], "SCANSIDE", site.box.engine).carry(path, held, going_on)
    if reported:
        assert site.reports() == 0x0000
    with writing(site.box.engine) as connection:
        outbox.take_back(connection, "archive", time.time())
    site.lane = site.new_lane()
    row = site.step()
    if not reported:
        assert row.cause == "pacs_commitment_silent"
        site.time_passes()
        assert site.step().cause == "commitment_awaited"
        assert site.reports() == 0x0000
        row = site.step()
    assert row.state == "delivered"
    assert len(site.archive.stored) == 1


def test_a_report_on_what_a_person_set_aside(site: Site) -> None:
    """It stays aside; once it is retried, it is done without another word to the archive."""
    row = site.step()
    with writing(site.box.engine) as connection:
        outbox.park(connection, [row.id], "parked_by_person", time.time())
    assert site.reports() == 0x0000
    assert site.delivery().state == "parked"
    with writing(site.box.engine) as connection:
        outbox.retry(connection, [row.id], time.time())
    assert site.step().state == "delivered"
    assert len(site.archive.asked) == 1


def test_retention_waits_for_the_report(site: Site) -> None:
    """Stored is not enough to delete what it was made from."""

    def deletable() -> bool:
        with reading(site.box.engine) as connection:
            found = connection.scalar(studies.select().where(may_be_deleted(NOW + 10)))
        return found is not None

    uid = site.box.receive(image())
    site.enqueue("of the study", uid)
    with writing(site.box.engine) as connection:
        connection.execute(update(studies).values(state=StudyState.SETTLED, settled_at=NOW))
    site.step()
    site.step()
    assert not deletable()
    site.reports()
    site.step()
    assert [row.state for row in site.box.rows(deliveries) if row.subject == uid] == ["delivered"]
    assert deletable()
