"""Lossless High-Throughput JPEG 2000 (ISO 15444-15) of a native data set, by OpenJPH through imagecodecs."""

from __future__ import annotations

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import pixel_array
from pydicom.uid import HTJ2KLossless

#: Where Ssiz of the first component stands: SOC, then SIZ with nine fields before it; three bytes for each component
#: (ISO 15444-1 A.5.1).
_FIRST_SSIZ, _SSIZ_STEP, _SIGNED = 42, 3, 0x80


def to_htj2k(dataset: Dataset) -> None:
    """Replace native Pixel Data by HTJ2K Lossless frames (PS3.5 A.4.4), in place.

    Raises ValueError for what it cannot hold: samples of other than 8 or 16 bits, bits that do not begin at the
    lowest, and colour that was subsampled; what the codec raises otherwise is a RuntimeError.
    """
    stored, allocated = int(dataset.BitsStored), int(dataset.BitsAllocated)
    if allocated not in (8, 16) or int(dataset.HighBit) != stored - 1:
        raise ValueError(f"{stored} bits up to bit {dataset.HighBit} of {allocated} do not go into HTJ2K")
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        raise ValueError("subsampled colour does not go into HTJ2K")
    pixels = pixel_array(dataset, raw=True)
    frames = pixels if int(dataset.get("NumberOfFrames") or 1) > 1 else pixels[None]
    rgb, signed = dataset.PhotometricInterpretation == "RGB", dataset.PixelRepresentation == 1
    dataset.PixelData = encapsulate([_frame(frame, stored, rgb=rgb, signed=signed) for frame in frames])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    if rgb:
        dataset.PhotometricInterpretation = "YBR_RCT"
    if dataset.SamplesPerPixel > 1:
        dataset.PlanarConfiguration = 0


def _frame(values: NDArray[np.integer], stored: int, *, rgb: bool, signed: bool) -> bytes:
    """One codestream whose stated precision is Bits Stored (PS3.5 8.2.4), where the codec only knows the array's.

    Unsigned samples are coded around their middle value. That is half of what the stated precision holds, so the
    codec is given them around 0, as its decoder will, once it has read the precision.
    """
    if stored != values.dtype.itemsize * 8 and not signed:
        around_zero = np.dtype(values.dtype.str.replace("u", "i"))
        values = values.astype(around_zero) - around_zero.type(1 << (stored - 1))
    codestream = bytearray(imagecodecs.htj2k_encode(np.ascontiguousarray(values), reversible=True, rgb=rgb))
    for component in range(values.shape[2] if values.ndim == 3 else 1):
        codestream[_FIRST_SSIZ + _SSIZ_STEP * component] = (_SIGNED if signed else 0) | (stored - 1)
    return bytes(codestream)
