"""The DICOM door, tried by a real storage SCU on loopback."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack

import pytest
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless
from pynetdicom.sop_class import CTImageStorage, PatientRootQueryRetrieveInformationModelFind
from structlog.testing import capture_logs

from appliance.ingest.receiver import storage_sop_classes
from appliance.schema import StudyState, instances, studies
from tests.dicom_factory import as_bytes, compressed, uid
from tests.listening_box import DEADLINE_S, Listen, wait_until
from tests.small_box import SCANNER, MakeBox, SmallBox, image


def test_success_means_durable(box: SmallBox, listen: Listen) -> None:
    """When the sender reads 0x0000 the row is committed and the spool holds the data set it sent."""
    (answer,) = listen(box).send(image())
    assert answer.Status == 0x0000
    (row,) = box.rows(instances)
    assert (row.sop_instance_uid, row.source) == (uid("instance 0"), SCANNER)
    stored = box.spool.file(row.file_digest).read_bytes()
    assert box.spool.verify(row.file_digest)
    assert stored.endswith(as_bytes(image())[-9000:])


def test_echo(box: SmallBox, listen: Listen) -> None:
    """C-ECHO answers success (PS3.4 A)."""
    association = listen(box).open()
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_several_instances_over_one_association_are_one_study(box: SmallBox, listen: Listen) -> None:
    """After release the study completes a quiet time later, with all of its instances."""
    views = [image(seed=str(n), StudyInstanceUID=uid("study 0")) for n in range(3)]
    answers = listen(box).send(*views)
    assert [answer.Status for answer in answers] == [0x0000] * 3
    row = box.study(uid("study 0"))
    assert (row.state, row.instance_count) == (StudyState.RECEIVING, 3)

    def released() -> bool:
        now = box.study(uid("study 0"))
        return bool(now.completes_at < now.last_received_at + box.settings.dicom.association_timeout_s - 1)

    wait_until(released, "the release to be noted")


def test_a_study_cut_off_completes_too(box: SmallBox, listen: Listen) -> None:
    """An abort ends the association as a release does: what was acknowledged is not kept waiting."""
    association = listen(box).open(image())
    assert association.send_c_store(image()).Status == 0x0000
    association.abort()

    def noted() -> bool:
        row = box.study(uid("study 0"))
        return bool(row.completes_at < row.last_received_at + box.settings.dicom.association_timeout_s - 1)

    wait_until(noted, "the abort to be noted")


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless], ids=lambda syntax: syntax.keyword
)
def test_transfer_syntaxes_are_kept_as_they_come(box: SmallBox, listen: Listen, syntax: str) -> None:
    """Nothing is decoded on reception; the row names the transfer syntax that was negotiated."""
    dataset = image()
    if syntax == ImplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    else:
        dataset = compressed(dataset, syntax)
    (answer,) = listen(box).send(dataset)
    assert answer.Status == 0x0000
    assert box.rows(instances)[0].transfer_syntax_uid == syntax


def test_every_storage_class_is_accepted(box: SmallBox, listen: Listen) -> None:
    """The door is open for every storage SOP class, also in big endian; a query finds it shut."""
    find = (str(PatientRootQueryRetrieveInformationModelFind), str(ImplicitVRLittleEndian))
    storage = [(str(one), str(ExplicitVRBigEndian)) for one in storage_sop_classes()[:60]]
    assert str(CTImageStorage) in {str(one) for one in storage_sop_classes()}
    association = listen(box).open(contexts=[find, *storage])
    accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    association.release()
    assert {one for one, _ in storage} <= accepted
    assert find[0] not in accepted


def test_a_private_sop_class_is_stored_where_it_is_configured(make_box: MakeBox, listen: Listen) -> None:
    """A maker's own objects are kept like all others; without the configuration their context is refused."""
    own = "1.2.840.113619.4.26"
    dataset = image(seed="own")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(own)
    box = make_box("knows", dicom={"private_sop_classes": [own]})
    (answer,) = listen(box).send(dataset)
    assert answer.Status == 0x0000
    assert [row.sop_class_uid for row in box.rows(instances)] == [own]
    association = listen(make_box("strange")).open(dataset)
    assert [str(one.abstract_syntax) for one in association.rejected_contexts] == [own]
    association.release()


def test_a_refused_instance_gets_status_and_comment(box: SmallBox, listen: Listen) -> None:
    """The sender reads what was wrong, in at most 64 characters (PS3.7 C)."""
    scanner = listen(box)
    scanner.send(image())
    (answer,) = scanner.send(image("routine"))
    assert answer.Status == 0xC111
    assert answer.ErrorComment == "SOP Instance UID is known with other content; kept aside"


