"""Pictures for people: an image with its heat map, as PNG for the page and as a capture for the archive.

Words stand on bands above and below the image, never on it: a result must not hide anatomy.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from appliance.results.bands import WHITE, YELLOW, Colour, RgbImage, band, with_words_below
from appliance.results.outcome import ImageFinding, StudyOutcome
from appliance.results.reference import (
    as_file,
    can_be_referenced,
    derived_uid,
    local_time,
    orientation_of,
    study_reference,
    take_over,
)
from models.decision import PackIdentity

GreyImage = NDArray[np.float32]

BURNED_IN = "NOT FOR DIAGNOSIS – RESEARCH USE"
SERIES_NUMBER = 9702
LONGEST_SIDE_PX = 1024
#: Share of the colour where the heat map is at its hottest; the image stays visible under it.
STRONGEST_BLEND = 0.45
_SHORT_DIGEST = 12
_MOST_FINDINGS = 4


def overlay(pixels: GreyImage, heat_map: GreyImage | None, longest_side_px: int) -> RgbImage:
    """The image as grey with the heat map blended over it.

    Args:
        pixels: ``(rows, columns)``, brighter = denser, any range.
        heat_map: ``(h, w)`` of 0..1 over the whole of the image, or None for the plain image.
        longest_side_px: larger images are shrunk to this; smaller ones stay as they are.

    Returns ``(rows, columns, 3)`` uint8, RGB.
    """
    grey = _shrunk(_eight_bit(pixels), longest_side_px)
    rgb = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if heat_map is None:
        return rgb
    heat = np.clip(np.nan_to_num(np.asarray(heat_map, np.float32), nan=0.0), 0.0, 1.0)
    heat = np.asarray(cv2.resize(heat, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR))
    bgr = cv2.applyColorMap((heat * 255.0).astype(np.uint8), cv2.COLORMAP_TURBO)
    share = STRONGEST_BLEND * heat[:, :, np.newaxis]
    blended = rgb * (1.0 - share) + np.asarray(bgr)[:, :, ::-1] * share
    return np.asarray(np.rint(blended), np.uint8)


def heat_layer(heat_map: GreyImage) -> bytes:
    """The map alone as a PNG file with alpha: its colours, and as alpha ``heat_map``, ``(h, w)`` of 0..1.

    Drawn at 0.45 over the whole of the image, whatever the size of either, it gives what :func:`overlay` does.
    """
    heat = (np.clip(np.nan_to_num(np.asarray(heat_map, np.float32), nan=0.0), 0.0, 1.0) * 255.0).astype(np.uint8)
    bgr = np.asarray(cv2.applyColorMap(heat, cv2.COLORMAP_TURBO))
    return _png(np.ascontiguousarray(np.dstack([bgr, heat])))


def as_png(rgb: RgbImage) -> bytes:
    """``(rows, columns, 3)`` uint8 RGB as a PNG file."""
    return _png(np.ascontiguousarray(rgb[:, :, ::-1]))


def picture_uid(outcome: StudyOutcome) -> str:
    """SOP Instance UID of the secondary capture of this outcome."""
    kind = "amended picture" if outcome.answer else "picture"
    return derived_uid(outcome.study_instance_uid, outcome.edition, kind)


def build_picture(source: Dataset, pixels: GreyImage, heat_map: GreyImage | None, outcome: StudyOutcome) -> bytes:
    """The Part 10 file of a secondary capture (PS3.3 A.8.1) in the study; same arguments, same bytes.

    Args:
        source: the deciding image (header is enough).
        pixels: its ``(rows, columns)`` picture, brighter = denser.
        heat_map: ``(h, w)`` of 0..1 over the whole image, None when no model read it.
        outcome: what was decided.

    Raises ValueError when ``source`` lacks the UIDs that a reference needs.
    """
    if not can_be_referenced(source):
        raise ValueError("the deciding image lacks a UID that a reference to it needs")
    rgb = _with_bands(overlay(pixels, heat_map, LONGEST_SIDE_PX), str(source.SOPInstanceUID), outcome)
    reference = study_reference([source], outcome.study_instance_uid)
    moment = local_time(outcome.recorded_at, reference)
    capture = SCImage(
        pixel_array=rgb,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # replaced below: highdicom takes no "unknown", which DICOM allows
        study_instance_uid=outcome.study_instance_uid,
        series_instance_uid=derived_uid(outcome.study_instance_uid, "picture series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=picture_uid(outcome),
        instance_number=outcome.instance_number,
        manufacturer="Scanside",
        manufacturer_model_name="Scanside",
        series_description="AI triage picture. Research use only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_date=moment.date(),
        content_time=moment.time(),
        specific_character_set="ISO_IR 192",
    )
    take_over(capture, reference)
    capture.DateOfSecondaryCapture = moment.strftime("%Y%m%d")
    capture.TimeOfSecondaryCapture = moment.strftime("%H%M%S")
    _describe_derivation(capture, source, heat_map is not None)
    return as_file(capture, moment)


def _eight_bit(pixels: GreyImage) -> NDArray[np.uint8]:
    finite = np.nan_to_num(np.asarray(pixels, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(finite, [0.5, 99.5])
    stretched = (finite - low) / max(float(high - low), 1e-6)
    return np.asarray(np.rint(np.clip(stretched, 0.0, 1.0) * 255.0), np.uint8)


def _shrunk(grey: NDArray[np.uint8], longest_side_px: int) -> NDArray[np.uint8]:
    rows, columns = grey.shape
    scale = longest_side_px / max(rows, columns)
    if scale >= 1.0:
        return grey
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _png(picture: NDArray[np.uint8]) -> bytes:
    written, data = cv2.imencode(".png", picture)
    if not written:
        raise ValueError(f"a picture of shape {picture.shape} cannot be written as PNG")
    return data.tobytes()


def _with_bands(rgb: RgbImage, sop_instance_uid: str, outcome: StudyOutcome) -> RgbImage:
    rgb = _at_least(rgb, 512)
    top = band([(BURNED_IN, YELLOW)], rgb.shape[1])
    return with_words_below(np.concatenate([top, rgb]), _lines_below(sop_instance_uid, outcome))


def _lines_below(sop_instance_uid: str, outcome: StudyOutcome) -> list[tuple[str, Colour]]:
    decision = outcome.decision.value.replace("_", " ").upper()
    if outcome.reason is not None:
        decision += f" ({outcome.reason.value})"
    below = [(f"Decision: {decision}", WHITE)]
    if outcome.provisional:
        below.append(("PROVISIONAL: the full model has been asked", YELLOW))
    if found := outcome.findings_on(sop_instance_uid):
        below.append((f"Probability: {_in_numbers(found)}", WHITE))
    if outcome.shown is not None:
        below.append((f"Colour: where the evidence for {_plain(outcome.shown.name)} stands out", WHITE))
    elif found:
        below.append(("No heat map: nothing shows that this pack's points at the finding", WHITE))
    if outcome.answer is not None:
        below.append((f"{outcome.answer.speaker}: {outcome.answer.decision.value.replace('_', ' ').upper()}", WHITE))
    below.append((_algorithm_words(outcome.pack), WHITE))
    return below


def _in_numbers(found: Sequence[ImageFinding]) -> str:
    """The most probable findings of an image with their numbers."""
    numbers = [f"{_plain(one.name)} {_in_hundredths(one.probability)}" for one in found[:_MOST_FINDINGS]]
    return " · ".join(numbers) + (" · …" if len(found) > _MOST_FINDINGS else "")


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _in_hundredths(probability: float) -> str:
    """Two places, but no model is ever certain."""
    if probability > 0.99:
        return "over 0.99"
    return f"{probability:.2f}" if probability >= 0.01 else "under 0.01"


def _algorithm_words(pack: PackIdentity | None) -> str:
    if pack is None:
        return "No model pack read this image"
    return f"{pack.name} {pack.version} · sha256 {pack.digest[:_SHORT_DIGEST]}"


def _at_least(rgb: RgbImage, width: int) -> RgbImage:
    """Black margins left and right of a narrow image, so that the words fit."""
    missing = max(0, width - rgb.shape[1])
    return np.pad(rgb, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)))


def _describe_derivation(capture: Dataset, source: Dataset, with_heat: bool) -> None:
    """How this picture came from which image, and what is known about words in its pixels (PS3.3 C.7.6.1)."""
    capture.ConversionType = "WSD"
    capture.PatientOrientation = orientation_of(source)
    what = "Heat map of an AI triage model over the image" if with_heat else "Words of an AI triage model by the image"
    capture.DerivationDescription = f"{what}. Not for diagnosis"
    origin = Dataset()
    origin.ReferencedSOPClassUID = str(source.SOPClassUID)
    origin.ReferencedSOPInstanceUID = str(source.SOPInstanceUID)
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = (
        codes.DCM.SourceImageForImageProcessingOperation[:3]
    )
    origin.PurposeOfReferenceCodeSequence = [purpose]
    capture.SourceImageSequence = [origin]
    laterality = str(source.get("Laterality") or source.get("ImageLaterality") or "")
    capture.Laterality = laterality if laterality in ("L", "R") else ""
    # The words burned in name no patient, so whether the pixels do is whatever it was in the source.
    if source.get("BurnedInAnnotation") in ("YES", "NO"):
        capture.BurnedInAnnotation = source.BurnedInAnnotation
    if source.get("LossyImageCompression") == "01":
        capture.LossyImageCompression = "01"
