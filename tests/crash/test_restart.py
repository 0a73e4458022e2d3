"""An orderly stop and the loss of a supervisor: both end every process soon, and a new start goes on without loss."""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from appliance.demo.play import count_duplicated, count_lost
from appliance.demo.stage import Stage, listening
from appliance.demo.studies import DemoImage, synthetic_studies
from appliance.supervisor import STOP_GRACE_S

# The DICOM library leaves a socket to the garbage collector when a connection is refused, and here some are.
pytestmark = [pytest.mark.crash, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]


def _supervisor(stage: Stage, name: str) -> subprocess.Popen[bytes]:
    (found,) = [program for program in stage.programs() if isinstance(program.args, list) and name in program.args]
    return found


def _end_in_the_middle(stage: Stage, images: list[DemoImage], names: list[str], end: Callable[..., None]) -> float:
    """Send, end the supervisors while images are on their way; returns how long it took until all were gone.

    Whatever was not acknowledged stays with the scanner, which is asked again by :func:`_go_on`.
    """
    sending = threading.Thread(target=lambda: [stage.send(image.path) for image in images])
    sending.start()
    stage.wait(lambda: sum(stage.states().values()) >= 2, 60.0, "the first studies")
    supervisors = [_supervisor(stage, name) for name in names]
    children = [child for one in supervisors for child in psutil.Process(one.pid).children(recursive=True)]
    assert children
    started = time.monotonic()
    for one in supervisors:
        end(one)
    for one in supervisors:
        one.wait(2 * STOP_GRACE_S)
        if one.stdin is not None:
            one.stdin.close()
    _, alive = psutil.wait_procs(children, 2 * STOP_GRACE_S)
    took = time.monotonic() - started
    assert not alive, [child.cmdline() for child in alive]
    sending.join(120.0)
    return took


def _go_on(stage: Stage, images: list[DemoImage], names: list[str]) -> None:
    """Start again what was ended, send everything again, and see it all settle once."""
    for name in names:
        stage.start(name)
    give_up = time.monotonic() + 120.0
    for image in images:
        while not stage.send(image.path):
            assert time.monotonic() < give_up, "no acknowledgement in time"
            time.sleep(0.3)
    stage.wait(lambda: stage.states() == {"settled": len(images)}, 240.0, "every study to settle")
    assert count_lost(stage, images) == 0
    assert count_duplicated(stage) == 0
    assert all(row.answered_at is not None for row in stage.rows() if row.escalated)
    assert any(row.escalated for row in stage.rows())


@pytest.fixture
def images(tmp_path: Path) -> list[DemoImage]:
    """The demonstration's studies."""
    (tmp_path / "images").mkdir()
    return list(synthetic_studies(tmp_path / "images"))


@pytest.mark.timeout(500)
def test_an_orderly_stop_settles_in_time_and_loses_nothing(images: list[DemoImage], tmp_path: Path) -> None:
    """SIGTERM to ``scanside serve`` in the middle: exit 0 within 10 s, no process left, and a new one goes on."""
    with Stage(tmp_path) as stage:
        stopped = _supervisor(stage, "serve")
        took = _end_in_the_middle(stage, images, ["serve"], subprocess.Popen.terminate)
        assert stopped.returncode == 0
        assert took < 10.0
        assert "process.killed" not in (tmp_path / "log.txt").read_text(encoding="utf-8")
        _go_on(stage, images, ["serve"])


def _half_sent(stage: Stage, image: DemoImage) -> Association:
    """A scanner in the middle of an instance: all of it but the last fragment is on its way (PS3.8 annex E)."""
    dataset = dcmread(image.path)
    ae = AE(ae_title="SLOW")
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", stage.dicom_port, ae_title="SCANSIDE")
    assert association.is_established
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    request.DataSet = BytesIO(encode(dataset, False, True))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    for fragment in list(message.encode_msg(association.accepted_contexts[0].context_id, 16_382))[:-1]:
        association.dul.send_pdu(fragment)
    incoming = stage.home.spool.root / "incoming"
    stage.wait(lambda: any(path.stat().st_size > 100_000 for path in incoming.iterdir()), 30.0, "half an instance")
    return association


