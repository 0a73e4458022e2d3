"""From a complete study to one committed decision, with a real pack, database and spool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import cast
from zipfile import ZipFile

import pytest
from pydicom.uid import Comprehensive3DSRStorage
from sqlalchemy import update

from appliance.pack_store import activate, install, rollback
from appliance.packs import installed_of
from appliance.schema import StudyState, devices, findings, studies, study_events
from appliance.triage.payloads import PayloadMaker
from appliance.triage.worker import TriageWorker
from models.activations import ACTIVE, Activations
from models.asking_again import FIRST_PAUSE_S, IMAGES_WAIT_S, LONGEST_PAUSE_S, AskingAgain
from store_forward.database import writing
from store_forward.outbox import deliveries
from store_forward.room import Marks
from tests.bad_disk import goes_bad, mended
from tests.dicom_factory import read_back, uid
from tests.pack_archives import archive
from tests.small_box import NOW, SmallBox, image
from tests.tiny_pack import Says, change_manifest, write_tiny_pack

ReadingBox = Callable[..., SmallBox]


def read_all(box: SmallBox, now: float = NOW) -> TriageWorker:
    """Start a worker and let it work until nothing is left."""
    started = box.worker()
    while started.step(now):
        pass
    return started


@pytest.mark.parametrize("says", ["urgent", "routine", "escalate"])
def test_a_study_is_decided(reading_box: ReadingBox, says: Says) -> None:
    """Decision, finding, pack, device, pictures and deliveries, all in the one row and its neighbours."""
    box = reading_box()
    study = box.receive(image(says))
    read_all(box, NOW)
    row = box.study(study)
    assert (row.state, row.decision, row.reason) == (StudyState.DECIDED, says, None)
    assert (row.pack, row.pack_version) == ("tiny", "1.0.0")
    assert row.device
    assert row.latency_ms > 0
    (found,) = box.rows(findings)
    assert (found.name, found.source, found.sop_instance_uid) == ("bright_above", "box", uid("instance 0"))
    for digest in (row.heat_map, row.thumbnail):
        assert box.spool.file(digest).read_bytes().startswith(b"\x89PNG")
    sent = {(one.kind, one.destination) for one in box.rows(deliveries)}
    escalated = {("escalation", "cloud")} if says == "escalate" else set()
    pointed_out = {("key_objects", "archive")} if says == "urgent" else set()
    assert sent == {("report", "archive"), ("picture", "archive")} | escalated | pointed_out
    assert row.escalated is bool(escalated)
    assert all(box.spool.verify(one.payload) for one in box.rows(deliveries))


def test_the_report_speaks_of_this_study(reading_box: ReadingBox) -> None:
    """A structured report in the patient's study."""
    box = reading_box()
    study = box.receive(image())
    read_all(box)
    report = next(one for one in box.rows(deliveries) if one.kind == "report")
    dataset = read_back(box.spool.file(report.payload))
    assert dataset.SOPClassUID == Comprehensive3DSRStorage
    assert (dataset.StudyInstanceUID, dataset.PatientID) == (study, "P-0")


def test_what_goes_to_the_cloud_names_nobody(reading_box: ReadingBox) -> None:
    """The archive's instances have neither the patient's name nor the original UIDs."""
    box = reading_box()
    study = box.receive(image("escalate"))
    read_all(box)
    escalation = next(one for one in box.rows(deliveries) if one.kind == "escalation")
    with ZipFile(BytesIO(box.spool.file(escalation.payload).read_bytes())) as archive:
        (name,) = archive.namelist()
        content = archive.read(name)
    assert b"Phantom" not in content
    assert study.encode() not in content
    assert escalation.attributes["left_out"] == 0


def test_without_archive_and_cloud_the_decision_stands(reading_box: ReadingBox) -> None:
    """Nothing to send: urgent settles at once; escalate says that a person has to read it."""
    box = reading_box(pacs=[], cloud={})
    urgent = box.receive(image("urgent"))
    unsure = box.receive(image("escalate", seed="1"))
    read_all(box)
    assert box.study(urgent).state == box.study(unsure).state == StudyState.SETTLED
    assert box.count(deliveries) == 0
    notes = [row.detail for row in box.rows(study_events) if row.kind == "not_sent"]
    assert notes == ["no cloud is configured; a person has to read this study"]


