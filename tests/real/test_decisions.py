"""Real radiographs by C-STORE and by command line get the same decision; real oddities get a reason."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from pydicom import dcmread

from appliance.demo.stage import Stage
from appliance.demo.studies import DemoImage, studies_of_folder
from tests.tiny_pack import write_tiny_pack

_COUNT = 200
_MODALITIES = [
    "CR",
    "CT",
    "DX",
    "IO",
    "MG",
    "MR",
    "NM",
    "OP",
    "OT",
    "PT",
    "PX",
    "RF",
    "RG",
    "SC",
    "SM",
    "US",
    "XA",
    "XC",
]


def _chosen(real_images: Path, folder: Path) -> None:
    """Every 25th radiograph or so, normal and ill, as the files they are."""
    with (real_images / "cxr_paediatric.csv").open(newline="", encoding="utf-8") as lines:
        names = [row["file"] for row in csv.DictReader(lines)]
    folder.mkdir()
    for name in names[:: len(names) // _COUNT][:_COUNT]:
        shutil.copyfile(real_images / "cxr_paediatric" / name, folder / name)


def _triage(paths: list[Path], *options: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "appliance", "triage", "--json", *options, *map(str, paths)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.real
@pytest.mark.timeout(900)
def test_two_hundred_real_images_get_the_same_decision_both_ways(real_images: Path, tmp_path: Path) -> None:
    """DCMTK's ``storescu`` (or our own SCU where it is not installed) against ``scanside triage``."""
    _chosen(real_images, tmp_path / "pictures")
    (tmp_path / "dicom").mkdir()
    images = list(studies_of_folder(tmp_path / "pictures", tmp_path / "dicom"))
    assert len(images) == _COUNT
    with Stage(tmp_path) as stage:
        _store(stage, images)
        stage.wait(lambda: sum(stage.states().get(s, 0) for s in ("decided", "settled")) == _COUNT, 600.0, "decisions")
        on_box = {row.study_instance_uid: row.decision for row in stage.rows()}
    by_hand = {str(row["path"]): row["decision"] for row in _triage([image.path for image in images])}
    assert {i.study_instance_uid: by_hand[str(i.path)] for i in images} == on_box
    assert len(set(on_box.values())) >= 2


def _store(stage: Stage, images: list[DemoImage]) -> None:
    # Not from the environment's own folder: the DICOM library brings a namesake.
    if storescu := shutil.which("storescu", path="/usr/local/bin:/usr/bin:/bin"):
        peer = ["-aec", "SCANSIDE", "127.0.0.1", str(stage.dicom_port)]
        subprocess.run([storescu, "--required", *peer, *(str(image.path) for image in images)], check=True)
    else:
        assert all(stage.send(image.path) for image in images)


#: What the shipped packs are made for.
_READ = {("CR", "CHEST"), ("DX", "CHEST"), ("MR", "BRAIN"), ("MR", "HEAD"), ("US", "BREAST")}


@pytest.mark.real
@pytest.mark.timeout(900)
def test_every_real_dicom_file_gets_a_decision_or_a_reason(real_images: Path) -> None:
    """No crash on any of them, and no animal, limb, hip or other modality is read as a child's chest."""
    files = _dicom_files(real_images)
    rows = _triage(files)
    assert len(rows) == len(files)
    assert all(row["decision"] != "not_triaged" or row["reason"] for row in rows)
    read = [row for row in rows if row["decision"] in ("routine", "urgent", "escalate")]
    for row in read:
        header = dcmread(str(row["path"]), force=True, stop_before_pixels=True)
        assert (header.get("Modality"), header.get("BodyPartExamined")) in _READ, row
        assert not header.get("PatientSpeciesDescription"), row


@pytest.mark.real
@pytest.mark.timeout(900)
def test_the_pixels_of_every_real_dicom_file_are_read_or_refused(real_images: Path, tmp_path: Path) -> None:
    """A pack that is for everything has every decoder at work: a decision from pixels, or a reason, never an end."""
    files = _dicom_files(real_images)
    write_tiny_pack(tmp_path / "packs" / "tiny", scope={"modalities": _MODALITIES})
    config = tmp_path / "box.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n[triage]\npacks = "{tmp_path / "packs"}"\n', encoding="utf-8")
    rows = _triage(files, "--config", str(config))
    assert [row["path"] for row in rows] == [str(path) for path in files]
    assert all(row["decision"] != "not_triaged" or row["reason"] for row in rows)
    read = [row for row in rows if row["decision"] != "not_triaged"]
    assert len(read) > len(files) // 2
    assert not [row["path"] for row in rows if row["reason"] in ("model_failed", "worker_gave_up")]


def _dicom_files(real_images: Path) -> list[Path]:
    return sorted(path for path in (real_images / "dicom").iterdir() if path.is_file())


@pytest.mark.real
def test_a_plain_picture_under_a_header_is_read(real_images: Path, tmp_path: Path) -> None:
    """A JPEG with ``--as`` gets findings; without it it is refused."""
    picture = next((real_images / "cxr_paediatric").glob("person*.jpg"))
    assert cv2.imread(str(picture)) is not None
    header = "Modality=DX,BodyPartExamined=CHEST,ViewPosition=AP,PatientAge=004Y"
    command = [sys.executable, "-m", "appliance", "triage", "--json", str(picture)]
    named = subprocess.run([*command, "--as", header], capture_output=True, text=True, check=True)
    row = json.loads(named.stdout)
    assert row["findings"][0]["name"] == "pneumonia"
    bare = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(bare.stdout)["decision"] == "not_triaged"
