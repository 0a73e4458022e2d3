"""Lossless compression of a de-identified instance, believed only after it has been decoded again."""

from __future__ import annotations

import copy
from io import BytesIO

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless

from appliance.privacy.htj2k import to_htj2k

#: What pydicom and the codecs raise for an image that they cannot hold (bit depth, colour space, size).
_CODEC_ERRORS = (ValueError, RuntimeError, NotImplementedError, AttributeError, TypeError)


def part_10(dataset: Dataset) -> bytes:
    """``dataset`` as a Part 10 file in the transfer syntax its file meta information names."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def compressed(dataset: Dataset) -> bytes:
    """The smallest of HTJ2K lossless (PS3.5 A.4.4), JPEG-LS lossless (A.4.3) and deflate (A.5) as a Part 10 file,
    decoded and compared.

    A data set that is compressed already is written as it is. An image that cannot be compressed without
    changing a pixel is written uncompressed. The argument is not changed; the same data set gives the same
    bytes.
    """
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return part_10(dataset)
    plain = part_10(dataset)
    made = (_deflated(dataset), _jpeg_ls(dataset), _htj2k(dataset))
    smallest_first = sorted((one for one in made if one is not None and len(one) < len(plain)), key=len)
    return next((one for one in smallest_first if _same_pixels(one, dataset)), plain)


def _deflated(dataset: Dataset) -> bytes:
    deflated = _copy_of(dataset)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return part_10(deflated)


def _jpeg_ls(dataset: Dataset) -> bytes | None:
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        return None
    smaller = _copy_of(dataset)
    try:
        smaller.compress(JPEGLSLossless, generate_instance_uid=False)
    except _CODEC_ERRORS:
        return None
    return part_10(smaller)


def _htj2k(dataset: Dataset) -> bytes | None:
    smaller = _copy_of(dataset)
    try:
        to_htj2k(smaller)
    except _CODEC_ERRORS:
        return None
    return part_10(smaller)


def _copy_of(dataset: Dataset) -> Dataset:
    """A copy with elements of its own, because compressing changes them; the bytes themselves are shared."""
    twin = Dataset()
    for element in dataset:
        twin.add(copy.copy(element))
    twin.file_meta = copy.deepcopy(dataset.file_meta)
    return twin


def _same_pixels(file: bytes, original: Dataset) -> bool:
    try:
        decoded, expected = pixel_array(dcmread(BytesIO(file)), raw=True), pixel_array(original, raw=True)
    except _CODEC_ERRORS:
        return False
    return decoded.dtype == expected.dtype and np.array_equal(decoded, expected)
