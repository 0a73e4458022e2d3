"""The archive link against a real association on loopback."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import CTImageStorage, Verification

from appliance.results.pacs import PacsLink
from appliance.settings import PacsTls
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from tests.certificates import Authority
from tests.dicom_factory import as_file, chest_radiograph, compressed

Answer = Callable[[evt.Event], int | Dataset]


@contextmanager
def archive(
    answer: Answer,
    *,
    required_ae_title: str = "",
    sop_class_uid: str = DigitalXRayImageStorageForPresentation,
    tls: ssl.SSLContext | None = None,
    to_it: PacsTls | None = None,
    transfer_syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian, JPEGLSLossless),
) -> Iterator[PacsLink]:
    """A storage SCP that answers each C-STORE with ``answer``, and the link to it, over TLS with ``tls``."""
    ae = AE(ae_title="ARCHIVE")
    ae.require_called_aet = bool(required_ae_title)
    ae.add_supported_context(sop_class_uid, list(transfer_syntaxes))
    ae.add_supported_context(Verification)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, answer)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls)
    try:
        port = server.server_address[1]
        yield PacsLink("127.0.0.1", port, required_ae_title or "ARCHIVE", "SCANSIDE", 10.0, to_it)
    finally:
        server.shutdown()


def status_dataset(status: int, comment: str) -> Dataset:
    """A C-STORE status with the archive's own words."""
    answer = Dataset()
    answer.Status, answer.ErrorComment = status, comment
    return answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small radiograph as a Part 10 file."""
    pixels = chest_radiograph().pixel_array[:64, :64]
    return as_file(chest_radiograph(pixels=pixels), tmp_path / "image.dcm")


def test_the_archive_gets_the_very_data_set(tmp_path: Path) -> None:
    """What arrives is the stored data set byte for byte, in its own transfer syntax."""
    pixels = chest_radiograph().pixel_array[:64, :64]
    path = as_file(compressed(chest_radiograph(pixels=pixels), JPEGLSLossless), tmp_path / "image.dcm")
    received: list[bytes] = []

    def keep(event: evt.Event) -> int:
        received.append(event.request.DataSet.getvalue())
        return 0x0000

    with archive(keep) as link:
        assert link.deliver(path) == "status 0x0000"
    assert path.read_bytes().endswith(received[0])
    assert dcmread(BytesIO(path.read_bytes())).file_meta.TransferSyntaxUID == JPEGLSLossless


def test_an_archive_that_takes_the_default_syntax_alone(file: Path) -> None:
    """Implicit VR Little Endian: the same data set, rewritten on the way; the file stays as it was."""
    received: list[Dataset] = []
    syntaxes: list[str] = []

    def keep(event: evt.Event) -> int:
        received.append(event.dataset)
        syntaxes.append(event.context.transfer_syntax)
        return 0x0000

    before = file.read_bytes()
    with archive(keep, transfer_syntaxes=(ImplicitVRLittleEndian,)) as link:
        assert link.deliver(file) == "status 0x0000"
    assert received == [dcmread(file)]
    assert syntaxes == [ImplicitVRLittleEndian]
    assert file.read_bytes() == before


def test_what_is_compressed_is_not_unpacked(tmp_path: Path) -> None:
    """To an archive that does not take the syntax, a compressed file does not go."""
    pixels = chest_radiograph().pixel_array[:64, :64]
    path = as_file(compressed(chest_radiograph(pixels=pixels), JPEGLSLossless), tmp_path / "image.dcm")
    with (
        archive(lambda event: 0x0000, transfer_syntaxes=(ImplicitVRLittleEndian,)) as link,
        pytest.raises(DeliveryRefused, match="JPEG-LS") as caught,
    ):
        link.deliver(path)
    assert caught.value.cause == "pacs_no_presentation_context"


def test_a_warning_is_a_receipt_that_says_so(file: Path) -> None:
    """0xB000 means stored; the remark is kept."""
    with archive(lambda event: status_dataset(0xB000, "coerced")) as link:
        assert link.deliver(file) == "status 0xb000: coerced"


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0213])
def test_out_of_resources_is_tried_again(file: Path, status: int) -> None:
    """A full archive is a reason to wait."""
    with archive(lambda event: status) as link, pytest.raises(DeliveryDeferred) as caught:
        link.deliver(file)
    assert caught.value.cause == "pacs_out_of_resources"


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0122, 0x0110])
def test_a_refusal_carries_the_archives_words(file: Path, status: int) -> None:
    """A refusal is for a person, in the words of the far side."""
    with (
        archive(lambda event: status_dataset(status, "not like this")) as link,
        pytest.raises(DeliveryRefused, match="not like this") as caught,
    ):
        link.deliver(file)
    assert caught.value.cause == "pacs_refused"


def test_no_accepted_context_is_a_refusal(file: Path) -> None:
    """An archive that does not take the SOP class will not take it tomorrow either."""
    with (
        archive(lambda event: 0x0000, sop_class_uid=CTImageStorage) as link,
        pytest.raises(DeliveryRefused) as caught,
    ):
        link.deliver(file)
    assert caught.value.cause == "pacs_no_presentation_context"


# pynetdicom lets go of a socket that never connected without closing it, and Python remarks on that.
closed_port = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@closed_port
def test_a_closed_port_is_tried_again(file: Path) -> None:
    """Nobody listens: the delivery waits."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        link = PacsLink("127.0.0.1", unused.getsockname()[1], "ARCHIVE", "SCANSIDE", timeout_s=5.0)
        with pytest.raises(DeliveryDeferred) as caught:
            link.deliver(file)
    assert caught.value.cause == "pacs_unreachable"


