"""The gate on real pictures: what has to pass, what has to be refused. Figures are printed (``pytest -s``)."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.decision import Decision
from models.errors import CannotTriage
from models.opening import open_runner
from models.pack import load_pack
from models.pictures import dataset_from_picture
from models.pixels import grey_image, open_dicom
from models.reasons import Reason
from models.recipes.labelled_images import part_of
from models.registry import SHIPPED
from models.runner import PackRunner
from models.triage import Triage

CHILD = {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "AP", "PatientAge": "004Y"}
_ENLARGED_PX = 256


@pytest.fixture(scope="module")
def runner() -> PackRunner:
    """The box's pack for children's chests."""
    return open_runner(load_pack(SHIPPED / "cxr-pneumonia-paediatric")).runner


def _rows(real_images: Path, name: str) -> list[dict[str, str]]:
    with (real_images / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _refused(runner: PackRunner, pixels: NDArray[np.uint8]) -> bool:
    try:
        runner.read(pixels.astype(np.float32))
    except CannotTriage as refusal:
        assert refusal.reason is Reason.wrong_picture
        return True
    return False


def _share_refused(runner: PackRunner, files: Iterable[Path], what: str) -> float:
    """The share the gate refuses by the picture alone, each enlarged first so that size gives nothing away."""
    area = (_ENLARGED_PX, _ENLARGED_PX)
    pictures = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
    refused = [_refused(runner, cv2.resize(p, area).astype(np.uint8)) for p in pictures if p is not None]
    share = float(np.mean(refused))
    sys.stdout.write(f"{what}: {sum(refused)} of {len(refused)} refused ({share:.1%})\n")
    return share


def test_children_pass(runner: PackRunner, real_images: Path) -> None:
    """At least 97 % of the test part, whose patients nothing was fitted on."""
    rows = [row for row in _rows(real_images, "cxr_paediatric") if part_of(row["patient"]) == "test"]
    files = [real_images / "cxr_paediatric" / row["file"] for row in rows]
    assert _share_refused(runner, files, "children of the test part") <= 0.03


def test_other_body_parts_do_not(runner: PackRunner, real_images: Path) -> None:
    """At least 98 % of those the gate was not fitted on, although their header says chest of a child."""
    rows = [row for row in _rows(real_images, "other_body_parts") if part_of(row["file"]) != "train"]
    files = [real_images / "other_body_parts" / row["file"] for row in rows]
    assert _share_refused(runner, files, "other body parts, not fitted on") >= 0.98


@pytest.mark.parametrize("name", ["cxr_adult_nih", "cxr_adult_normal"])
def test_adults_do_not(runner: PackRunner, real_images: Path, name: str) -> None:
    """All by their age or its absence; and nearly all by the picture, should the header say four years."""
    rows = [row for row in _rows(real_images, name) if part_of(row["file"]) == "test"]
    files = [real_images / name / row["file"] for row in rows]
    triage = Triage([runner])
    for header, reason in ((CHILD | {"PatientAge": "051Y"}, Reason.age_out_of_range), (_ageless(), Reason.age_unknown)):
        for file in files[:50]:
            result = triage.image(dataset_from_picture(file, header))
            assert (result.decision, result.reason) == (Decision.not_triaged, reason)
    assert _share_refused(runner, files, f"{name}, test part") >= 0.95


def _ageless() -> dict[str, str]:
    return {keyword: value for keyword, value in CHILD.items() if keyword != "PatientAge"}


def test_real_radiographs_that_are_no_childs_chest(runner: PackRunner, real_images: Path) -> None:
    """Every DX and CR file of animals, hips and limbs: by its own header, and by the picture if the header lies."""
    triage, told = Triage([runner]), []
    for row in _rows(real_images, "dicom"):
        if row["modality"] not in ("CR", "DX"):
            continue
        path = real_images / "dicom" / row["file"]
        result = triage.image(path)
        assert result.decision is Decision.not_triaged, row["file"]
        if result.reason is Reason.unreadable_pixels:
            continue
        try:
            pixels = grey_image(open_dicom(path))
        except CannotTriage:
            continue
        refused = min(pixels.shape) < runner.pack.manifest.scope.min_side_px or _picture_refused(runner, pixels)
        told.append((row["file"], row["body_part"], refused))
    sys.stdout.writelines(f"{file} {part or '-'} {'refused' if refused else 'read'}\n" for file, part, refused in told)
    assert all(refused for file, part, refused in told if part not in ("CHEST", "THORAX"))


def _picture_refused(runner: PackRunner, pixels: NDArray[np.float32]) -> bool:
    try:
        runner.read(pixels)
    except CannotTriage:
        return True
    return False
