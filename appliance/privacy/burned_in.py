"""Words in the pixels are found and blanked (PS3.15 E.3.1); all other pixels keep every bit.

Compressed images that have words are stored decoded. Who is not sure does not send: an image that is said to have
words and shows none, that is mostly words, or that still shows some afterwards, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from appliance.privacy.errors import UNREADABLE, CannotDeidentify
from appliance.privacy.kinds import text_of
from appliance.privacy.pixel_data import CleanPixels
from appliance.privacy.words_in_pictures import (
    MAY_BE,
    SURELY,
    Mask,
    Picture,
    Sureness,
    enhanced,
    smoothed_over,
    words_in,
)
from models.errors import CannotTriage
from models.frames import stored_frames

_ULTRASOUND: Final = (UltrasoundImageStorage, UltrasoundMultiFrameImageStorage)
_MOST_COVERED: Final = 0.5
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Searched:
    """Pixels without words; ``photometric_interpretation`` is theirs, which decoding may have changed.

    ``blanked`` is ``(rows, columns)`` bool; every other pixel is as it was.
    """

    pixels: CleanPixels
    photometric_interpretation: str
    blanked: Mask


def without_words(clean: CleanPixels, described: Dataset, source: Dataset, most_frames: int) -> Searched:
    """Search every frame and blank what is found in all of them.

    Args:
        clean: the pixels, without anything beside them.
        described: says how they are to be read.
        source: the original, for what it says about words and about regions of ultrasound.
        most_frames: an image with more is refused.

    Raises CannotDeidentify: ``too_many_frames``, ``words_not_found``, ``mostly_words``, ``words_left``,
        ``words_not_searched``, ``unreadable_pixels``.
    """
    try:
        return _without_words(clean, described, source, most_frames)
    except (cv2.error, *UNREADABLE) as error:
        why = f"the pixels cannot be searched for words ({type(error).__name__})"
        raise CannotDeidentify("unreadable_pixels", why) from error


def _without_words(clean: CleanPixels, described: Dataset, source: Dataset, most_frames: int) -> Searched:
    number = int(described.get("NumberOfFrames") or 1)
    if number > most_frames:
        raise CannotDeidentify("too_many_frames", f"{number} frames to search for words, the limit is {most_frames}")
    nowhere = np.zeros((described.Rows, described.Columns), dtype=np.bool_)
    searched = Searched(clean, str(described.PhotometricInterpretation), nowhere)
    outside = _outside_regions(source, described)
    found = _words(searched, described, MAY_BE)
    _require_sure(found, source)
    found |= outside
    for _ in range(_ROUNDS):
        if not (found & ~searched.blanked).any():
            return searched
        searched = _blanked(searched, described, found)
        found = _words(searched, described, SURELY)
    if _apart(found, searched.blanked):
        raise CannotDeidentify("words_left", "the pixels still show words after they were blanked")
    return _blanked(searched, described, found)


def _apart(found: Mask, mask: Mask) -> bool:
    """Whether a line was found that has nothing to do with one that was blanked, not the end of one."""
    count, labels = cv2.connectedComponents(found.astype(np.uint8))
    touched = set(np.unique(labels[mask]))
    return any(label not in touched for label in range(1, count))


def _require_sure(found: Mask, source: Dataset) -> None:
    if not found.any() and text_of(source, "BurnedInAnnotation").upper() not in ("", "NO"):
        raise CannotDeidentify("words_not_found", "the instance says that its pixels name the patient; none was found")
    if found.mean() > _MOST_COVERED:
        raise CannotDeidentify("mostly_words", "most of the image is words, as in a scanned document")


def _words(searched: Searched, described: Dataset, sureness: Sureness) -> Mask:
    """Where words are in any frame, beside what was blanked."""
    mask = np.zeros((described.Rows, described.Columns), dtype=np.bool_)
    for frame in _frames(_readable(searched, described)):
        for picture in _pictures(frame, described, searched.photometric_interpretation, searched.blanked):
            mask |= words_in(picture, sureness)
    return mask


def _readable(searched: Searched, described: Dataset) -> Dataset:
    """The description with these pixels."""
    readable = Dataset()
    readable.update(described)
    readable.PhotometricInterpretation = searched.photometric_interpretation
    if searched.pixels.by_pixel and "PlanarConfiguration" in readable:
        readable.PlanarConfiguration = 0
    readable.add_new("PixelData", searched.pixels.vr, searched.pixels.data)
    readable.file_meta = FileMetaDataset()
    readable.file_meta.TransferSyntaxUID = searched.pixels.transfer_syntax_uid
    return readable


def _frames(readable: Dataset) -> Iterator[NDArray[np.generic]]:
    try:
        yield from stored_frames(readable)
    except CannotTriage as error:
        raise CannotDeidentify("unreadable_pixels", f"the pixels cannot be searched for words: {error}") from error


def _pictures(frame: NDArray[np.generic], described: Dataset, interpretation: str, blanked: Mask) -> Iterator[Picture]:
    """The frame as people may see it, in 8 bits and three colours, and once more with its contrast raised."""
    if interpretation == "PALETTE COLOR":
        try:
            frame = apply_color_lut(frame, described)
        except UNREADABLE as error:
            raise CannotDeidentify("unreadable_pixels", "the palette of the image is malformed") from error
    picture = smoothed_over(_eight_bits(frame), blanked)
    yield picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    if blanked.any():  # a second look sees only what is plain to see
        return
    coloured = picture.ndim == 3
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8) if coloured else picture
    yield np.repeat(enhanced(grey)[..., None], 3, axis=2)


def _eight_bits(frame: NDArray[np.generic]) -> Picture:
    values = frame.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255.0 / max(high - low, 1e-9))).astype(np.uint8)


def _outside_regions(source: Dataset, described: Dataset) -> Mask:
    """Of ultrasound that says where its regions are, all that is outside (PS3.3 C.8.5.5): there the words stand."""
    outside = np.zeros((described.Rows, described.Columns), dtype=np.bool_)
    regions = source.get("SequenceOfUltrasoundRegions") or []
    if text_of(source, "SOPClassUID") not in _ULTRASOUND or not regions:
        return outside
    outside[:] = True
    try:
        for region in regions:
            left, top = int(region.RegionLocationMinX0), int(region.RegionLocationMinY0)
            right, bottom = int(region.RegionLocationMaxX1), int(region.RegionLocationMaxY1)
            outside[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = False
    except UNREADABLE as error:
        raise CannotDeidentify("unreadable_pixels", "a region of the ultrasound image is malformed") from error
    return outside


def _blanked(searched: Searched, described: Dataset, mask: Mask) -> Searched:
    pixels, interpretation = searched.pixels, searched.photometric_interpretation
    if pixels.transfer_syntax_uid.is_encapsulated:
        pixels, interpretation = _decoded(searched, described)
    bits = int(described.BitsAllocated)
    values = np.frombuffer(pixels.data, dtype=f"<u{bits // 8}").copy()
    number, samples = int(described.get("NumberOfFrames") or 1), int(described.SamplesPerPixel)
    rows, columns = mask.shape
    if interpretation == "YBR_FULL_422":
        pairs = values[: number * rows * columns * 2].reshape(number, rows, columns // 2, 4)
        either = mask[:, 0::2] | mask[:, 1::2]  # two pixels share their colour
        mask = np.repeat(either, 2, axis=1)
        pairs[:, either] = (0, 0, 128, 128)
    elif samples == 1:
        frames = values[: number * rows * columns].reshape(number, rows, columns)
        frames[:, mask] = _dark(frames, described, interpretation)
    else:
        colour = np.array((0, 128, 128) if interpretation.startswith("YBR_FULL") else (0, 0, 0), values.dtype)
        flat = values[: number * rows * columns * samples]
        if pixels.by_pixel or int(described.get("PlanarConfiguration") or 0) == 0:
            flat.reshape(number, rows, columns, samples)[:, mask] = colour
        else:
            for plane in range(samples):
                flat.reshape(number, samples, rows, columns)[:, plane, mask] = colour[plane]
    blank = replace(pixels, data=values.tobytes())
    return Searched(blank, interpretation, searched.blanked | mask)


def _dark(frames: NDArray[np.unsignedinteger], described: Dataset, interpretation: str) -> int:
    """The stored value that is shown darkest, of those the image has, as the bits that are stored."""
    if interpretation == "PALETTE COLOR":
        present = np.unique(frames)
        shown = apply_color_lut(present, described).astype(np.int64)
        return int(present[shown.sum(axis=-1).argmin()])
    values: NDArray[np.integer] = frames
    if described.PixelRepresentation == 1:
        spare = frames.dtype.itemsize * 8 - int(described.BitsStored)
        values = (frames << spare).view(frames.dtype.str.replace("u", "i")) >> spare
    place = values.argmax() if interpretation == "MONOCHROME1" else values.argmin()
    return int(frames.reshape(-1)[place])


def _decoded(searched: Searched, described: Dataset) -> tuple[CleanPixels, str]:
    """The frames of a compressed image as native pixels, colour as RGB."""
    bits = int(described.BitsAllocated)
    frames = np.stack(list(_frames(_readable(searched, described))))
    data = frames.astype(f"<{'i' if described.PixelRepresentation == 1 else 'u'}{bits // 8}").tobytes()
    interpretation = "RGB" if frames.ndim == 4 else searched.photometric_interpretation
    vr = "OB" if bits == 8 else "OW"
    return CleanPixels(data + b"\0" * (len(data) % 2), vr, ExplicitVRLittleEndian, True), interpretation
