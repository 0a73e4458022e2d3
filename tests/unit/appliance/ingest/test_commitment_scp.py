"""Storage commitment asked of us by a real SCU on loopback: the answers, the verdicts, and the way of the report."""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from sqlalchemy import Row

from appliance.demo.stage import free_port
from appliance.ingest.commitment_reporter import CommitmentReporter
from appliance.ingest.commitment_reports import NotReported, report_to
from appliance.ingest.commitment_requests import Owed, commitment_requests, deferred, next_owed, owed
from appliance.ingest.receiver import storage_sop_classes
from appliance.schema import instances
from appliance.settings import PacsTls, ReportAddress
from appliance.web.views import status
from store_forward.database import reading, writing
from tests.certificates import Authority, Identity
from tests.dicom_factory import uid
from tests.listening_box import DEADLINE_S, Listen, wait_until
from tests.modality import Modality, reference, request
from tests.small_box import NOW, SCANNER, MakeBox, SmallBox, image

_AT_ONCE = {"wait_s": 0}


def _running() -> bool:
    return False


def _reporter(box: SmallBox) -> CommitmentReporter:
    return CommitmentReporter(box.settings, box.engine, box.spool, storage_sop_classes())


def _row(box: SmallBox) -> Row[tuple[object, ...]]:
    (row,) = box.rows(commitment_requests)
    return row


def _named(information: Dataset) -> set[str]:
    return {str(one.ReferencedSOPInstanceUID) for one in information.get("ReferencedSOPSequence") or ()}


def _reasons(information: Dataset) -> dict[str, int]:
    failed = information.get("FailedSOPSequence") or ()
    return {str(one.ReferencedSOPInstanceUID): int(one.FailureReason) for one in failed}


def _asked(box: SmallBox, information: Dataset, modality: Modality) -> tuple[int, Dataset]:
    """Ask, keep the association, and return the report that comes on it."""
    with modality.associated() as association:
        assert modality.ask(association, information) == 0x0000
        report = modality.reports.get(timeout=DEADLINE_S)
        wait_until(lambda: _row(box).state != Owed.OWED, "the report to be noted")
    return report


def test_what_is_here_is_committed(make_box: MakeBox, listen: Listen) -> None:
    """The report comes on the same association, which is still open, and names what was asked."""
    box = make_box(commitment=_AT_ONCE)
    box.admit(image())
    modality = Modality(listen(box).port)
    event_type, information = _asked(box, request(reference(image())), modality)
    assert (event_type, information.TransactionUID) == (1, uid("transaction"))
    assert (_named(information), _reasons(information)) == ({image().SOPInstanceUID}, {})
    assert modality.on_same == [True]
    row = _row(box)
    assert (row.state, row.committed, row.failed, row.references) == (Owed.REPORTED, 1, 0, [])
    assert box.rows(instances)[0].committed_at is not None


def test_what_is_not_here_as_it_came_is_not(make_box: MakeBox, listen: Listen) -> None:
    """Each with its Failure Reason (PS3.3 C.14.1.1): unknown, another class, a class never taken, damaged."""
    box = make_box(commitment=_AT_ONCE)
    here, damaged, gone = (image(seed=str(n)) for n in range(3))
    for one in (here, damaged, gone):
        box.admit(one)
    files = {row.sop_instance_uid: box.spool.path(row.file_digest) for row in box.rows(instances)}
    spoiled = files[damaged.SOPInstanceUID]
    spoiled.write_bytes(spoiled.read_bytes()[:-2] + b"??")
    files[gone.SOPInstanceUID].unlink()
    other_class, no_class, unknown = reference(image(seed="3")), reference(image(seed="4")), reference(image(seed="5"))
    box.admit(image(seed="3"))
    other_class.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    no_class.ReferencedSOPClassUID = "1.2.3.4"
    asked = [*(reference(one) for one in (here, damaged, gone)), other_class, no_class, unknown]
    modality = Modality(listen(box).port)
    event_type, information = _asked(box, request(*asked), modality)
    assert event_type == 2
    assert _named(information) == {here.SOPInstanceUID}
    assert _reasons(information) == {
        damaged.SOPInstanceUID: 0x0110,
        gone.SOPInstanceUID: 0x0112,
        other_class.ReferencedSOPInstanceUID: 0x0119,
        no_class.ReferencedSOPInstanceUID: 0x0122,
        unknown.ReferencedSOPInstanceUID: 0x0112,
    }


