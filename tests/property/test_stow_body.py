"""A STOW-RS body, however the network cuts it up."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.dicomweb.body import ReceivedPart, body_for

BOUNDARY = b"a-boundary"
CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary="a-boundary"'
#: Bytes among which the boundary's own beginning is frequent.
CONTENTS = st.lists(st.sampled_from([b"\r\n", b"--", b"a-boundary", b"\r", b"-", b"x", b"\0\xff"]), max_size=12).map(
    b"".join
)


def _received(body: bytes, cuts: list[int]) -> list[tuple[bytes, bool]]:
    """Each part's bytes, and whether it was whole."""
    found: list[tuple[bytes, bool]] = []

    def take(part: ReceivedPart) -> None:
        found.append((part.path.read_bytes(), part.complete))
        part.path.unlink()

    with tempfile.TemporaryDirectory() as folder:
        reader = body_for(CONTENT_TYPE, Path(folder), 1 << 20, take)
        for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            if start < end:
                reader.write(body[start:end])
        reader.end()
        assert list(Path(folder).iterdir()) == []
    return found


@given(parts=st.lists(CONTENTS, min_size=1, max_size=4), data=st.data())
def test_parts_are_what_was_sent_wherever_the_pieces_end(parts: list[bytes], data: st.DataObject) -> None:
    """Bit by bit, whatever stands beside the boundaries; what contains the boundary itself cannot be sent."""
    parts = [part for part in parts if b"\r\n--" + BOUNDARY not in b"\r\n" + part] or [b"x"]
    head = b"--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"\r\n".join(head + part for part in parts) + b"\r\n--" + BOUNDARY + b"--\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    assert _received(body, cuts) == [(part, True) for part in parts]
