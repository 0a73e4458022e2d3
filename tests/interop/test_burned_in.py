"""Tesseract, a second OCR, reads words in pictures before they are de-identified and not after.

IMAGES says how many; with all of them, as in `make deidentification`, every font, size, contrast and form is met.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from io import BytesIO

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from appliance.privacy.compress import compressed
from appliance.privacy.deidentify import deidentify
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.policy import Option, Policy
from models.frames import stored_frames
from tests.wordy_pictures import wordy

pytestmark = pytest.mark.interop
KEY = bytes(range(32))
POLICY = Policy("basic", frozenset({Option.CLEAN_PIXEL_DATA}), captures=True)
IMAGES = int(os.environ.get("IMAGES", "13"))


def read_by_tesseract(frame: NDArray[np.generic]) -> str:
    """What Tesseract reads, letters and digits in lower case. A missing Tesseract is a failure, not a skip."""
    program = shutil.which("tesseract")
    assert program, "tesseract is missing: install Debian's tesseract-ocr"
    values = frame.astype(np.float64)
    span = max(float(np.ptp(values)), 1e-9)
    picture = ((values - values.min()) * (255 / span)).astype(np.uint8)
    enlarged = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    _, png = cv2.imencode(".png", enlarged)
    said = subprocess.run(
        [program, "-", "-", "--psm", "11"], input=png.tobytes(), capture_output=True, check=True, timeout=120
    )
    return re.sub("[^a-z0-9]", "", said.stdout.decode().lower())


def parts(text: str) -> list[str]:
    """The parts of a string that would name somebody if they were read."""
    return [part.lower() for part in re.findall("[A-Za-z0-9]{4,}", text)]


@pytest.mark.timeout(3600)
def test_a_second_ocr_reads_nothing_any_more() -> None:
    """At most one string in a hundred; most could be read before, else this would show nothing.

    An image that is refused has shown nobody anything; few may be.
    """
    strings = readable = left = refused = 0
    for form, before, words in wordy(IMAGES):
        try:
            after = dcmread(BytesIO(compressed(deidentify(before, KEY, POLICY))))
        except CannotDeidentify as unsure:
            print(f"{form}: {unsure.why}")  # noqa: T201
            refused += 1
            continue
        was = "".join(read_by_tesseract(frame) for frame in stored_frames(before))
        now = "".join(read_by_tesseract(frame) for frame in stored_frames(after))
        for word in words:
            strings += 1
            readable += any(part in was for part in parts(word.text))
            still = any(part in now for part in parts(word.text))
            left += still
            if still:
                print(f"{form}: {word}")  # noqa: T201
    print(f"{strings} strings, {readable} readable before, {left} after; {refused} of {IMAGES} images refused")  # noqa: T201
    assert readable >= 0.5 * strings
    assert left <= 0.01 * strings
    assert refused <= 0.05 * IMAGES
