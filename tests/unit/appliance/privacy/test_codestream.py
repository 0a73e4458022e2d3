"""Comments out of compressed frames, the picture untouched, and damage refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless

from appliance.privacy.codestream import jpeg_2000_without_comments, jpeg_without_comments
from appliance.privacy.errors import CannotDeidentify
from tests.dicom_factory import chest_radiograph, compressed

SECRET = b"ZZPLANTED"


def segment(marker: int, body: bytes) -> bytes:
    """A marker segment with its length."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def jpeg() -> bytes:
    """A baseline colour JPEG of something that is not flat."""
    y, x = np.mgrid[0:40, 0:56]
    picture = np.stack([x * 4, y * 5, x + y], axis=2).astype(np.uint8)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()


def jpeg_2000() -> bytes:
    """A JPEG 2000 codestream."""
    pixels = chest_radiograph().pixel_array[:64, :64]
    return next(generate_frames(compressed(chest_radiograph(pixels=pixels), JPEG2000Lossless).PixelData))


def decoded(frame: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The picture in a JPEG frame."""
    picture = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture, np.uint8)


@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xE2, 0xED, 0xEF, 0xE0, 0xEE])
def test_a_jpeg_loses_its_text_and_keeps_its_picture(marker: int) -> None:
    """Comments, EXIF, ICC, Photoshop and unknown application segments go, even between the scans."""
    original = jpeg()
    between = original.rindex(b"\xff\xda")
    frame = original[:2] + segment(marker, SECRET) + original[2:between]
    frame += segment(marker, SECRET) + original[between:] + SECRET
    assert frame.count(SECRET) == 3
    clean = jpeg_without_comments(frame)
    assert SECRET not in clean
    assert np.array_equal(decoded(clean), decoded(original))


def test_colour_segments_stay_without_what_rides_on_them() -> None:
    """JFIF loses its thumbnail, Adobe its tail; the colour transform they announce stays."""
    frame = b"\xff\xd8" + segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x03\x01" + SECRET)
    frame += segment(0xEE, b"Adobe\0\x64\x80\0\0\0\x01" + SECRET) + segment(0xE8, b"mrfx\x02" + SECRET) + jpeg()[2:]
    clean = jpeg_without_comments(frame)
    assert SECRET not in clean
    assert segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01") in clean
    assert segment(0xE8, b"mrfx\x02") in clean


def test_a_clean_codestream_is_not_changed() -> None:
    """Without a comment the JPEG 2000 codestream comes back as it was, after the first cleaning."""
    clean = jpeg_2000_without_comments(jpeg_2000())
    assert jpeg_2000_without_comments(clean) == clean


def test_a_comment_inside_a_tile_part_is_refused() -> None:
    """Its length would have to be rewritten, so the frame does not leave the box."""
    frame = jpeg_2000()
    tile = frame.index(b"\xff\x90")
    comment = segment(0x64, b"\0\1" + SECRET)
    with pytest.raises(CannotDeidentify, match="comment_in_pixels"):
        jpeg_2000_without_comments(frame[: tile + 12] + comment + frame[tile + 12 :])


@pytest.mark.parametrize("keep", [0, 1, 3, 10, 100, -2])
def test_a_torn_jpeg_is_refused(keep: int) -> None:
    """Cut anywhere, the frame is refused and the parser comes to an end."""
    with pytest.raises(CannotDeidentify, match="unreadable_pixels"):
        jpeg_without_comments(jpeg()[:keep])


@pytest.mark.parametrize("keep", [0, 3, 10, 60, 200])
def test_a_torn_codestream_is_refused(keep: int) -> None:
    """The same for JPEG 2000."""
    with pytest.raises(CannotDeidentify, match="unreadable_pixels"):
        jpeg_2000_without_comments(jpeg_2000()[:keep])


def test_random_bytes_never_hang_or_crash() -> None:
    """Damage inside the frame ends in a frame or a refusal, nothing else."""
    rng = np.random.default_rng(0)
    for frame, clean in ((jpeg(), jpeg_without_comments), (jpeg_2000(), jpeg_2000_without_comments)):
        for _ in range(300):
            broken = bytearray(frame)
            for at in rng.integers(2, min(400, len(frame)), 4):
                broken[at] = rng.integers(0, 256)
            try:
                assert clean(bytes(broken))
            except CannotDeidentify as refusal:
                assert refusal.why in {"unreadable_pixels", "comment_in_pixels"}
