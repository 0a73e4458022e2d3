"""PNG and JPEG with attributes a person vouches for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import CannotTriage
from models.image_facts import facts_of
from models.pictures import attributes_of, dataset_from_picture, is_picture
from models.pixels import PixelLimits, grey_image
from models.reasons import Reason
from tests.tiny_pack import picture

AS = {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "AP", "PatientAge": "004Y"}


def _written(path: Path, pixels: NDArray[Any]) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_keeps_its_values_and_gets_its_attributes(tmp_path: Path, bits: int) -> None:
    """8 and 16 bit, odd size."""
    pixels = picture("urgent", 65, 63, bits).astype(np.uint8 if bits == 8 else np.uint16)
    path = _written(tmp_path / "a.png", pixels)
    dataset = dataset_from_picture(path, AS)
    facts = facts_of(dataset)
    assert (facts.modality, facts.view_position, facts.patient_age_years) == ("DX", "AP", 4.0)
    assert np.array_equal(grey_image(dataset), pixels.astype(np.float32))
    assert is_picture(path)


def test_the_same_file_has_the_same_uid(tmp_path: Path) -> None:
    """And another file another one."""
    first = _written(tmp_path / "a.png", picture("urgent", 32, 32))
    second = _written(tmp_path / "b.png", picture("routine", 32, 32))
    uids = [dataset_from_picture(path, AS).SOPInstanceUID for path in (first, first, second)]
    assert uids[0] == uids[1] != uids[2]


def test_colour_jpeg_becomes_grey(tmp_path: Path) -> None:
    """Three channels in, one out."""
    path = _written(tmp_path / "a.jpg", np.full((20, 30, 3), (0, 0, 255), np.uint8))
    assert dataset_from_picture(path, AS).pixel_array.mean() == pytest.approx(76, abs=2)


def test_what_is_no_picture_and_what_is_torn(tmp_path: Path) -> None:
    """Each with its reason."""
    whole = _written(tmp_path / "a.png", picture("urgent", 32, 32)).read_bytes()
    cases = {b"BM" + bytes(100): Reason.not_an_image, whole[:40]: Reason.unreadable_pixels}
    for content, reason in cases.items():
        path = tmp_path / "x"
        path.write_bytes(content)
        with pytest.raises(CannotTriage) as caught:
            dataset_from_picture(path, AS)
        assert caught.value.reason is reason
    with pytest.raises(CannotTriage):
        dataset_from_picture(tmp_path / "gone", AS)


def test_a_picture_over_the_limit_is_not_decoded(tmp_path: Path) -> None:
    """The size is read from its header."""
    path = _written(tmp_path / "a.png", picture("urgent", 32, 32))
    with pytest.raises(CannotTriage) as caught:
        dataset_from_picture(path, AS, PixelLimits(max_pixels=1023))
    assert caught.value.reason is Reason.too_large


def test_attributes_from_the_command_line() -> None:
    """Spaces are forgiven, empty parts too."""
    assert attributes_of(" Modality=DX, PatientAge=004Y ,") == {"Modality": "DX", "PatientAge": "004Y"}


@pytest.mark.parametrize("text", ["Modality", "Modalty=DX", "PixelData=1", "=DX"])
def test_wrong_attributes_are_wrong_use(text: str) -> None:
    """A misspelt keyword must not be ignored: the image would be refused for the wrong reason."""
    with pytest.raises(ValueError, match=r"keyword"):
        attributes_of(text)
