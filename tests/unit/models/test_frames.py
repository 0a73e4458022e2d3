"""The stored values of a frame, in every layout the Image Pixel module knows."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from models.errors import CannotTriage
from models.frames import stored_frame, stored_frames
from models.pixel_limits import PixelLimits
from models.reasons import Reason
from tests.dicom_factory import chest_pixels, chest_radiograph, compressed

SMALL = chest_pixels(36, 44)
DEFLATED_FRAME = UID("1.2.840.10008.1.2.8.1")


def _native(data: bytes, vr: str = "OW", **overrides: Any) -> Dataset:
    dataset = chest_radiograph(pixels=SMALL, **overrides)
    dataset.add_new("PixelData", vr, data + b"\0" * (len(data) % 2))
    return dataset


def _encapsulated(frames: list[bytes], syntax: UID, **overrides: Any) -> Dataset:
    dataset = _native(encapsulate(frames), "OB", **overrides)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize("high_bit", [11, 13, 15])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_that_are_not_stored_are_left_out(high_bit: int, signed: bool) -> None:
    """Below and above the stored ones there may be anything, an overlay for one (PS3.5 8.1.1)."""
    values = SMALL.astype(np.int32) - (2048 if signed else 0)
    cells = (values & 0xFFF) << (high_bit - 11)
    beside = 0xFFFF & ~(0xFFF << (high_bit - 11))
    overlay = np.where(np.indices(SMALL.shape).sum(axis=0) % 3 == 0, beside, 0)
    dataset = _native((cells | overlay).astype("<u2").tobytes(), HighBit=high_bit, PixelRepresentation=int(signed))
    assert np.array_equal(stored_frame(dataset), values)


@pytest.mark.parametrize("bits", [1, 4, 10, 12, 20])
def test_packed_cells(bits: int) -> None:
    """Bits Allocated of other than whole bytes: cell after cell from the lowest bit."""
    values = np.random.default_rng(1).integers(0, 1 << bits, (2, *SMALL.shape), dtype=np.uint32)
    cells = np.unpackbits(values.astype("<u4")[..., None].view(np.uint8), axis=-1, bitorder="little")[..., :bits]
    data = np.packbits(cells.reshape(-1), bitorder="little").tobytes()
    dataset = _native(data, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1, NumberOfFrames=2)
    assert np.array_equal(stored_frame(dataset, 0), values[0])
    assert np.array_equal(stored_frame(dataset, 1), values[1])


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_big_endian(bits: int) -> None:
    """The same numbers in the retired byte order, signed."""
    values = SMALL.astype(f"i{bits // 8}")
    dataset = _native(
        values.astype(f">i{bits // 8}").tobytes(),
        vr="OB" if bits == 8 else "OW",
        BitsAllocated=bits,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=1,
    )
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    frame = stored_frame(dataset)
    assert frame.dtype.isnative
    assert np.array_equal(frame, values)


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floating_point_pixels(keyword: str) -> None:
    """Parametric maps carry them (PS3.3 C.7.6.24, C.7.6.25)."""
    values = SMALL.astype("<f4" if keyword.startswith("Float") else "<f8") / 7
    dataset = chest_radiograph(pixels=SMALL, PixelData=None, BitsAllocated=8 * values.dtype.itemsize)
    for integers_only in ("BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, integers_only)
    setattr(dataset, keyword, values.tobytes())
    assert np.array_equal(stored_frame(dataset), values)


@pytest.mark.parametrize("planar", [0, 1])
def test_planar_configuration(planar: int) -> None:
    """Colour by pixel and colour by plane are the same picture."""
    colours = np.random.default_rng(2).integers(0, 256, (*SMALL.shape, 3), dtype=np.uint8)
    data = (colours.transpose(2, 0, 1) if planar else colours).tobytes()
    dataset = chest_radiograph(pixels=colours, bits=8, PlanarConfiguration=planar)
    dataset.PixelData = data
    assert np.array_equal(stored_frame(dataset), colours)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
def test_several_frames(syntax: UID, signed: bool) -> None:
    """Each frame by its number, and all in their order."""
    values = np.stack([SMALL, SMALL[::-1], SMALL[:, ::-1]]).astype(np.int16 if signed else np.uint16)
    values -= 2048 if signed else 0
    dataset = chest_radiograph(pixels=values[0], NumberOfFrames=3)
    dataset.PixelData = values.tobytes()
    dataset = compressed(dataset, syntax)
    assert np.array_equal(np.stack(list(stored_frames(dataset))), values)
    assert np.array_equal(stored_frame(dataset, 2), values[2])


def test_frames_that_are_encapsulated_as_they_are() -> None:
    """Encapsulated Uncompressed Explicit VR Little Endian (PS3.5 A.4.11)."""
    values = [SMALL, SMALL[::-1]]
    dataset = _encapsulated([value.tobytes() for value in values], UID("1.2.840.10008.1.2.1.98"), NumberOfFrames=2)
    assert np.array_equal(np.stack(list(stored_frames(dataset))), values)


def test_jpeg_with_twelve_bits() -> None:
    """JPEG Extended keeps its precision, which most decoders do not."""
    frame = bytes(imagecodecs.jpeg8_encode(SMALL, level=100, bitspersample=12))
    decoded = stored_frame(_encapsulated([frame], JPEGExtended12Bit))
    assert decoded.dtype == np.uint16
    assert np.abs(decoded.astype(int) - SMALL).max() < 8


@pytest.mark.parametrize("syntax", [RLELossless, DEFLATED_FRAME])
def test_compressed_single_bits(syntax: UID) -> None:
    """Segmentations: eight cells to a byte, the last byte of a frame filled up."""
    mask = (SMALL[:19, :27] > 2000).astype(np.uint8)
    packed = np.packbits(mask.reshape(-1), bitorder="little").tobytes()
    frame = _rle(packed) if syntax == RLELossless else _deflated(packed)
    shape = {"Rows": 19, "Columns": 27, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    assert np.array_equal(stored_frame(_encapsulated([frame], syntax, **shape)), mask)


def _deflated(data: bytes) -> bytes:
    frame = bytes(imagecodecs.deflate_encode(data, raw=True))
    return frame + b"\0" * (len(frame) % 2)


def _rle(data: bytes) -> bytes:
    """One segment of literal runs (PS3.5 G.3)."""
    runs = [data[start:end] for start, end in pairwise([*range(0, len(data), 128), len(data)])]
    body = b"".join(bytes([len(run) - 1]) + run for run in runs)
    return (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + body + b"\0" * (len(body) % 2)


def test_colours_of_a_cut_marker() -> None:
    """An Adobe segment without its last byte names no colours, so the header's word counts."""
    colours = np.zeros((*SMALL.shape, 3), np.uint8)
    colours[..., 1] = 200
    frame = bytes(imagecodecs.jpeg8_encode(colours, level=100, colorspace="RGB", outcolorspace="RGB"))
    at = frame.index(b"Adobe")
    cut = frame[: at - 2] + b"\x00\x0cAdobe" + frame[at + 5 : at + 10] + frame[at + 12 :]
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    decoded = stored_frame(_encapsulated([cut], JPEGBaseline8Bit, **colour, **eight))
    assert decoded[5, 5].tolist() == pytest.approx([0, 200, 0], abs=3)


