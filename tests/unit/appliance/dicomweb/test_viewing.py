"""What a viewer is given of one frame, at its full depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, RLELossless

from appliance.dicomweb.frames import NoSuchFrame
from appliance.dicomweb.opening import Unreadable
from appliance.dicomweb.viewing import FramePixels, described, viewed_frame
from models.pixels import PixelLimits
from tests.dicom_factory import as_file, chest_radiograph, compressed

LIMITS = PixelLimits()
STORED = np.arange(12, dtype=np.uint16).reshape(3, 4) * 341


def shown(path: Path, number: int = 1, lut: int | None = None) -> FramePixels:
    """The frame, which can be read."""
    made = viewed_frame(path, number, lut, LIMITS)
    assert isinstance(made, FramePixels)
    return made


def values(made: FramePixels) -> np.ndarray[Any, Any]:
    """Its pixels."""
    return np.frombuffer(made.data, np.dtype(made.kind).newbyteorder("<")).reshape(made.rows, made.columns, -1)


def table(first: int, entries: list[int]) -> Dataset:
    """An item of a Modality LUT or VOI LUT Sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, 16])
    item.add_new("LUTData", "US", entries)
    item.LUTExplanation = "OWN"
    return item


def test_twelve_bits_stay_twelve_bits(tmp_path: Path) -> None:
    """The stored values, little endian, with the lowest and the highest of them."""
    made = shown(as_file(chest_radiograph(pixels=STORED), tmp_path / "a"))
    assert (made.kind, made.rows, made.columns, made.samples) == ("uint16", 3, 4, 1)
    assert (made.smallest, made.largest) == (0, 3751)
    assert np.array_equal(values(made)[..., 0], STORED)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_frames_are_decoded_here(tmp_path: Path, syntax: str) -> None:
    """The browser needs no codec."""
    pixels = np.tile(STORED, (16, 16))
    made = shown(as_file(compressed(chest_radiograph(pixels=pixels), syntax), tmp_path / "a"))
    assert np.array_equal(values(made)[..., 0], pixels)


def test_a_modality_lut_is_applied(tmp_path: Path) -> None:
    """No slope says what it does."""
    image = chest_radiograph(
        pixels=np.array([[0, 1], [2, 9]], np.uint16), ModalityLUTSequence=[table(0, [5, 7, 60000])]
    )
    path = as_file(image, tmp_path / "a")
    assert values(shown(path))[..., 0].tolist() == [[5, 7], [60000, 60000]]
    (frames,) = described([(path, "1.2")], LIMITS.max_decoded_bytes)
    assert not isinstance(frames, Unreadable)
    assert frames[0]["rescale"] == [1.0, 0.0]


def test_a_voi_lut_is_a_preset(tmp_path: Path) -> None:
    """It is looked up here, at its own depth."""
    image = chest_radiograph(pixels=np.array([[0, 1], [2, 9]], np.uint16), VOILUTSequence=[table(0, [9, 4, 3000])])
    path = as_file(image, tmp_path / "a")
    (frames,) = described([(path, "1.2")], LIMITS.max_decoded_bytes)
    assert not isinstance(frames, Unreadable)
    assert frames[0]["voi_luts"] == [{"index": 0, "name": "OWN"}]
    assert values(shown(path, lut=0))[..., 0].tolist() == [[9, 4], [3000, 3000]]
    assert isinstance(viewed_frame(path, 1, 3, LIMITS), Unreadable)


def test_colours_come_as_eight_bits_each(tmp_path: Path) -> None:
    """Red, green, blue, pixel by pixel."""
    image = chest_radiograph(pixels=np.zeros((2, 2), np.uint16))
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelData = bytes(range(12))
    made = shown(as_file(image, tmp_path / "a"))
    assert (made.kind, made.samples) == ("uint8", 3)
    assert made.data == bytes(range(12))


def test_one_frame_of_many(tmp_path: Path) -> None:
    """By its number, from 1; others are not there."""
    image = chest_radiograph(pixels=STORED)
    image.NumberOfFrames = 2
    image.PixelData = STORED.tobytes() + (STORED + 1).tobytes()
    path = as_file(image, tmp_path / "a")
    assert np.array_equal(values(shown(path, 2))[..., 0], STORED + 1)
    assert viewed_frame(path, 3, None, LIMITS) == NoSuchFrame(2)
    (frames,) = described([(path, "1.2")], LIMITS.max_decoded_bytes)
    assert not isinstance(frames, Unreadable)
    assert [one["frame"] for one in frames] == [1, 2]


def test_windows_and_spacing_are_those_of_the_header(tmp_path: Path) -> None:
    """With the keyword that the spacing stands under, and nothing of a patient."""
    image = chest_radiograph(
        pixels=STORED, WindowCenter=[10, 20], WindowWidth=[5, 0], WindowCenterWidthExplanation=["A", "B"],
        ImagerPixelSpacing=[0.2, 0.1], PixelSpacing=None,
    )  # fmt: skip
    (frames,) = described([(as_file(image, tmp_path / "a"), "1.2")], LIMITS.max_decoded_bytes)
    assert not isinstance(frames, Unreadable)
    assert frames[0]["windows"] == [{"name": "A", "center": 10.0, "width": 5.0}]
    assert (frames[0]["spacing_mm"], frames[0]["spacing_named"]) == ([0.2, 0.1], "ImagerPixelSpacing")
    assert str(image.PatientName) not in str(frames)


def test_what_is_too_large_or_no_image_says_so(tmp_path: Path) -> None:
    """Before anything is decoded."""
    path = as_file(chest_radiograph(pixels=STORED), tmp_path / "a")
    assert isinstance(viewed_frame(path, 1, None, PixelLimits(max_pixels=11)), Unreadable)
    (tmp_path / "b").write_bytes(b"no image")
    assert isinstance(viewed_frame(tmp_path / "b", 1, None, LIMITS), Unreadable)
    assert isinstance(described([(tmp_path / "b", "1.2")], 1 << 20)[0], Unreadable)