def test_an_image_no_pack_is_for(reading_box: ReadingBox) -> None:
    """It is said so, with the reason, and never with a score."""
    box = reading_box()
    study = box.receive(image(Modality="US"))
    read_all(box)
    row = box.study(study)
    assert (row.decision, row.reason, row.pack) == ("not_triaged", "wrong_modality", None)
    assert box.count(findings) == 0
    assert {one.kind for one in box.rows(deliveries)} == {"report"}


def test_out_of_scope_can_be_escalated(reading_box: ReadingBox, tiny_packs: Path) -> None:
    """By configuration, with its reason kept."""
    box = reading_box(triage={"packs": tiny_packs, "out_of_scope": "escalate"})
    study = box.receive(image(Modality="US"))
    read_all(box)
    assert (box.study(study).decision, box.study(study).reason) == ("escalate", "wrong_modality")
    assert box.study(study).escalated


def test_a_study_read_in_part_is_never_routine(reading_box: ReadingBox) -> None:
    """One routine image and one that nobody could read: the absence of a finding is not claimed."""
    box = reading_box()
    blank = image("routine", seed="1", StudyInstanceUID=uid("study 0"))
    blank.PixelData = b"\0" * len(blank.PixelData)
    study = box.receive(image("routine"), blank)
    read_all(box)
    row = box.study(study)
    assert (row.decision, row.reason) == ("escalate", "partly_covered")
    assert row.detail == "1 of 2 images not read: blank_image"


def test_a_missing_spool_file_is_said(reading_box: ReadingBox) -> None:
    """The file is gone: not_triaged with what to do, no report that pretends, and the worker goes on."""
    box = reading_box()
    study = box.receive(image())
    (row,) = [one for one in (box.spool.root / "objects").rglob("*") if one.is_file()]
    row.unlink()
    other = box.receive(image(seed="1"), now=NOW + 1)
    read_all(box, NOW + 1)
    found = box.study(study)
    assert (found.decision, found.reason) == ("not_triaged", "unreadable_pixels")
    assert found.detail == "its file is no longer in the spool; the history says why, else run scanside check"
    notes = [one.detail for one in box.rows(study_events) if one.kind == "not_sent"]
    assert notes == ["no report: no instance can be opened any more; run scanside check"]
    assert box.study(other).decision == "urgent"


def test_an_escalation_without_one_of_its_files_says_what_stays(reading_box: ReadingBox) -> None:
    """What is left goes to the cloud, with the count of what does not."""
    box = reading_box()
    box.admit(image(seed="1", StudyInstanceUID=uid("study 0")))
    (gone,) = [one for one in (box.spool.root / "objects").rglob("*") if one.is_file()]
    study = box.receive(image("escalate"))
    gone.unlink()
    read_all(box)
    assert box.study(study).escalated
    escalation = next(one for one in box.rows(deliveries) if one.kind == "escalation")
    assert escalation.attributes["left_out"] == 1


def test_after_three_attempts_the_worker_gives_up(reading_box: ReadingBox) -> None:
    """A study that has brought the worker down as often as is allowed gets a reason and a report, no pixels."""
    box = reading_box()
    study = box.receive(image())
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(triage_attempts=3))
    read_all(box)
    row = box.study(study)
    assert (row.decision, row.reason, row.detail) == ("not_triaged", "worker_gave_up", "3 attempts")
    assert row.heat_map is row.thumbnail is None
    assert {one.kind for one in box.rows(deliveries)} == {"report"}