def test_acr_nema_knew_grey_only() -> None:
    """No Photometric Interpretation, but a Recognition Code."""
    dataset = chest_radiograph(pixels=SMALL, PhotometricInterpretation=None)
    dataset.RecognitionCode = "ACR-NEMA 2.0"
    assert np.array_equal(stored_frame(dataset), SMALL)


@pytest.mark.parametrize("at", [54, 75, 131])
def test_jpeg_ls_without_its_end_takes_no_time(at: int) -> None:
    """With another error in it, the decoder alone would search for the end for seconds."""
    small = (SMALL >> 4).astype(np.uint8)
    frame = bytearray(imagecodecs.jpegls_encode(small, level=2))
    frame[frame.rindex(b"\xff\xd9")] = 0xFE
    frame[at] ^= 0x80
    dataset = _encapsulated([bytes(frame)], JPEGLSNearLossless, BitsAllocated=8, BitsStored=8, HighBit=7)
    before = time.process_time()
    with pytest.raises(CannotTriage):
        stored_frame(dataset)
    assert time.process_time() - before < 1.0


def test_a_frame_that_is_not_there() -> None:
    """By its number, or because there are fewer than the header says."""
    dataset = chest_radiograph(pixels=SMALL)
    for index in (-1, 1):
        with pytest.raises(CannotTriage) as caught:
            stored_frame(dataset, index)
        assert caught.value.reason is Reason.unreadable_pixels
    short = compressed(chest_radiograph(pixels=SMALL), RLELossless)
    short.NumberOfFrames = 2
    with pytest.raises(CannotTriage) as caught:
        list(stored_frames(short))
    assert caught.value.reason is Reason.unreadable_pixels


@pytest.mark.parametrize(
    "overrides",
    [
        {"BitsStored": 17},
        {"HighBit": 16},
        {"HighBit": 5},
        {"PixelRepresentation": 2},
        {"SamplesPerPixel": 2},
        {"NumberOfFrames": "1A"},
        {"Rows": -3},
    ],
)
def test_headers_that_contradict_themselves(overrides: dict[str, Any]) -> None:
    """Refused before anything is decoded, with the element's name."""
    dataset = chest_radiograph(pixels=SMALL)
    for keyword, value in overrides.items():
        dataset.add_new(keyword, "LO", str(value))
    with pytest.raises(CannotTriage) as caught:
        stored_frame(dataset)
    assert caught.value.reason is Reason.unreadable_pixels
    assert caught.value.detail


def test_no_memory_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker has a limit of address space; going over it does not mean that the image is damaged."""

    def no_memory(*_: Any, **__: Any) -> NDArray[Any]:
        raise MemoryError

    monkeypatch.setattr("models.frames._by_pydicom", no_memory)
    with pytest.raises(CannotTriage) as caught:
        stored_frame(chest_radiograph(pixels=SMALL), limits=PixelLimits())
    assert caught.value.reason is Reason.too_large
