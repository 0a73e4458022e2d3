"""Compressed frames without their comments: JPEG and JPEG 2000 have room for free text beside the picture.

The picture's own bytes are copied as they are, so what a decoder returns does not change.
"""

from __future__ import annotations

from appliance.privacy.errors import CannotDeidentify

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP0, _APP8, _APP14, _APP15 = 0xE0, 0xE8, 0xEE, 0xEF
_J2K_START, _J2K_END = b"\xff\x4f\xff\x51", b"\xff\xd9"
_J2K_TILE_PART, _J2K_DATA, _J2K_COMMENT = 0x90, 0x93, 0x64


def jpeg_without_comments(frame: bytes) -> bytes:
    """A JPEG or JPEG-LS frame with its COM and APPn segments gone (ISO 10918-1 B.1.1.3, ISO 14495-1 C.1).

    The three application segments that tell a decoder how colours are coded stay, in their shortest form.
    Whatever follows the end of the image is cut off. Raises CannotDeidentify when the frame cannot be parsed.
    """
    if frame[:2] != b"\xff\xd8":
        raise CannotDeidentify("unreadable_pixels", "a compressed frame does not start like a JPEG image")
    kept, at = [frame[:2]], 2
    while True:
        at, marker = _next_marker(frame, at)
        if marker == _EOI:
            return b"".join([*kept, b"\xff\xd9"])
        body, after = _segment(frame, at)
        if marker != _COM and not _APP0 <= marker <= _APP15:
            kept.append(frame[at - 2 : after])
        elif needed := _colour_segment(marker, body):
            kept.append(bytes([0xFF, marker]) + (len(needed) + 2).to_bytes(2, "big") + needed)
        at = after
        if marker == _SOS:
            end = _end_of_scan(frame, at)
            kept.append(frame[at:end])
            at = end


def jpeg_2000_without_comments(frame: bytes) -> bytes:
    """A JPEG 2000 or HTJ2K codestream with the COM segments of its main header gone (ISO 15444-1 A.9.2).

    Raises CannotDeidentify when it cannot be parsed or has a comment inside a tile-part, whose length would
    have to be rewritten.
    """
    if frame[:4] != _J2K_START:
        raise CannotDeidentify("unreadable_pixels", "a frame does not start like a JPEG 2000 codestream")
    kept, at = [frame[:2]], 2
    while True:
        at, marker = _next_marker(frame, at)
        if marker == _J2K_TILE_PART:
            return b"".join([*kept, _tile_parts(frame, at - 2)])
        _, after = _segment(frame, at)
        if marker != _J2K_COMMENT:
            kept.append(frame[at - 2 : after])
        at = after


def _next_marker(frame: bytes, at: int) -> tuple[int, int]:
    """The offset behind the marker at ``at`` and its code; fill bytes before it are skipped."""
    while frame[at : at + 2] == b"\xff\xff":
        at += 1
    if len(frame) < at + 2 or frame[at] != 0xFF:
        raise CannotDeidentify("unreadable_pixels", "a compressed frame has no marker where one must stand")
    return at + 2, frame[at + 1]


def _segment(frame: bytes, at: int) -> tuple[bytes, int]:
    """The body of the segment whose length field stands at ``at``, and the offset behind it."""
    length = int.from_bytes(frame[at : at + 2], "big")
    if length < 2 or at + length > len(frame):
        raise CannotDeidentify("unreadable_pixels", "a segment of a compressed frame runs over its end")
    return frame[at + 2 : at + length], at + length


def _end_of_scan(frame: bytes, at: int) -> int:
    """The offset of the marker that ends the entropy-coded bytes, of which stuffing and restart are part."""
    while True:
        at = frame.find(b"\xff", at)
        if at < 0 or at + 1 >= len(frame):
            raise CannotDeidentify("unreadable_pixels", "a compressed frame has no end")
        following = frame[at + 1]
        if following >= 0x80 and not 0xD0 <= following <= 0xD7:
            return at
        at += 2 if following != 0xFF else 1


def _colour_segment(marker: int, body: bytes) -> bytes:
    """JFIF without its thumbnail, Adobe's and HP's colour transform; anything else is dropped."""
    if marker == _APP0 and body[:5] == b"JFIF\0" and len(body) >= 14:
        return b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    if marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
        return b"Adobe\0\x64\0\0\0\0" + body[11:12]
    if marker == _APP8 and body[:4] == b"mrfx" and len(body) >= 5:
        return body[:5]
    return b""


def _tile_parts(frame: bytes, at: int) -> bytes:
    """The tile-parts from ``at`` to the end of the codestream, checked to hold no comment."""
    start = at
    while frame[at : at + 2] != _J2K_END:
        at, marker = _next_marker(frame, at)
        body, header = _segment(frame, at)
        if marker != _J2K_TILE_PART or len(body) != 8:
            raise CannotDeidentify("unreadable_pixels", "a JPEG 2000 codestream has no tile-part where one must be")
        length = int.from_bytes(body[2:6], "big")
        _refuse_comment(frame, header)
        if length == 0:  # only the last tile-part may leave its length open
            end = frame.rfind(_J2K_END)
            return frame[start:end] + _J2K_END
        at = at - 2 + length
    return frame[start:at] + _J2K_END


def _refuse_comment(frame: bytes, at: int) -> None:
    while True:
        at, marker = _next_marker(frame, at)
        if marker == _J2K_DATA:
            return
        if marker == _J2K_COMMENT:
            raise CannotDeidentify("comment_in_pixels", "a tile-part of a compressed frame carries a comment")
        _, at = _segment(frame, at)