def test_the_report_on_an_association_of_our_own(make_box: MakeBox, listen: Listen) -> None:
    """Who asks and releases gets it at the configured address."""
    with ExitStack() as stack:
        modality = Modality(0)
        port = stack.enter_context(modality.listening())
        box = make_box(dicom={"peers": {SCANNER: {"report_host": "127.0.0.1", "report_port": port}}})
        box.admit(image())
        modality.port = listen(box).port
        with modality.associated() as association:
            assert modality.ask(association, request(reference(image()))) == 0x0000
        wait_until(lambda: _reporter(box).step(_running), "the request to be handed over")
        event_type, information = modality.reports.get(timeout=DEADLINE_S)
    assert (event_type, _named(information), modality.on_same) == (1, {image().SOPInstanceUID}, [False])
    assert _row(box).state == Owed.REPORTED


def test_a_pacs_gets_it_where_its_results_go(make_box: MakeBox) -> None:
    """Without an entry of its own."""
    box = make_box(pacs=[{"name": "archive", "host": "192.0.2.1", "port": 104, "ae_title": "ARCHIVE"}])
    assert box.settings.report_address_for("ARCHIVE") == ("192.0.2.1", 104, None)
    assert box.settings.report_address_for(SCANNER) is None


def _ask_and_go(modality: Modality, *informations: Dataset) -> None:
    with modality.associated() as association:
        for information in informations:
            assert modality.ask(association, information) == 0x0000


def _due(box: SmallBox) -> Callable[[], bool]:
    def due() -> bool:
        with reading(box.engine) as connection:
            return next_owed(connection, time.time()) is not None

    return due


def test_a_peer_that_is_away_is_tried_again(make_box: MakeBox, listen: Listen) -> None:
    """One attempt for all that it is owed; at a start, and after each pause, the next; then it gets all of it."""
    port = free_port()
    box = make_box(dicom={"peers": {SCANNER: {"report_host": "127.0.0.1", "report_port": port}}})
    modality = Modality(listen(box).port)
    _ask_and_go(modality, *(request(reference(image()), transaction_uid=uid(f"t{n}")) for n in range(2)))
    wait_until(lambda: all(row.next_at <= time.time() for row in box.rows(commitment_requests)), "both to be due")
    reporter = _reporter(box)
    assert reporter.step(_running)
    rows = box.rows(commitment_requests)
    assert [(row.state, row.failures, row.cause) for row in rows] == [(Owed.OWED, 1, "unreachable")] * 2
    stop = threading.Event()
    with modality.listening(port):
        running = threading.Thread(target=_reporter(box).run, args=(stop,))
        running.start()
        asked = {str(modality.reports.get(timeout=DEADLINE_S)[1].TransactionUID) for _ in range(2)}
        wait_until(lambda: all(row.state == Owed.REPORTED for row in box.rows(commitment_requests)), "both reports")
        stop.set()
        running.join()
    assert asked == {uid("t0"), uid("t1")}


@pytest.mark.parametrize(
    ("sop_class", "welcome", "cause"),
    [(StorageCommitmentPushModel, False, "association_refused"), (Verification, True, "no_context")],
)
def test_who_turns_the_report_away(sop_class: str, welcome: bool, cause: str) -> None:
    """It does not know us, or takes no reports: the cause says which, and what to look at."""
    ae = AE(ae_title=SCANNER)
    ae.require_calling_aet = [] if welcome else ["SOMEBODY"]
    ae.add_supported_context(sop_class)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    try:
        with pytest.raises(NotReported) as refused:
            address = ReportAddress("127.0.0.1", server.server_address[1], None)
            report_to(address, ("SCANSIDE", SCANNER), 1, Dataset(), DEADLINE_S)
    finally:
        server.shutdown()
    assert (refused.value.cause, refused.value.peer) == (cause, True)


