"""Heat map and secondary capture."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from appliance.results.outcome import ImageFinding, StudyOutcome
from appliance.results.picture import (
    STRONGEST_BLEND,
    _in_hundredths,
    _in_numbers,
    _lines_below,
    as_png,
    build_picture,
    heat_layer,
    overlay,
    picture_uid,
)
from models.decision import Decision, PackIdentity
from models.reasons import Reason
from tests.dicom_factory import chest_radiograph, uid

STUDY = uid("s")
SOURCE = chest_radiograph(StudyInstanceUID=STUDY)
PIXELS = SOURCE.pixel_array.astype(np.float32)
HEAT = np.zeros((14, 14), np.float32)
HEAT[9:12, 3:6] = 1.0
OUTCOME = StudyOutcome(
    STUDY,
    1,
    Decision.urgent,
    1_773_483_300.0,
    findings=(ImageFinding(SOURCE.SOPInstanceUID, "pneumonia", 0.91),),
    pack=PackIdentity("chest-paediatric", "1.2.0", "ab" * 32),
)


def test_the_heat_lies_where_the_map_is_hot() -> None:
    """Colour appears at the hot place only; elsewhere the image stays grey."""
    rgb = overlay(PIXELS, HEAT, 512)
    assert rgb.shape == (512, 512, 3) and rgb.dtype == np.uint8
    spread = np.ptp(rgb.astype(int), axis=2)
    assert spread[384, 165] > 40
    assert spread[100, 400] == 0


def test_the_map_alone_gives_the_same_picture_over_the_image() -> None:
    """Stretched over the whole of it at the strongest blend; its alpha is the map, at every place."""
    whole = np.asarray(cv2.resize(HEAT, (512, 512), interpolation=cv2.INTER_LINEAR), np.float32)
    layer = np.asarray(cv2.imdecode(np.frombuffer(heat_layer(whole), np.uint8), cv2.IMREAD_UNCHANGED))
    assert np.array_equal(layer[..., 3], (whole * 255).astype(np.uint8))
    share = STRONGEST_BLEND * layer[..., 3:].astype(np.float32) / 255.0
    blended = overlay(PIXELS, None, 512) * (1 - share) + layer[..., 2::-1] * share
    assert np.abs(blended - overlay(PIXELS, HEAT, 512)).max() <= 1.5


def test_large_images_shrink_and_small_ones_stay() -> None:
    """The longer side is bounded, the shape is kept."""
    assert overlay(np.zeros((300, 600), np.float32), None, 200).shape == (100, 200, 3)
    assert overlay(np.zeros((30, 60), np.float32), None, 200).shape == (30, 60, 3)
    assert overlay(np.zeros((1, 900), np.float32), None, 100).shape == (1, 100, 3)


def test_values_that_are_no_numbers_do_no_harm() -> None:
    """A NaN in pixels or heat map is drawn as nothing."""
    pixels, heat = PIXELS.copy(), HEAT.copy()
    pixels[0, 0], heat[0, 0] = np.nan, np.inf
    assert overlay(pixels, heat, 64).shape == (64, 64, 3)
    assert len(np.unique(overlay(np.full((9, 9), 7, np.float32), None, 9))) == 1


def test_png_keeps_the_colours() -> None:
    """Red stays red through the file."""
    rgb = np.zeros((4, 5, 3), np.uint8)
    rgb[..., 0] = 255
    decoded = cv2.imdecode(np.frombuffer(as_png(rgb), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None and decoded[0, 0].tolist() == [0, 0, 255]


def test_the_capture_belongs_to_the_study_and_names_its_source() -> None:
    """Same study and patient, RGB, derived from the deciding image."""
    capture = dcmread(BytesIO(build_picture(SOURCE, PIXELS, HEAT, OUTCOME)))
    assert capture.SOPClassUID == SecondaryCaptureImageStorage
    assert capture.StudyInstanceUID == STUDY and capture.PatientID == SOURCE.PatientID
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == SOURCE.SOPInstanceUID
    assert capture.PhotometricInterpretation == "RGB" and capture.pixel_array.shape[2] == 3
    assert capture.BurnedInAnnotation == "NO" and capture.PatientOrientation == ["L", "F"]
    assert capture.ContentTime == "101500"


def test_words_are_burned_in_beside_the_image_not_on_it() -> None:
    """The image itself is whole between two bands, and both bands hold writing."""
    capture = dcmread(BytesIO(build_picture(SOURCE, PIXELS, HEAT, OUTCOME))).pixel_array
    image = overlay(PIXELS, HEAT, 1024)
    starts = [at for at in range(len(capture) - 511) if np.array_equal(capture[at : at + 512], image)]
    assert len(starts) == 1
    assert capture[: starts[0]].max() == 255
    below = capture[starts[0] + 512 :]
    assert below.max() == 255 and np.count_nonzero(below.max(axis=(1, 2)) > 128) > 30


@pytest.mark.parametrize(
    "changed",
    [
        replace(OUTCOME, decision=Decision.escalate),
        replace(OUTCOME, findings=(ImageFinding(SOURCE.SOPInstanceUID, "pneumonia", 0.13),)),
        replace(OUTCOME, pack=PackIdentity("chest-paediatric", "1.2.1", "ab" * 32)),
        replace(OUTCOME, pack=PackIdentity("chest-paediatric", "1.2.0", "cd" * 32)),
        replace(OUTCOME, reason=Reason.partly_covered),
        replace(OUTCOME, provisional=True),
        replace(OUTCOME, shown=OUTCOME.findings[0]),
        replace(OUTCOME, findings=(*OUTCOME.findings, ImageFinding(SOURCE.SOPInstanceUID, "effusion", 0.2))),
    ],
    ids=["decision", "probability", "version", "digest", "reason", "provisional", "shown", "second finding"],
)
def test_every_statement_shows_in_the_pixels(changed: StudyOutcome) -> None:
    """Decision, probabilities, version, digest, reason, what is coloured and provisional: each is burned in."""
    plain = dcmread(BytesIO(build_picture(SOURCE, PIXELS, HEAT, OUTCOME))).pixel_array
    other = dcmread(BytesIO(build_picture(SOURCE, PIXELS, HEAT, changed))).pixel_array
    assert not np.array_equal(plain, other)


def test_a_repetition_is_the_same_file() -> None:
    """Bytes and UID follow from the arguments."""
    assert build_picture(SOURCE, PIXELS, HEAT, OUTCOME) == build_picture(SOURCE, PIXELS, HEAT, OUTCOME)
    assert picture_uid(OUTCOME) != picture_uid(replace(OUTCOME, revision=2))


def test_a_narrow_image_without_a_reading_gets_a_picture() -> None:
    """The words fit whatever the image's shape, with and without heat map."""
    outcome = StudyOutcome(STUDY, 1, Decision.not_triaged, 0.0, reason=Reason.age_unknown)
    capture = dcmread(BytesIO(build_picture(SOURCE, PIXELS[:, :40], None, outcome)))
    assert capture.Columns == 512 and capture.Rows > 512


