"""The pixels of a file as DCMTK decodes them, or GDCM where DCMTK cannot, read by nothing of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from models.tolerant_reading import UNREADABLE, quietly
from tests.interop.peers import run

#: The first that fits; what is left is native, or unknown to both.
_PROGRAMS = (
    (re.compile(r"1\.2\.840\.10008\.1\.2\.4\.(5\d|70)"), ("dcmdjpeg",)),
    (re.compile(r"1\.2\.840\.10008\.1\.2\.4\.8[01]"), ("dcmdjpls",)),
    (re.compile(r"1\.2\.840\.10008\.1\.2\.4\.9[01]"), ("gdcmconv", "--raw")),
    (re.compile(r"1\.2\.840\.10008\.1\.2\.5"), ("dcmdrle",)),
    (re.compile(r".*"), ("dcmconv", "+te")),
)


def decoded(path: Path, folder: Path, transfer_syntax_uid: str, *options: str) -> NDArray[Any] | None:
    """``(frames, rows, columns)`` or ``(frames, rows, columns, 3)`` RGB; None where neither decodes the file.

    Args:
        path: a Part 10 file.
        folder: where the peer may write.
        transfer_syntax_uid: of the file.
        options: of DCMTK's program, where it does not do what the standard says by itself.
    """
    command = next(command for pattern, command in _PROGRAMS if pattern.fullmatch(transfer_syntax_uid))
    for one in ((*command, *options), ("gdcmconv", "--raw")):
        native = folder / "native.dcm"
        native.unlink(missing_ok=True)
        if run(*one, path, native, timeout_s=300.0).returncode == 0 and native.exists():
            try:
                with quietly():
                    return _native_pixels(dcmread(native, force=True))
            except UNREADABLE:
                continue  # written, but not as an image
    return None


def _native_pixels(dataset: Dataset) -> NDArray[Any]:
    """Little endian cells, their stored bits and sign, colour by pixel (PS3.5 8.1.1, PS3.3 C.7.6.3.1)."""
    frames, rows, columns = int(dataset.get("NumberOfFrames") or 1), dataset.Rows, dataset.Columns
    shape, samples = (frames, rows, columns), int(dataset.get("SamplesPerPixel") or 1)
    for keyword, kind in (("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")):
        if keyword in dataset:
            return np.frombuffer(dataset[keyword].value, kind).reshape(shape)
    cells = _cells(bytes(dataset.PixelData), int(dataset.BitsAllocated))
    if samples == 1:
        return _stored(cells[: frames * rows * columns].reshape(shape), dataset)
    if dataset.PhotometricInterpretation == "YBR_FULL_422" and len(cells) < frames * rows * columns * 3:
        colour = _four_two_two(cells[: frames * rows * columns * 2], shape)
    elif dataset.PlanarConfiguration == 1:
        colour = cells[: frames * rows * columns * 3].reshape(frames, 3, rows, columns).transpose(0, 2, 3, 1)
    else:
        colour = cells[: frames * rows * columns * 3].reshape(*shape, 3)
    return _rgb(colour) if dataset.PhotometricInterpretation.startswith("YBR_FULL") else colour


def _cells(data: bytes, allocated: int) -> NDArray[Any]:
    """Cells of whole bytes, or one after the other from the lowest bit."""
    if allocated % 8 == 0:
        return np.frombuffer(data[: len(data) // (allocated // 8) * (allocated // 8)], f"<u{allocated // 8}")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    whole = bits[: len(bits) // allocated * allocated].reshape(-1, allocated)
    return whole.astype(np.uint32) @ (1 << np.arange(allocated, dtype=np.uint32))


def _stored(cells: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    lowest = int(dataset.HighBit) - int(dataset.BitsStored) + 1
    values = cells.astype(np.int64) >> lowest & (1 << int(dataset.BitsStored)) - 1
    if dataset.get("PixelRepresentation") == 1:
        values = np.where(values >> int(dataset.BitsStored) - 1, values - (1 << int(dataset.BitsStored)), values)
    return values


def _four_two_two(cells: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    pairs = cells.reshape(*shape[:2], shape[2] // 2, 4)
    chroma = [np.repeat(pairs[..., at], 2, axis=2) for at in (2, 3)]
    return np.stack([pairs[..., :2].reshape(shape), *chroma], axis=-1)


def _rgb(colour: NDArray[Any]) -> NDArray[Any]:
    """PS3.3 C.7.6.3.1.2."""
    y, cb, cr = (colour[..., at].astype(float) - (128 if at else 0) for at in range(3))
    mixed = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(np.round(mixed), 0, 255)