def test_a_peer_that_comes_by_tls_gets_its_reports_so(tmp_path: Path, make_box: MakeBox) -> None:
    """With our certificate and the authorities that vouch for those who call; to nobody else it is given."""
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    own = authority.vouch("box.example.org")
    tls = {"certificate": own.certificate, "private_key": own.private_key, "client_ca": authority.ca}
    peer = {"report_host": "127.0.0.1", "report_port": 104, "certificates": ["modality.example.org"]}
    box = make_box(dicom={"tls": tls, "peers": {SCANNER: peer, "PLAIN": {"report_host": "127.0.0.1"}}})
    plain, address = (box.settings.report_address_for(title) for title in ("PLAIN", SCANNER))
    assert plain is not None and plain.tls is None
    assert address is not None and address.tls is not None
    modality = Modality(0)
    with modality.listening(tls=_server(authority.vouch("127.0.0.1"), authority)) as port:
        report_to(address._replace(port=port), ("SCANSIDE", SCANNER), 1, request(reference(image())), DEADLINE_S)
    assert modality.reports.get(timeout=DEADLINE_S)[0] == 1
    with modality.listening(tls=_server(other.vouch("127.0.0.1"), other)) as port, pytest.raises(NotReported) as failed:
        report_to(address._replace(port=port), ("SCANSIDE", SCANNER), 1, request(reference(image())), DEADLINE_S)
    assert failed.value.cause == "tls_failed"
    missing = address._replace(tls=PacsTls(ca=tmp_path / "missing.pem"))
    with pytest.raises(NotReported, match="tls_unusable"):
        report_to(missing, ("SCANSIDE", SCANNER), 1, request(reference(image())), DEADLINE_S)


def _server(its: Identity, authority: Authority) -> ssl.SSLContext:
    """A modality that shows ``its`` certificate and asks for one of ``authority``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.ca))
    context.load_cert_chain(its.certificate, its.private_key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_without_an_address_there_is_a_cause_to_read(box: SmallBox, listen: Listen) -> None:
    """The request stays, for the address may still be entered."""
    modality = Modality(listen(box).port)
    _ask_and_go(modality, request(reference(image())))
    wait_until(_due(box), "the request to be handed over")
    assert _reporter(box).step(_running)
    assert (_row(box).state, _row(box).cause) == (Owed.OWED, "no_report_address")
    with reading(box.engine) as connection:
        notices = status(connection, box.settings, box.spool, time.time()).notices
    assert f"1 report on storage commitment for {SCANNER}: enter its report_host." in [one.text for one in notices]


@pytest.mark.parametrize(("answer", "state"), [(0x0115, Owed.REFUSED), (0x0110, Owed.OWED), (0x0213, Owed.OWED)])
def test_who_does_not_take_the_report(make_box: MakeBox, listen: Listen, answer: int, state: Owed) -> None:
    """A transaction that its asker does not know is over; a failure that may pass is tried again."""
    box = make_box(commitment=_AT_ONCE)
    modality = Modality(listen(box).port, answers=answer)
    with modality.associated() as association:
        modality.ask(association, request(reference(image())))
        modality.reports.get(timeout=DEADLINE_S)
        wait_until(lambda: _row(box).state != Owed.OWED or _due(box)(), "the answer to be noted")
    assert _row(box).state == state


def test_a_report_nobody_takes_is_given_up(make_box: MakeBox, listen: Listen) -> None:
    """After ``give_up_days``, and not before."""
    box = make_box(commitment={"give_up_days": 1})
    modality = Modality(listen(box).port)
    _ask_and_go(modality, request(reference(image())))
    with writing(box.engine) as connection:
        asked = owed(connection, _row(box).id)
        assert asked is not None
        rng, day = random.Random(0), 86_400.0
        soon, late = asked.asked_at + day - 1, asked.asked_at + day + 1
        assert deferred(connection, asked, "unreachable", day, soon, rng, peer=True) is not None
        assert deferred(connection, asked, "unreachable", day, late, rng, peer=True) is None
    assert (_row(box).state, _row(box).cause) == (Owed.GIVEN_UP, "unreachable")


def test_asked_twice_in_the_same_words(make_box: MakeBox, listen: Listen) -> None:
    """Who did not read our answer asks again: one request, one report."""
    box = make_box(commitment={"wait_s": 60})
    modality = Modality(listen(box).port)
    _ask_and_go(modality, request(reference(image())), request(reference(image())))
    assert box.count(commitment_requests) == 1


def test_a_transaction_uid_that_is_in_use(make_box: MakeBox, listen: Listen) -> None:
    """All of the second request fails with 0x0131, although its image is here; the first is reported as ever."""
    box = make_box(commitment=_AT_ONCE)
    box.admit(image())
    box.admit(image(seed="1"))
    modality = Modality(listen(box).port)
    modality.held.clear()
    with modality.associated() as association:
        modality.ask(association, request(reference(image())))
        modality.ask(association, request(reference(image(seed="1"))))
        modality.held.set()
        first, second = (modality.reports.get(timeout=DEADLINE_S) for _ in range(2))
    assert (first[0], _named(first[1])) == (1, {image().SOPInstanceUID})
    assert (second[0], _reasons(second[1])) == (2, {image(seed="1").SOPInstanceUID: 0x0131})


def test_an_image_that_comes_before_the_answer(make_box: MakeBox, listen: Listen) -> None:
    """A request on the association of a report is served, not taken for the report's answer."""
    box = make_box(commitment=_AT_ONCE)
    scanner = listen(box)
    modality = Modality(scanner.port)
    modality.held.clear()
    with modality.associated() as association:
        modality.ask(association, request(reference(image())))
        answer = association.send_c_echo()
        assert answer.Status == 0x0000
        modality.held.set()
        modality.reports.get(timeout=DEADLINE_S)
        wait_until(lambda: _row(box).state == Owed.REPORTED, "the report to be noted")
        assert association.is_established