def test_an_image_the_disk_does_not_give_is_no_decision(reading_box: ReadingBox) -> None:
    """The attempt fails and is counted, nothing is said about the image; it is read when the disk gives it."""
    box = reading_box()
    study = box.receive(image())
    (spooled,) = [one for one in (box.spool.root / "objects").rglob("*") if one.is_file()]
    kept = goes_bad(spooled)
    with pytest.raises(OSError, match="Input/output error"):
        read_all(box)
    assert (box.study(study).decision, box.study(study).triage_attempts) == (None, 1)
    mended(spooled, kept)
    read_all(box)
    assert box.study(study).decision == "urgent"


def test_even_its_header_may_be_the_killer(reading_box: ReadingBox) -> None:
    """When giving up has failed as well, the study is decided without opening anything of it."""
    box = reading_box()
    study = box.receive(image())
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(triage_attempts=4))
    read_all(box)
    assert box.study(study).reason == "worker_gave_up"
    assert box.count(deliveries) == 0


def test_what_an_earlier_worker_left_is_read_again(reading_box: ReadingBox) -> None:
    """A worker that died over a study leaves it to the next, with its attempt counted."""
    box = reading_box()
    study = box.receive(image())
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(state=StudyState.TRIAGING, triage_attempts=1))
    read_all(box)
    assert box.study(study).decision == "urgent"
    assert [row.detail for row in box.rows(study_events) if row.kind == "triaging"] == ["attempt 2"]


def test_a_late_image_during_the_reading_wins(reading_box: ReadingBox) -> None:
    """A decision about the study as it was is dropped, with everything it would have sent."""
    box = reading_box()
    study = box.receive(image("routine"))
    started = box.worker()
    started._payloads = cast(PayloadMaker, Interrupting(started._payloads, lambda: box.receive(late)))
    late = image("urgent", seed="1", StudyInstanceUID=study)
    assert started.step(NOW)
    assert (box.study(study).decision, box.count(findings), box.count(deliveries)) == (None, 0, 0)
    assert started.step(NOW)
    assert (box.study(study).decision, box.study(study).revision) == ("urgent", 2)
    assert {one.revision for one in box.rows(deliveries)} == {2}


class Interrupting:
    """Payloads during whose making something else happens, once."""

    def __init__(self, real: object, meanwhile: Callable[[], object]) -> None:
        self._real = real
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __getattr__(self, name: str) -> object:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None and name == "prepare":
            meanwhile()
        elif meanwhile is not None:
            self._meanwhile = meanwhile
        return getattr(self._real, name)


def test_a_reading_twice_sends_once(reading_box: ReadingBox) -> None:
    """The same revision decided again adds no delivery: its effects have the same keys."""
    box = reading_box()
    study = box.receive(image())
    read_all(box)
    before = {one.key for one in box.rows(deliveries)}
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(state=StudyState.COMPLETE))
    read_all(box)
    assert box.study(study).decision == "urgent"
    assert {one.key for one in box.rows(deliveries)} == before
    assert box.count(deliveries) == len(before)


def test_with_the_disk_full_a_study_waits(reading_box: ReadingBox) -> None:
    """No attempt is counted and nothing is given up; with room again it is read."""
    box = reading_box()
    study = box.receive(image())
    started = box.worker()
    started._spool.marks = Marks(0, 0, 1 << 60)
    assert not started.step(NOW)
    assert not started.step(NOW)
    assert (box.study(study).triage_attempts, box.study(study).decision) == (0, None)
    started._spool.marks = Marks(0, 0, 0)
    assert started.step(NOW)
    assert box.study(study).decision == "urgent"


def test_triage_goes_on_below_the_floor_of_reception(reading_box: ReadingBox) -> None:
    """Reception stops at the floor, triage at half of it: what was acknowledged is still read."""
    box = reading_box(limits={"free_disk_floor_bytes": 1000})
    assert box.worker()._spool.marks.floor_bytes == 500


def test_devices_are_written_down(reading_box: ReadingBox) -> None:
    """Every measured device with its latency, and which one reads."""
    box = reading_box()
    box.worker()
    rows = box.rows(devices)
    assert sum(row.chosen for row in rows) == 1
    assert all(row.pack == "tiny 1.0.0" and row.latency_ms > 0 for row in rows)


