"""Reading in processes of their own: one that hangs or dies takes nothing else with it."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException

from appliance.dicomweb.headers_held import HeaderKey, HeadersHeld
from appliance.dicomweb.opening import Unreadable, headers_of
from appliance.dicomweb.readers import Readers
from tests.small_box import SmallBox, image

MEMORY = 6 << 30


def _raised(work: Any, *arguments: Any, timeout_s: float = 600.0) -> HTTPException:
    async def main() -> HTTPException:
        readers = Readers(MEMORY, timeout_s)
        with pytest.raises(HTTPException) as raised:
            await readers.run(work, *arguments)
        assert await Readers(MEMORY, 600.0).run(os.getpid) != os.getpid()  # the next one is read
        return raised.value

    return anyio.run(main)


def _kernel_filter() -> str:
    (mode,) = re.findall(r"^Seccomp:\t(\d)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return str(mode)


def test_a_reader_is_confined() -> None:
    """To the machine, see appliance/confined.py; whoever asks is not."""
    assert anyio.run(Readers(MEMORY, 600.0).run, _kernel_filter) == "2"
    assert _kernel_filter() == "0"


def test_a_file_that_ends_its_reader_is_an_error_of_that_file() -> None:
    """500, and the next file is read by another process."""
    assert _raised(os._exit, 3).status_code == 500


def test_a_file_that_takes_too_long_is_given_up() -> None:
    """503, and the process is ended."""
    raised = _raised(time.sleep, 600.0, timeout_s=0.2)
    assert raised.status_code == 503
    assert "opening_timeout_s" in raised.detail


def test_no_request_makes_the_box_read_without_end(box: SmallBox) -> None:
    """What was read is kept: asked again, it goes on from there."""
    uids = []
    for seed in "abc":
        sent = image(seed=seed)
        box.receive(sent)
        uids.append(sent.SOPInstanceUID)
    keys = [HeaderKey(uid, "1", digest) for uid, digest in zip(uids, _digests(box, uids), strict=True)]

    async def main() -> list[int]:
        readers, found = Readers(MEMORY, 600.0), []
        for number in (2, 3):
            found.append(len(await HeadersHeld(box.engine, box.spool, readers, 1 << 30, 2).of(keys[:number])))
        with pytest.raises(HTTPException) as raised:
            await HeadersHeld(box.engine, box.spool, readers, 1 << 30, 0).of([HeaderKey("1.2", "1", "0" * 64)])
        return [*found, raised.value.status_code]

    assert anyio.run(main) == [2, 3, 503]


def _digests(box: SmallBox, uids: list[str]) -> list[str]:
    from_rows = {path.name for path in box.spool.root.glob("objects/*/*")}
    found = {}
    for digest in from_rows:
        (header,) = headers_of([box.spool.file(digest)], 1 << 30)
        assert not isinstance(header, Unreadable)
        found[header["00080018"]["Value"][0]] = digest
    return [found[uid] for uid in uids]


def test_a_file_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    """Not there, or no DICOM."""
    (tmp_path / "text").write_bytes(b"text" * 100)
    for name in ("text", "nowhere"):
        (found,) = headers_of([tmp_path / name], 1 << 30)
        assert isinstance(found, Unreadable)
        assert "not_dicom" in found.why