def _nothing() -> Dataset:
    return request()


def _no_uid() -> Dataset:
    return request(reference(image()), transaction_uid="not a UID")


def _no_transaction() -> Dataset:
    information = request(reference(image()))
    del information.TransactionUID
    return information


@pytest.mark.parametrize("make", [_nothing, _no_uid, _no_transaction])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_request_that_makes_no_sense(box: SmallBox, listen: Listen, make: Callable[[], Dataset]) -> None:
    """Invalid Argument Value, and nothing is written."""
    modality = Modality(listen(box).port)
    with modality.associated() as association:
        assert modality.ask(association, make()) == 0x0115
    assert box.count(commitment_requests) == 0


def test_an_action_that_is_none(box: SmallBox, listen: Listen) -> None:
    """Another action type, and another instance than the well-known one."""
    modality = Modality(listen(box).port)
    with modality.associated() as association:
        assert modality.ask(association, request(reference(image())), 2) == 0x0123
        assert modality.ask(association, request(reference(image())), instance_uid="1.2.3") == 0x0112
    assert box.count(commitment_requests) == 0


def test_more_than_can_be_taken(make_box: MakeBox, listen: Listen) -> None:
    """Resource limitation: too many instances at once, and too many requests that wait for their report."""
    box = make_box(limits={"max_study_instances": 1}, commitment={"max_requests": 1, "wait_s": 60})
    modality = Modality(listen(box).port)
    with modality.associated() as association:
        assert modality.ask(association, request(reference(image()), reference(image(seed="1")))) == 0x0213
        assert modality.ask(association, request(reference(image()))) == 0x0000
        assert modality.ask(association, request(reference(image()), transaction_uid="1.2.3")) == 0x0213
    assert box.count(commitment_requests) == 1


@pytest.mark.parametrize(
    ("offer", "keep_days", "is_open"),
    [("when_kept", None, True), ("when_kept", 30, False), ("always", 30, True), ("never", None, False)],
)
def test_we_commit_to_what_we_keep(
    make_box: MakeBox, listen: Listen, offer: str, keep_days: float | None, is_open: bool
) -> None:
    """With retention the images will be deleted: no commitment then, unless it is asked for in so many words."""
    box = make_box(commitment={"offer": offer}, retention={"keep_days": keep_days})
    modality = Modality(listen(box).port)
    with modality.associated() as association:
        accepted = {one.abstract_syntax for one in association.accepted_contexts}
    assert (StorageCommitmentPushModel in accepted) is is_open


def test_who_may_not_send_may_not_ask(make_box: MakeBox, listen: Listen) -> None:
    """A PACS that may report to us finds its request refused: not authorised."""
    peer = {"name": "archive", "host": "127.0.0.1", "port": 9, "ae_title": "ARCHIVE"}
    box = make_box(pacs=[peer], dicom={"peers": {SCANNER: {}}})
    modality = Modality(listen(box).port, ae_title="ARCHIVE")
    with modality.associated() as association:
        assert modality.ask(association, request(reference(image()))) == 0x0124
    assert box.count(commitment_requests) == 0


def test_a_clock_that_was_wrong_strands_nothing(box: SmallBox, listen: Listen) -> None:
    """A time further ahead than any pause can only come from a clock that has been set back since."""
    modality = Modality(listen(box).port)
    _ask_and_go(modality, request(reference(image())))
    with reading(box.engine) as connection:
        assert next_owed(connection, NOW - 10**8) is not None