def _endpoint(stage: Stage) -> psutil.Process:
    children = psutil.Process(_supervisor(stage, "cloud").pid).children()
    (found,) = [child for child in children if "cloud-endpoint" in child.cmdline()]
    return found


@pytest.mark.timeout(500)
def test_an_orderly_stop_during_an_upload_and_a_reception(images: list[DemoImage], tmp_path: Path) -> None:
    """SIGTERM while the cloud has fallen silent in an upload and a scanner is in the middle of an instance: 10 s."""
    with Stage(tmp_path) as stage:
        endpoint = _endpoint(stage)
        endpoint.suspend()
        for image in images[:-1]:
            assert stage.send(image.path)
        stage.wait(lambda: any(d.state == "leased" and d.destination == "cloud" for d in stage.outbox()), 120.0, "it")
        association = _half_sent(stage, images[-1])
        stopped = _supervisor(stage, "serve")
        held = [d.id for d in stage.outbox() if d.state == "leased" and d.destination == "cloud"]
        started = time.monotonic()
        stopped.terminate()
        assert stopped.wait(2 * STOP_GRACE_S) == 0
        assert time.monotonic() - started < 10.0
        assert "process.killed" not in (tmp_path / "log.txt").read_text(encoding="utf-8")
        if stopped.stdin is not None:
            stopped.stdin.close()
        association.abort()
        endpoint.resume()
        assert held
        assert images[-1].sop_instance_uid not in stage.held()
        _go_on(stage, images, ["serve"])


@contextmanager
def _watching(stage: Stage, pages: int) -> Iterator[None]:
    """Browsers that have the page open, each with a stream of events that never ends by itself."""
    with ExitStack() as stack:
        for _ in range(pages):
            url = f"http://127.0.0.1:{stage.page_port}/events"
            stream = stack.enter_context(urllib.request.urlopen(url, timeout=30.0))
            assert stream.readline()
        yield


@pytest.mark.timeout(900)
def test_an_orderly_stop_with_every_process_at_work(images: list[DemoImage], tmp_path: Path) -> None:
    """SIGTERM with a study half received, one half read, an upload without an answer and pages open: 10 s, no loss."""
    with Stage(tmp_path) as stage:
        endpoint = _endpoint(stage)
        endpoint.suspend()
        for image in images[:-1]:
            assert stage.send(image.path)
        stage.wait(lambda: any(d.state == "leased" and d.destination == "cloud" for d in stage.outbox()), 120.0, "it")
        with _watching(stage, 3):
            association = _half_sent(stage, images[-1])
            for image in images[:-1]:  # again, under another study, so that there is something to read
                _sent_as_another(stage, image, tmp_path)
            stage.wait(lambda: stage.states().get("triaging", 0) > 0, 60.0, "a study to be read")
            stopped = _supervisor(stage, "serve")
            started = time.monotonic()
            stopped.terminate()
            assert stopped.wait(2 * STOP_GRACE_S) == 0
            assert time.monotonic() - started < 10.0
        assert "process.killed" not in (tmp_path / "log.txt").read_text(encoding="utf-8")
        if stopped.stdin is not None:
            stopped.stdin.close()
        association.abort()
        endpoint.resume()
        stage.start("serve")
        stage.wait(lambda: listening(stage.dicom_port), 60.0, "the receiver")
        assert stage.send(images[-1].path)
        stage.wait(lambda: set(stage.states()) == {"settled"}, 600.0, "every study to settle")
        assert sum(stage.states().values()) == 2 * len(images) - 1
        assert count_lost(stage, images) == 0
        assert count_duplicated(stage) == 0


def _sent_as_another(stage: Stage, image: DemoImage, folder: Path) -> None:
    dataset = dcmread(image.path)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = (generate_uid() for _ in range(3))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path = folder / "another.dcm"
    dataset.save_as(path)
    assert stage.send(path)


@pytest.mark.timeout(500)
def test_without_their_supervisor_all_processes_end(images: list[DemoImage], tmp_path: Path) -> None:
    """kill -9 of both supervisors: their processes notice and end, so new ones find ports and leases free."""
    with Stage(tmp_path) as stage:
        took = _end_in_the_middle(stage, images, ["cloud", "serve"], subprocess.Popen.kill)
        assert took < STOP_GRACE_S
        _go_on(stage, images, ["cloud", "serve"])