def test_a_box_without_any_usable_pack_says_so(reading_box: ReadingBox, tmp_path: Path) -> None:
    """A pack that was altered is refused, shown, and its images are not_triaged."""
    folder = write_tiny_pack(tmp_path / "altered" / "tiny")
    (folder / "network.onnx").write_bytes(b"something else")
    box = reading_box(triage={"packs": tmp_path / "altered"})
    study = box.receive(image())
    read_all(box)
    assert (box.study(study).decision, box.study(study).reason) == ("not_triaged", "no_pack")
    (row,) = box.rows(devices)
    assert (row.device, row.chosen) == ("none", False)
    assert "network.onnx is not the file the manifest names (SHA-256). Copy the whole pack again" in row.detail


def test_a_pack_nothing_here_can_run(reading_box: ReadingBox, tmp_path: Path) -> None:
    """Its golden set does not come out on any device: no_backend, with the causes on record."""
    folder = write_tiny_pack(tmp_path / "broken" / "tiny")
    (folder / "network.onnx").write_bytes(b"no network")
    change_manifest(folder)
    box = reading_box(triage={"packs": tmp_path / "broken"})
    study = box.receive(image())
    read_all(box)
    assert (box.study(study).decision, box.study(study).reason) == ("not_triaged", "no_backend")
    (row,) = box.rows(devices)
    assert "nothing here can run tiny" in row.detail


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.mark.parametrize("file", ["manifest.json", "network.onnx", "golden.npz"])
def test_a_pack_the_disk_does_not_give_is_asked_for_again(reading_box: ReadingBox, tmp_path: Path, file: str) -> None:
    """Its study waits, is not said to have no pack, and is read as soon as the disk gives it."""
    path = write_tiny_pack(tmp_path / "packs" / "tiny") / file
    kept, clock = goes_bad(path), Clock()
    box = reading_box(triage={"packs": tmp_path / "packs"})
    study = box.receive(image("urgent"))
    worker = TriageWorker(box.settings, box.home, asking_again=AskingAgain(clock))
    worker.start(NOW)
    assert not worker.step(NOW)
    assert (box.study(study).decision, box.study(study).triage_attempts) == (None, 0)
    assert any(f"{file} cannot be read (Input/output error)" in row.detail for row in box.rows(devices))
    mended(path, kept)
    clock.now += FIRST_PAUSE_S
    assert worker.step(NOW)
    assert (box.study(study).decision, box.study(study).revision) == ("urgent", 1)


def test_a_pack_the_disk_does_not_give_for_long(reading_box: ReadingBox, tmp_path: Path) -> None:
    """After a minute the study is not triaged, with a reason of its own; once the disk gives the pack it is read."""
    path = write_tiny_pack(tmp_path / "packs" / "tiny") / "network.onnx"
    kept, clock = goes_bad(path), Clock()
    box = reading_box(triage={"packs": tmp_path / "packs"})
    study = box.receive(image("urgent"))
    worker = TriageWorker(box.settings, box.home, asking_again=AskingAgain(clock))
    worker.start(NOW)
    clock.now += IMAGES_WAIT_S
    assert worker.step(NOW)
    assert (box.study(study).decision, box.study(study).reason) == ("not_triaged", "pack_unreadable")
    mended(path, kept)
    clock.now += LONGEST_PAUSE_S
    while worker.step(NOW):
        pass
    row = box.study(study)
    assert (row.decision, row.reason, row.revision) == ("urgent", None, 2)
    assert "read_again" in [event.kind for event in box.rows(study_events)]


def test_the_device_is_remembered(reading_box: ReadingBox) -> None:
    """The second start does not measure again, and shows the same figures."""
    box = reading_box()
    box.worker()
    first = [(row.device, row.latency_ms, row.chosen) for row in box.rows(devices)]
    box.worker()
    assert [(row.device, row.latency_ms, row.chosen) for row in box.rows(devices)] == first
    assert box.home.devices_cache.exists()


