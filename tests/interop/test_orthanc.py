"""Orthanc as the clinic's PACS: it sends a study to the box, and the results come back into that study."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    DigitalXRayImageStorageForPresentation,
    JPEG2000Lossless,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)

from appliance.demo.stage import free_port, listening
from appliance.ingest.commitment_requests import commitment_requests
from appliance.results.pacs import PacsLink
from appliance.schema import StudyState, processes
from store_forward.outbox import deliveries, delivery_events
from tests.dicom_factory import as_bytes, chest_radiograph, compressed
from tests.interop.peers import Box, program, running, wait
from tests.tiny_pack import picture, write_tiny_pack

pytestmark = pytest.mark.interop


class Orthanc:
    """Its REST API; UIDs go in and come out, never its own identifiers."""

    def __init__(self, http_port: int, dicom_port: int) -> None:
        self.http_port, self.dicom_port = http_port, dicom_port
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=30.0, trust_env=False)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def get(self, path: str) -> Any:
        """What a GET answers, as JSON."""
        return self._client.get(path).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What a POST of JSON answers, as JSON."""
        return self._client.post(path, json=body).raise_for_status().json()

    def file(self, name: str) -> bytes:
        """The Part 10 file of an instance."""
        return self._client.get(f"/instances/{name}/file").raise_for_status().content

    def add(self, dataset: Dataset) -> str:
        """Put an instance in; returns Orthanc's name for it."""
        answer = self._client.post("/instances", content=as_bytes(dataset)).raise_for_status().json()
        return str(answer["ID"])

    def send(self, modality: str, *names: str) -> dict[str, Any]:
        """Have it send instances to a modality; returns its account after the last of them."""
        body = {"Resources": list(names), "Synchronous": True}
        answer: dict[str, Any] = self._client.post(f"/modalities/{modality}/store", json=body).raise_for_status().json()
        return answer

    def allow(self, modality: str, ae_title: str, port: int) -> None:
        """Make a modality known."""
        body = {"AET": ae_title, "Host": "127.0.0.1", "Port": port}
        self._client.put(f"/modalities/{modality}", json=body).raise_for_status()

    def start_sending(self, modality: str, name: str) -> None:
        """Have it begin to send an instance to a modality."""
        body = {"Resources": [name], "Synchronous": False}
        self._client.post(f"/modalities/{modality}/store", json=body).raise_for_status()

    def commitment_jobs(self, state: str) -> int:
        """How many requests for storage commitment are in this state."""
        return sum(job["Type"] == "StorageCommitmentScp" and job["State"] == state for job in self.get("/jobs?expand"))

    def ask_commitment(self, modality: str, *instances: Dataset) -> str:
        """Have it ask a modality to keep these; returns where it notes what is reported."""
        items = [{"SOPClassUID": one.SOPClassUID, "SOPInstanceUID": one.SOPInstanceUID} for one in instances]
        answer = self._client.post(f"/modalities/{modality}/storage-commitment", json={"DicomInstances": items})
        return str(answer.raise_for_status().json()["Path"])

    def delete_study(self, study_instance_uid: str) -> None:
        """Lose a study."""
        (name,) = self._client.post("/tools/lookup", content=study_instance_uid).raise_for_status().json()
        self._client.delete(name["Path"]).raise_for_status()

    def studies(self) -> dict[str, dict[str, str]]:
        """StudyInstanceUID → (SOPInstanceUID → SOPClassUID) of everything it holds."""
        held: dict[str, dict[str, str]] = {}
        for name in self.get("/instances"):
            tags = self.get(f"/instances/{name}/simplified-tags")
            held.setdefault(tags["StudyInstanceUID"], {})[tags["SOPInstanceUID"]] = tags["SOPClassUID"]
        return held


