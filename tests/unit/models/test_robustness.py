"""Robustness with the tiny pack: every row is there, and every DICOM form holds the picture it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware.onnxruntime_session import open_onnxruntime
from models.dicom_forms import DicomForm, dicom_forms, part10
from models.pack import load_pack
from models.picture_changes import PICTURE_CHANGES, Picture
from models.pixels import grey_image, open_dicom
from models.robustness import robustness
from models.runner import PackRunner
from models.scope import Scope
from tests.tiny_pack import FINDING, Says, picture, write_tiny_pack

KINDS = ("MONOCHROME1", "MONOCHROME2", "RGB")
EVERYTHING = Scope(
    modalities=("DX",),
    body_parts=("CHEST",),
    views=("AP",),
    age_years=(1.0, 5.0),
    photometric_interpretations=KINDS,
)
FORMS = list(dicom_forms(EVERYTHING))


def _eight_bits(says: Says) -> Picture:
    return picture(says, bits=8).astype(np.uint8)


@pytest.fixture
def runner(tmp_path: Path) -> PackRunner:
    """The tiny pack for chests of small children."""
    pack = load_pack(write_tiny_pack(tmp_path / "tiny", scope=EVERYTHING.model_dump()))
    return PackRunner(pack, open_onnxruntime(pack.network, threads=1))


def test_a_row_for_every_change(runner: PackRunner) -> None:
    """What is the same stays the same, what loses a little stays close, a missing tag refuses with its reason."""
    images = [(_eight_bits("urgent"), FINDING), (_eight_bits("routine"), "normal")]
    steps: list[str] = []

    def track(wrapped: Sequence[Any], what: str) -> Sequence[Any]:
        steps.append(f"{what} in {len(wrapped)} steps")
        return wrapped

    rows = robustness(runner, images, track=track)
    assert steps == [f"robustness in {len(rows)} steps"]
    assert [row["change"] for row in rows] == [*PICTURE_CHANGES, *(form.name for form in FORMS)]
    by_name = {row["change"]: row for row in rows}
    assert (by_name["as it is"]["auc"], by_name["as it is"]["coverage"], by_name["as it is"]["changed"]) == (1, 1, 0)
    for row in rows:
        if row["expected"] == "same":
            assert row["shift"] < 1e-4, row
        if row["expected"] == "close":
            assert row["shift"] < 0.02, row
    assert by_name["without PatientAge"]["refused"] == {"age_unknown": 2}
    assert by_name["without Modality"]["refused"] == {"wrong_modality": 2}
    assert by_name["without ViewPosition"]["coverage"] == 0.0
    assert by_name["without BodyPartExamined"]["auc"] is None


def test_inverted_pixels_without_a_word_turn_the_answer_round(runner: PackRunner) -> None:
    """The tiny pack has no gate, so the report must show the harm: both wrong, the ill one called routine."""
    images = [(_eight_bits("urgent"), FINDING), (_eight_bits("routine"), "normal")]
    (row,) = [row for row in robustness(runner, images) if row["change"] == "inverted pixels called MONOCHROME2"]
    assert (row["auc"], row["missed_among_routine"], row["missed_share"], row["changed"]) == (0.0, 1, 1.0, 1.0)


def test_without_images_there_are_rows_without_figures(runner: PackRunner) -> None:
    """Nothing to divide by is no error."""
    assert {(row["n"], row["auc"], row["changed"]) for row in robustness(runner, [])} == {(0, None, None)}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_holds_the_picture(form: DicomForm, tmp_path: Path) -> None:
    """Written as a file and read back, a lossless form is the picture times one factor; a lossy one is near it."""
    rng = np.random.default_rng(3)
    drawn = np.clip(_eight_bits("escalate") * 0.8 + rng.normal(20, 4, (256, 256)), 0, 255).astype(np.uint8)[:, :255]
    path = tmp_path / "one.dcm"
    path.write_bytes(part10(form.make(drawn, EVERYTHING)))
    grey = grey_image(open_dicom(path)).astype(np.float64)
    assert grey.shape == drawn.shape
    if form.name.startswith("inverted"):
        drawn = 255 - drawn
    scaled = (grey - grey.min()) / (grey.max() - grey.min())
    wanted = (drawn - float(drawn.min())) / (float(drawn.max()) - drawn.min())
    assert np.abs(scaled - wanted).mean() < (0.02 if form.expected == "close" else 1e-6)


def test_only_tags_that_the_scope_asks_about_are_left_out() -> None:
    """A scope of a modality alone has one such row."""
    names = [form.name for form in dicom_forms(Scope(modalities=("US",)))]
    assert [name for name in names if name.startswith("without")] == ["without Modality"]


def test_a_scope_that_takes_no_monochrome1_must_refuse_it() -> None:
    """What is expected follows from the scope; RGB is tried only where it is taken."""
    grey = Scope(modalities=("US",), photometric_interpretations=("MONOCHROME2",))
    expected = {form.name: form.expected for form in dicom_forms(grey)}
    assert expected["MONOCHROME1, inverted pixels"] == "refused"
    assert "RGB of three equal channels" not in expected
    assert {form.name: form.expected for form in FORMS}["RGB of three equal channels"] == "same"


@pytest.mark.parametrize("name", PICTURE_CHANGES)
def test_a_change_keeps_size_and_depth(name: str) -> None:
    """A picture that is not square comes back in its own shape; all but the first are changed."""
    drawn = _eight_bits("escalate")[:200]
    changed = PICTURE_CHANGES[name](drawn, np.random.default_rng(0))
    assert changed.shape == drawn.shape
    assert changed.dtype == np.uint8
    soft = name in ("as it is", "half the resolution", "blur 0.5 %", "blur 1 %")
    assert soft or not np.array_equal(changed, drawn)
