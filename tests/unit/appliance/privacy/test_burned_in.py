"""Words in the pixels are blanked in every form of storage, and no other pixel loses a bit."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, UltrasoundImageStorage

from appliance.privacy.burned_in import without_words
from appliance.privacy.compress import compressed
from appliance.privacy.deidentify import deidentify
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.pixel_data import clean_pixels
from appliance.privacy.policy import Option, Policy
from models.frames import stored_frames
from tests.dicom_factory import chest_radiograph
from tests.wordy_pictures import FORMS, capture, written

KEY = bytes(range(32))
POLICY = Policy("basic", frozenset({Option.CLEAN_PIXEL_DATA}), captures=True)
PLAIN, PICTURE, WORDS = written(5)


#: The others are in the tests with a second OCR (make deidentification).
HERE = ("MONOCHROME1", "16 bits, signed", "RGB by planes", "YBR_FULL_422", "PALETTE COLOR", "multi-frame", "JPEG-LS")


@pytest.mark.parametrize("form", HERE)
def test_words_go_and_every_other_pixel_stays(form: str) -> None:
    """What is under a planted word is one value; outside what was blanked the frames are equal bit by bit."""
    before = FORMS[form](PICTURE, PLAIN)
    blanked = without_words(clean_pixels(before), before, before, 64).blanked
    after = dcmread(BytesIO(compressed(deidentify(before, KEY, POLICY))))
    assert after.BurnedInAnnotation == "NO"
    for was, now in zip(stored_frames(before), stored_frames(after), strict=True):
        assert np.array_equal(was[~blanked], now[~blanked])
        for word in WORDS:
            left, top, right, bottom = word.box
            assert len(np.unique(now[top:bottom, left:right].reshape(-1, *now.shape[2:]), axis=0)) == 1, word
    assert blanked.mean() < 0.3


def test_a_picture_without_words_stays_as_it_is() -> None:
    """A radiograph of the tests' own is searched, and not a bit of it changes."""
    before = chest_radiograph()
    after = deidentify(before, KEY)
    assert after.BurnedInAnnotation == "NO"
    assert np.array_equal(after.pixel_array, before.pixel_array)


def test_outside_its_regions_ultrasound_is_blanked() -> None:
    """Sequence of Ultrasound Regions says where the picture is; there the words do not stand (PS3.3 C.8.5.5)."""
    before = capture(np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8))
    before.SOPClassUID = before.file_meta.MediaStorageSOPClassUID = UID(UltrasoundImageStorage)
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 10, 20
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 69, 49
    before.SequenceOfUltrasoundRegions = [region]
    after = deidentify(before, KEY, POLICY).pixel_array
    assert np.array_equal(after[20:50, 10:70], before.pixel_array[20:50, 10:70])
    assert not after[:20].any() and not after[:, 70:].any()


def said_to_have_words() -> Dataset:
    """An image whose header says that there are words, and there are none."""
    dataset = capture(PLAIN)
    dataset.BurnedInAnnotation = "YES"
    return dataset


def with_many_frames() -> Dataset:
    """More frames than are searched."""
    dataset = capture(np.zeros((16, 16), np.uint8))
    dataset.NumberOfFrames, dataset.PixelData = 65, bytes(16 * 16 * 65)
    return dataset


def torn() -> Dataset:
    """A compressed frame that ends in the middle."""
    dataset = FORMS["JPEG-LS"](PICTURE, PLAIN)
    dataset.PixelData = dataset.PixelData[:400]
    return dataset


def in_pairs_of_an_odd_width() -> Dataset:
    """Pixels that share their colour in pairs, in rows of an odd number."""
    dataset = FORMS["YBR_FULL_422"](PICTURE, PLAIN)
    dataset.Columns = 511
    return dataset


def a_strip() -> Dataset:
    """A picture that would be nothing when made small enough to be searched."""
    return capture(np.zeros((13, 60_000), np.uint8))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (said_to_have_words, "words_not_found"),
        (with_many_frames, "too_many_frames"),
        (torn, "unreadable_pixels"),
        (in_pairs_of_an_odd_width, "unreadable_pixels"),
        (a_strip, "words_not_searched"),
    ],
)
def test_who_is_not_sure_does_not_send(make: object, why: str) -> None:
    """Each doubt has its own word."""
    assert callable(make)
    with pytest.raises(CannotDeidentify) as caught:
        deidentify(make(), KEY, POLICY)
    assert caught.value.why == why