def test_burned_in_annotation_is_that_of_the_source() -> None:
    """Words that name no patient do not make a clean image dirty, nor a dirty one clean."""
    dirty = chest_radiograph(StudyInstanceUID=STUDY, BurnedInAnnotation="YES")
    assert dcmread(BytesIO(build_picture(dirty, PIXELS, HEAT, OUTCOME))).BurnedInAnnotation == "YES"
    silent = chest_radiograph(StudyInstanceUID=STUDY, BurnedInAnnotation=None)
    assert "BurnedInAnnotation" not in dcmread(BytesIO(build_picture(silent, PIXELS, HEAT, OUTCOME)))


def test_without_uids_there_is_no_picture() -> None:
    """A source that cannot be referenced is an error, not an orphan."""
    with pytest.raises(ValueError, match="lacks a UID"):
        build_picture(chest_radiograph(SeriesInstanceUID=None), PIXELS, HEAT, OUTCOME)


def test_the_words_name_every_finding_and_say_which_one_is_coloured() -> None:
    """The decisive finding is drawn even where a harmless one is more probable."""
    found = [ImageFinding("1", name, p) for name, p in (("benign", 0.6), ("malignant", 0.35), ("cyst", 0.001))]
    assert _in_numbers(found) == "benign 0.60 · malignant 0.35 · cyst under 0.01"
    assert _in_numbers([ImageFinding("1", "pleural_effusion", 0.5)] * 5).endswith("pleural effusion 0.50 · …")
    words = [line for line, _ in _lines_below("1", replace(OUTCOME, findings=tuple(found), shown=found[1]))]
    assert "Colour: where the evidence for malignant stands out" in words
    assert not any("PROVISIONAL" in line for line in words)
    asked = [line for line, _ in _lines_below("1", replace(OUTCOME, provisional=True))]
    assert "PROVISIONAL: the full model has been asked" in asked


def test_no_picture_claims_certainty() -> None:
    """A probability that would round to 1.00 or 0.00 is written as over 0.99 or under 0.01."""
    assert [_in_hundredths(p) for p in (0.999996, 0.99, 0.5, 0.01, 0.0001)] == [
        "over 0.99",
        "0.99",
        "0.50",
        "0.01",
        "under 0.01",
    ]