def test_a_refusal_does_not_end_the_association(make_box: MakeBox, listen: Listen) -> None:
    """The instances after a bad one are taken as if nothing had been."""
    box = make_box(limits={"max_study_instances": 1})
    answers = listen(box).send(image(), image(seed="1", StudyInstanceUID=uid("study 0")), image(seed="2"))
    assert [answer.Status for answer in answers] == [0x0000, 0xC112, 0x0000]
    assert box.count(studies) == 2


@pytest.mark.parametrize(
    ("called", "calling", "welcome"),
    [("SCANSIDE", SCANNER, True), ("OTHER", SCANNER, False), ("SCANSIDE", "STRANGER", False)],
)
def test_ae_titles_can_be_required(make_box: MakeBox, listen: Listen, called: str, calling: str, welcome: bool) -> None:
    """With both checks on, an association needs the right called and a known calling AE title."""
    box = make_box(dicom={"require_called_ae_title": True, "peers": {SCANNER: {}}})
    scanner = listen(box)
    scanner.ae_title = calling
    association = scanner.open(called=called)
    assert association.is_established is welcome
    assert association.is_rejected is not welcome
    association.abort()


def test_idle_connections_have_a_cap_and_do_not_lock_anybody_out(make_box: MakeBox, listen: Listen) -> None:
    """Of too many bare TCP connections one is closed; an association gets through all the same."""
    box = make_box(dicom={"max_idle_connections_per_address": 3, "acse_timeout_s": 120})
    scanner = listen(box)
    with ExitStack() as idle:
        address = ("127.0.0.1", scanner.port)
        held = [idle.enter_context(socket.create_connection(address, DEADLINE_S)) for _ in range(4)]
        closed, _, _ = select.select(held, [], [], DEADLINE_S)
        assert [connection.recv(1) for connection in closed] == [b""]
        wait_until(scanner.gets_through, "a way in")


def test_associations_in_use_do_not_count_as_idle(make_box: MakeBox, listen: Listen) -> None:
    """More associations than the idle cap stay open side by side."""
    box = make_box(dicom={"max_idle_connections_per_address": 1})
    scanner = listen(box)
    opened = [scanner.open() for _ in range(3)]
    assert [association.is_established for association in opened] == [True] * 3
    for association in opened:
        association.release()


def test_one_association_too_many(make_box: MakeBox, listen: Listen) -> None:
    """It is rejected for the moment (PS3.8 table 9-21), and takes nobody's place."""
    scanner = listen(make_box(dicom={"max_associations": 2}))
    inside = [scanner.open(), scanner.open()]
    for _ in range(3):
        refused = scanner.open()
        assert refused.is_rejected
        answer = refused.acceptor.primitive
        assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    inside.pop().release()
    wait_until(scanner.gets_through, "a way in")
    inside.pop().release()


def test_beyond_loopback_without_peers_nobody_gets_in(make_box: MakeBox, listen: Listen) -> None:
    """The start says so with the repair, and so does every refusal."""
    with capture_logs() as logs:
        scanner = listen(make_box(dicom={"host": "0.0.0.0"}))
        association = scanner.open()
    assert association.is_rejected
    assert association.acceptor.primitive.diagnostic == 3
    assert [one["event"] for one in logs] == ["receiver.closed", "association.refused"]
    assert all("[dicom.peers.NAME]" in one.get("why", "") + one.get("repair", "") for one in logs)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 1000])
def test_a_pdu_that_is_too_large_or_never_ends(make_box: MakeBox, listen: Listen, length: int) -> None:
    """In an association: the first is not even begun, the second ends when the line has been silent for too long."""
    scanner = listen(make_box(dicom={"association_timeout_s": 1}))
    association = scanner.open()
    line = association.dul.socket
    assert line is not None
    assert line.socket is not None
    line.socket.sendall(b"\x04\x00" + length.to_bytes(4, "big") + bytes(100))
    wait_until(lambda: not association.is_established, "the end of the association")
    assert scanner.gets_through()


def test_nothing_stays_in_incoming(box: SmallBox, listen: Listen) -> None:
    """Neither what is taken nor what is refused leaves its temporary file behind."""
    scanner = listen(box)
    scanner.send(image())
    scanner.send(image("routine"))
    wait_until(lambda: not list(box.incoming.iterdir()), "the file of the next image, which does not come, to go")


def test_a_taken_port_is_an_error_at_start(box: SmallBox, listen: Listen, make_box: MakeBox) -> None:
    """Two boxes on one port: the second does not pretend to listen."""
    port = listen(box).port
    with pytest.raises(OSError, match="Address already in use"):
        listen(make_box("second", dicom={"port": port}))
