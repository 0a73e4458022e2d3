"""A STOW-RS body, however the network cuts it up."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from appliance.dicomweb.body import ReceivedPart, body_for
from store_forward.spool import Spool

BOUNDARY = b"a-boundary"
CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary="a-boundary"'
#: Bytes among which the boundary's own beginning is frequent.
CONTENTS = st.lists(st.sampled_from([b"\r\n", b"--", b"a-boundary", b"\r", b"-", b"x", b"\0\xff"]), max_size=12).map(
    b"".join
)


#: What a body is made of, in any order.
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            b"--a-boundary",
            b"--a-boundary--",
            b"\r\n",
            b"\n",
            b"Content-Type: application/dicom",
            b": ",
            b"\0",
            b"x" * 5000,
        ]
    )
    | st.binary(max_size=20),
    max_size=20,
).map(b"".join)


def _received(body: bytes, cuts: list[int]) -> list[tuple[bytes, bool]]:
    """Each part's bytes, and whether it was whole."""
    found: list[tuple[bytes, bool]] = []

    def take(part: ReceivedPart) -> None:
        found.append((part.path.read_bytes(), part.complete))
        part.path.unlink()

    with tempfile.TemporaryDirectory() as folder:
        reader = body_for(CONTENT_TYPE, Spool(Path(folder), 0), 1 << 20, take)
        for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            if start < end:
                reader.write(body[start:end])
        reader.end()
        assert list((Path(folder) / "incoming").iterdir()) == []
    return found


@given(parts=st.lists(CONTENTS, min_size=1, max_size=4), data=st.data())
def test_parts_are_what_was_sent_wherever_the_pieces_end(parts: list[bytes], data: st.DataObject) -> None:
    """Bit by bit, whatever stands beside the boundaries; what contains the boundary itself cannot be sent."""
    parts = [part for part in parts if b"\r\n--" + BOUNDARY not in b"\r\n" + part] or [b"x"]
    head = b"--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"\r\n".join(head + part for part in parts) + b"\r\n--" + BOUNDARY + b"--\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    assert _received(body, cuts) == [(part, True) for part in parts]


@given(body=FRAGMENTS, whole=st.booleans())
def test_whatever_comes_is_parts_or_a_400(body: bytes, whole: bool) -> None:
    """Nothing else is raised, and no file is left behind."""
    head = b"--" + BOUNDARY + b"\r\n" if whole else b""
    with tempfile.TemporaryDirectory() as folder:
        reader = body_for(CONTENT_TYPE, Spool(Path(folder), 0), 1 << 20, lambda part: part.path.unlink())
        try:
            reader.write(head + body)
            reader.end()
        except HTTPException as refused:
            assert refused.status_code == 400
        finally:
            reader.drop()
        assert list((Path(folder) / "incoming").iterdir()) == []


def test_a_large_body_never_lies_in_memory() -> None:
    """256 MB in pieces as they come from the network take no more than a few of them."""
    piece, taken = b"\1" * 65_536, []

    def take(part: ReceivedPart) -> None:
        taken.append(part.path.stat().st_size)
        part.path.unlink()

    with tempfile.TemporaryDirectory() as folder:
        reader = body_for(CONTENT_TYPE, Spool(Path(folder), 0), 1 << 30, take)
        reader.write(b"--" + BOUNDARY + b"\r\n\r\n")
        tracemalloc.start()
        for _ in range(4096):
            reader.write(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        reader.write(b"\r\n--" + BOUNDARY + b"--\r\n")
        reader.end()
    assert taken == [4096 * len(piece)]
    assert peak < 1 << 20
