"""A kill cannot reveal a missing fsync, so the trace must: file, rename, folder, commit, and only then the answer."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from appliance.demo.scanner import send_all
from appliance.demo.stage import free_port, listening
from tests.dicom_factory import as_file, chest_radiograph

pytestmark = pytest.mark.interop
_CALLS = "fsync,fdatasync,rename,renameat,renameat2,pwrite64,sendto,write"
_FILE = r"f(data)?sync\(\d+<[^>]*/spool/incoming/"
_RENAME = r"rename\w*\(.*/spool/objects/"
_FOLDER = r"fsync\(\d+<[^>]*/spool/objects/[0-9a-f]{2}>"
_LOGGED = r"(pwrite64|write)\(\d+<[^>]*scanside\.db-wal>"
_COMMIT = r"f(data)?sync\(\d+<[^>]*scanside\.db-wal>"
#: A P-DATA-TF (PS3.8 9.3.5), which is the C-STORE response, or the H of an HTTP answer.
_ANSWER = r"(sendto|write)\(\d+<(socket|TCP)[^>]*>, \"\\x(04|48)"


def _c_store(image: Path, port: int) -> None:
    assert list(send_all([image], "127.0.0.1", port, "SCANSIDE")) == [0]


def _stow(image: Path, port: int) -> None:
    headers = {"Content-Type": "application/dicom"}
    address = f"http://127.0.0.1:{port}/dicom-web/studies"
    answer = httpx2.post(address, content=image.read_bytes(), headers=headers, timeout=60.0, trust_env=False)
    assert answer.status_code == 200


def _trace_of_one_instance(
    folder: Path, process_name: str, section: str, send: Callable[[Path, int], None]
) -> list[str]:
    """System calls of a process that receives, from its start until it has taken one instance in."""
    strace = shutil.which("strace")
    assert strace, "strace is missing; make interop installs it"
    port = free_port()
    config = folder / "box.toml"
    config.write_text(f'home = "{folder / "home"}"\n{section}\nport = {port}\n', encoding="utf-8")
    trace = folder / "trace"
    receiver = [sys.executable, "-m", "appliance", "run", process_name, "--config", str(config)]
    command = [strace, "-f", "-y", "-qq", "-xx", "-s", "1", "-e", f"trace={_CALLS}", "-o", str(trace), *receiver]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 60.0
        while not listening(port):
            assert time.monotonic() < give_up, "the receiver did not start"
            time.sleep(0.1)
        image = as_file(chest_radiograph(seed="durable"), folder / "image.dcm")
        send(image, port)
    finally:
        process.communicate(timeout=30.0)  # the end of its input ends it; strace itself passes no signal on
    return [re.sub(r"(\\x[0-9a-f]{2}){2,}", _plain, line) for line in trace.read_text().splitlines()]


def _plain(escaped: re.Match[str]) -> str:
    """The paths in words again; single bytes, which are what was written, stay as they are."""
    return bytes.fromhex(escaped.group().replace("\\x", "")).decode(errors="replace")


def _first(lines: list[str], pattern: str, after: int = -1) -> int:
    for number in range(after + 1, len(lines)):
        if re.search(pattern, lines[number]):
            return number
    raise AssertionError(f"{pattern} does not follow line {after} of the trace:\n" + "\n".join(lines))


def _returned(lines: list[str], number: int) -> int:
    """The line on which the call of this line has come back; strace cuts a call in two when threads alternate."""
    if "<unfinished ...>" not in lines[number]:
        return number
    thread = lines[number].split()[0]
    return _first(lines, rf"^{thread} +<\.\.\. \w+ resumed>", number)


def check_order(lines: list[str]) -> None:
    """Everything durable happens in one thread, call after call, and the one answer follows the last of them."""
    file = _first(lines, _FILE)
    same = rf"^{lines[file].split()[0]} +"  # the heartbeat's thread commits, too, and must not be taken for this one
    moved = _first(lines, same + _RENAME, file)
    folder = _first(lines, same + _FOLDER, moved)
    logged = _first(lines, same + _LOGGED, folder)
    answer = _first(lines, _ANSWER)
    logged = max(n for n in range(logged, max(answer, logged + 1)) if re.search(same + _LOGGED, lines[n]))
    commit = _returned(lines, _first(lines, same + _COMMIT, logged))
    assert commit < answer, "answered before the commit was durable:\n" + "\n".join(lines)


_DOORS = {
    "C-STORE": ("receiver", "[dicom]", _c_store),
    "STOW-RS": ("web", "[dicomweb]\nenabled = true\n[page]", _stow),
}


@pytest.fixture(scope="module", params=_DOORS)
def trace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One real trace for each way in."""
    return _trace_of_one_instance(tmp_path_factory.mktemp("trace"), *_DOORS[request.param])


@pytest.mark.timeout(180)
def test_the_answer_follows_everything_durable(trace: list[str]) -> None:
    """fsync file → rename → fsync folder → commit (synced write-ahead log) → acknowledgement."""
    assert len([line for line in trace if re.search(_ANSWER, line)]) == 1
    check_order(trace)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("missing", [_FILE, _RENAME, _FOLDER, _COMMIT, _ANSWER])
def test_a_step_left_out_is_noticed(trace: list[str], missing: str) -> None:
    """Negative control: the same trace without one of the five steps is not accepted."""
    with pytest.raises(AssertionError):
        check_order([line for line in trace if not re.search(missing, line)])


@pytest.mark.timeout(180)
@pytest.mark.parametrize("early", [_FILE, _RENAME, _FOLDER, _COMMIT])
def test_an_answer_before_a_step_is_noticed(trace: list[str], early: str) -> None:
    """Negative control: the same trace with the answer moved before one of the steps is not accepted."""
    answer = trace[_first(trace, _ANSWER)]
    rest = [line for line in trace if line != answer]
    place = _first(rest, early, _first(rest, _FILE) - 1)
    with pytest.raises(AssertionError):
        check_order([*rest[:place], answer, *rest[place:]])