def test_a_rejected_association_is_tried_again(file: Path) -> None:
    """An archive that does not know our name may be told it; the delivery waits."""
    with (
        archive(lambda event: 0x0000, required_ae_title="SOMEBODY") as link,
        pytest.raises(DeliveryDeferred) as caught,
    ):
        link.deliver(file)
    assert caught.value.cause == "pacs_association_refused"
    assert "called AE title" in caught.value.detail.replace("Called", "called")


def test_an_abort_instead_of_an_answer_is_tried_again(file: Path) -> None:
    """No status means not stored."""

    def vanish(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    with archive(vanish) as link, pytest.raises(DeliveryDeferred) as caught:
        link.deliver(file)
    assert caught.value.cause == "pacs_association_lost"


@closed_port
def test_echo_succeeds_and_fails() -> None:
    """The echo returns on success and defers when nobody answers."""
    with archive(lambda event: 0x0000) as link:
        link.echo()
    with pytest.raises(DeliveryDeferred):
        link.echo()


def test_the_file_travels_without_delay() -> None:
    """TCP_NODELAY is set on the socket that carries the file."""
    with archive(lambda event: 0x0000) as link, link._association([build_context(Verification)]) as association:
        connection = association.dul.socket.socket
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_over_tls_to_the_right_archive_only(file: Path, tmp_path: Path) -> None:
    """With its authority it arrives; without, or under another name, nothing is sent and the reason is told."""
    authority = Authority(tmp_path)
    its = authority.vouch("pacs.example.org")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(its.certificate, its.private_key)
    right = PacsTls(ca=authority.ca, name="pacs.example.org")
    with archive(lambda _: 0x0000, tls=context, to_it=right) as link:
        assert link.deliver(file) == "status 0x0000"
    for change, words in (({"ca": Authority(tmp_path, "other").ca}, "issuer"), ({"name": "127.0.0.1"}, "IP address")):
        with archive(lambda _: 0x0000, tls=context, to_it=right.model_copy(update=change)) as link:
            with pytest.raises(DeliveryDeferred, match=words) as deferred:
                link.deliver(file)
            assert deferred.value.cause == "pacs_tls_failed"


def test_files_for_tls_that_cannot_be_used(file: Path, tmp_path: Path) -> None:
    """Named, and tried again, for a person may be putting them there."""
    missing = pytest.raises(DeliveryDeferred, match=r"missing\.pem cannot be used")
    with archive(lambda _: 0x0000, to_it=PacsTls(ca=tmp_path / "missing.pem")) as link, missing as deferred:
        link.deliver(file)
    assert deferred.value.cause == "pacs_tls_unusable"


@contextmanager
def keeping_archive(answer: Answer) -> Iterator[tuple[PacsLink, list[Association]]]:
    """An archive for secondary captures, a link that keeps its association, and every association it asked for."""
    accepted: list[Association] = []
    ae = AE(ae_title="ARCHIVE")
    ae.add_supported_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_C_STORE, answer),
        (evt.EVT_ACCEPTED, lambda event: accepted.append(event.assoc)),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    port = server.server_address[1]
    link = PacsLink("127.0.0.1", port, "ARCHIVE", "SCANSIDE", 10.0, keeps=[SecondaryCaptureImageStorage])
    try:
        yield link, accepted
    finally:
        link.rest()
        server.shutdown()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A small secondary capture as a Part 10 file."""
    dataset = chest_radiograph(pixels=chest_radiograph().pixel_array[:64, :64])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    return as_file(dataset, tmp_path / "capture.dcm")


def test_one_association_serves_all_that_is_due(capture: Path) -> None:
    """And is released at rest; the next file gets another."""
    with keeping_archive(lambda event: 0x0000) as (link, accepted):
        assert [link.deliver(capture) for _ in range(3)] == ["status 0x0000"] * 3
        assert len(accepted) == 1
        link.rest()
        accepted[0].join(20.0)
        assert accepted[0].is_released
        link.deliver(capture)
        assert len(accepted) == 2


def test_a_kept_association_that_broke_is_replaced(capture: Path) -> None:
    """The archive was restarted, say, between two files."""
    with keeping_archive(lambda event: 0x0000) as (link, accepted):
        link.deliver(capture)
        accepted[0].abort()
        ours = link._kept
        assert ours is not None
        ours.join(20.0)
        assert link.deliver(capture) == "status 0x0000"
        assert len(accepted) == 2


def test_after_a_failure_the_next_file_gets_a_new_association(capture: Path) -> None:
    """Whatever state the archive is in, it begins from the beginning."""
    answers = iter([0xA700, 0x0000])
    with keeping_archive(lambda event: next(answers)) as (link, accepted):
        with pytest.raises(DeliveryDeferred):
            link.deliver(capture)
        assert link.deliver(capture) == "status 0x0000"
        assert len(accepted) == 2