@contextmanager
def orthanc(folder: Path, **more: Any) -> Iterator[Orthanc]:
    """An Orthanc of our own on loopback with an empty store; ``more`` are further settings, such as plugins."""
    peer = Orthanc(free_port(), free_port())
    settings = {
        "Name": "interop",
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "Plugins": [],
        "HttpPort": peer.http_port,
        "DicomPort": peer.dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "ConcurrentJobs": 1,
        "DicomScuTimeout": 300,
        **more,
    }
    folder.mkdir()
    (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [program("Orthanc"), str(folder / "orthanc.json")]
    try:
        with running(command, folder / "orthanc.log", lambda: listening(peer.http_port) and listening(peer.dicom_port)):
            yield peer
    finally:
        peer.close()


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for this file."""
    with orthanc(tmp_path_factory.mktemp("pacs") / "orthanc") as peer:
        yield peer


def _hand(seed: str) -> Dataset:
    """A radiograph that only the pack of this test reads, and finds urgent."""
    return chest_radiograph(seed=seed, pixels=picture("urgent"), BodyPartExamined="HAND", PatientName="Müller^Zoë")


@pytest.mark.timeout(180)
def test_orthanc_sends_to_the_box(pacs: Orthanc, tmp_path: Path) -> None:
    """Two instances in two transfer syntaxes arrive with the pixels they had, over one association."""
    plain, packed = _hand("from orthanc"), compressed(chest_radiograph(seed="packed"), JPEG2000Lossless)
    names = [pacs.add(plain), pacs.add(packed)]
    with Box(tmp_path).serving("run", "receiver") as box:
        pacs.allow("scanside", "SCANSIDE", box.port)
        account = pacs.send("scanside", *names)
        assert account["FailedInstancesCount"] == 0
        assert account["InstancesCount"] == len(names)
        for sent in (plain, packed):
            stored = dcmread(box.stored(sent.SOPInstanceUID))
            assert stored.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
            assert stored.PixelData == sent.PixelData
            assert box.instance(sent.SOPInstanceUID).source == "ORTHANC"


_TWO_RESULTS = 'results = ["report", "picture"]\ncommitment_hold_s = 0\n'


def _configuration(pacs: Orthanc, folder: Path, more: str = "") -> str:
    return (
        f'[triage]\npacks = "{folder / "packs"}"\n'
        f'[[pacs]]\nname = "orthanc"\nhost = "127.0.0.1"\nport = {pacs.dicom_port}\nae_title = "ORTHANC"\n{more}'
    )


@pytest.mark.timeout(240)
def test_all_results_return_into_the_original_study(pacs: Orthanc, tmp_path: Path) -> None:
    """The whole way round: Orthanc → box → pack → every result → the same study in Orthanc, and only there."""
    image = _hand("round trip")
    scope = {"modalities": ["DX"], "body_parts": ["HAND"]}
    write_tiny_pack(tmp_path / "packs" / "tiny", scope=scope)
    kinds = ["report", "picture", "key_objects", "parametric_map"]
    more = _configuration(pacs, tmp_path, f"results = {kinds}\n")
    before = pacs.studies()
    with Box(tmp_path, more).serving("serve") as box:
        pacs.allow("scanside", "SCANSIDE", box.port)
        assert pacs.send("scanside", pacs.add(image))["FailedInstancesCount"] == 0
        wait(lambda: box.study(image.StudyInstanceUID).state == StudyState.SETTLED, 120.0, f"the study; see {box.log}")
        assert box.study(image.StudyInstanceUID).decision == "urgent"
        sent = box.rows(deliveries)
        assert {row.kind: row.state for row in sent} == dict.fromkeys(kinds, "delivered")
        assert {row.receipt.partition(";")[0] for row in sent} == {"committed"}
    after = pacs.studies()
    assert sorted(after.pop(image.StudyInstanceUID).values()) == sorted(
        [
            DigitalXRayImageStorageForPresentation,
            Comprehensive3DSRStorage,
            SecondaryCaptureImageStorage,
            KeyObjectSelectionDocumentStorage,
            ParametricMapStorage,
        ]
    )
    assert after == before
    _check_patient(pacs, image)


@contextmanager
def no_job_ends(pacs: Orthanc) -> Iterator[None]:
    """Keep Orthanc's only job thread busy: it sends something to a peer that takes the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pacs.allow("silent", "SILENT", silent.getsockname()[1])
        pacs.start_sending("silent", pacs.add(_hand("to nobody")))
        held, _ = silent.accept()
        with held:
            yield


@pytest.mark.timeout(240)
def test_what_orthanc_lost_is_stored_again(pacs: Orthanc, tmp_path: Path) -> None:
    """Both results are deleted before Orthanc looks for them: it does not commit, so they are stored once more.

    Meanwhile the uplink is killed, with the requests out: what Orthanc then reports is not lost with it.
    """
    image = _hand("lost there")
    write_tiny_pack(tmp_path / "packs" / "tiny", scope={"modalities": ["DX"], "body_parts": ["HAND"]})
    path = tmp_path / "image.dcm"
    path.write_bytes(as_bytes(image))
    with Box(tmp_path, _configuration(pacs, tmp_path, _TWO_RESULTS)).serving("serve") as box:
        pacs.allow("scanside", "SCANSIDE", box.port)
        with no_job_ends(pacs):
            PacsLink("127.0.0.1", box.port, "SCANSIDE", "SCANNER", 20.0).deliver(path)
            wait(lambda: pacs.commitment_jobs("Pending") == 2, 120.0, f"two requests for commitment; see {box.log}")
            os.kill({row.name: row.pid for row in box.rows(processes)}["uplink"], signal.SIGKILL)
            pacs.delete_study(image.StudyInstanceUID)
        wait(lambda: box.study(image.StudyInstanceUID).state == StudyState.SETTLED, 120.0, f"the study; see {box.log}")
        sent, history = box.rows(deliveries), box.rows(delivery_events)
    assert [row.receipt.partition(";")[0] for row in sent] == ["committed", "committed"]
    failed = [row for row in history if row.cause == "pacs_commitment_failed"]
    assert failed  # what the killed uplink held may have been asked about anew before the report came
    assert all("no such object instance (0x0112)" in row.detail for row in failed)
    held = pacs.studies()[image.StudyInstanceUID]
    assert sorted(held.values()) == sorted([Comprehensive3DSRStorage, SecondaryCaptureImageStorage])


@pytest.mark.timeout(240)
def test_orthanc_asks_the_box_to_commit(pacs: Orthanc, tmp_path: Path) -> None:
    """It asks and goes; the receiver is killed with the report still owed, and a new box gives it."""
    held, unknown = _hand("to keep"), _hand("never sent")
    more = f'[dicom.peers.ORTHANC]\nreport_host = "127.0.0.1"\nreport_port = {pacs.dicom_port}\n'
    box = Box(tmp_path, more)
    with box.serving("run", "receiver"):
        pacs.allow("scanside", "SCANSIDE", box.port)
        assert pacs.send("scanside", pacs.add(held))["FailedInstancesCount"] == 0
        good, bad = pacs.ask_commitment("scanside", held), pacs.ask_commitment("scanside", held, unknown)
        os.kill({row.name: row.pid for row in box.rows(processes)}["receiver"], signal.SIGKILL)
    assert [row.state for row in box.rows(commitment_requests)] == ["owed", "owed"]
    assert pacs.get(good)["Status"] == "Pending"
    with box.serving("serve"):
        wait(lambda: pacs.get(good)["Status"] != "Pending", 120.0, f"the first report; see {box.log}")
        wait(lambda: pacs.get(bad)["Status"] != "Pending", 120.0, f"the second report; see {box.log}")
    assert (pacs.get(good)["Status"], pacs.get(bad)["Status"]) == ("Success", "Failure")
    assert [one["SOPInstanceUID"] for one in pacs.get(bad)["Success"]] == [held.SOPInstanceUID]
    failures = {one["SOPInstanceUID"]: one["FailureReason"] for one in pacs.get(bad)["Failures"]}
    assert failures == {unknown.SOPInstanceUID: 0x0112}


def _check_patient(pacs: Orthanc, image: Dataset) -> None:
    """Orthanc files by patient, too: the results must not have opened a second one of the same name."""
    found = [pacs.get(f"/patients/{name}")["MainDicomTags"] for name in pacs.get("/patients")]
    assert [tags["PatientID"] for tags in found].count(image.PatientID) == 1
    assert {tags["PatientName"] for tags in found if tags["PatientID"] == image.PatientID} == {str(image.PatientName)}