HANGING = """
import sys, time
from pathlib import Path
from appliance.configuration import load_settings
from appliance.home import open_home
from appliance import packs
from appliance.triage.worker import TriageWorker
packs.SHIPPED = Path("no packs")
settings = load_settings(Path(sys.argv[1]))
worker = TriageWorker(settings, open_home(settings))
worker.start(1.0)
worker._read = lambda *_: time.sleep(60)
worker.step(float(sys.argv[2]))
"""


def test_the_kernel_ends_a_reading_that_hangs(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The alarm kills the process in the midst of it; the attempt stays counted, and the next start reads it."""
    box = reading_box(limits={"triage_timeout_s": 0.2})
    study = box.receive(image())
    config = tmp_path / "scanside.toml"
    config.write_text(f'home = "{box.settings.home}"\n[limits]\ntriage_timeout_s = 0.2\nfree_disk_floor_bytes = 0\n')
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCANSIDE_")}
    child = subprocess.run([sys.executable, "-c", HANGING, str(config), str(NOW)], env=environment, check=False)
    assert child.returncode == -signal.SIGALRM
    assert (box.study(study).state, box.study(study).triage_attempts) == (StudyState.TRIAGING, 1)


def read_with(box: SmallBox, worker: TriageWorker, seed: str) -> tuple[str, str | None]:
    """Version and decision with which a running worker reads one more bright-above study."""
    study = box.receive(image("urgent", seed=seed))
    while worker.step(NOW):
        pass
    return str(box.study(study).pack_version), box.study(study).decision


def test_an_activation_is_noticed_between_studies(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The running worker reads with the new pack from the next study on, and with the old after a rollback."""
    box = reading_box()
    worker = box.worker()
    assert read_with(box, worker, "1") == ("1.0.0", "urgent")
    install(archive(tmp_path / "two.scanpack", "2.0.0", thresholds=(0.1, 0.999)), box.settings)
    assert read_with(box, worker, "2") == ("1.0.0", "urgent")
    activate("tiny", box.settings)
    assert read_with(box, worker, "3") == ("2.0.0", "escalate")
    assert {row.pack for row in box.rows(devices)} == {"tiny 2.0.0"}
    rollback("tiny", box.settings)
    assert read_with(box, worker, "4") == ("1.0.0", "urgent")


def test_a_damaged_active_pack_falls_back_with_its_reason(reading_box: ReadingBox, tmp_path: Path) -> None:
    """At its start the worker finds it altered: the one before reads, and the page can say why."""
    box = reading_box()
    for version in ("2.0.0", "3.0.0"):
        pack = install(archive(tmp_path / f"{version}.scanpack", version), box.settings).pack
        activate("tiny", box.settings)
    pack.network.write_bytes(b"?")
    worker = box.worker()
    assert read_with(box, worker, "1") == ("2.0.0", "urgent")
    refused = [row for row in box.rows(devices) if row.device == "none"]
    assert [row.pack for row in refused] == [f"tiny/{pack.folder.name}"]
    assert "Install it again or activate another" in refused[0].detail
    install(tmp_path / "3.0.0.scanpack", box.settings)
    activate("tiny", box.settings)
    assert read_with(box, worker, "2") == ("3.0.0", "urgent")
    assert {row.pack for row in box.rows(devices)} == {"tiny 3.0.0"}


def test_an_active_pack_that_computes_wrongly_here_falls_back(reading_box: ReadingBox, tmp_path: Path) -> None:
    """After a change of the machine its golden set does not come out any more; the pack before it reads."""
    box = reading_box()
    wrong = install(archive(tmp_path / "two.scanpack", "2.0.0", temperature=9.0), box.settings).pack
    record = Activations().activated("tiny", wrong.digest).model_dump_json()
    with (installed_of(box.settings) / ACTIVE).open("wb") as file:
        file.write(record.encode())
    assert read_with(box, box.worker(), "1") == ("1.0.0", "urgent")
    (row,) = [row for row in box.rows(devices) if row.device == "none"]
    assert row.pack_digest == wrong.digest
    assert row.detail.endswith("tiny 1.0.0 reads instead")
