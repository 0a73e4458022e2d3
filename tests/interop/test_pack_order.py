"""A pack gets its name, and a pointer its content, only after everything below is durable; the trace must show it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pack_archives import archive

pytestmark = pytest.mark.interop
_CALLS = "fsync,fdatasync,rename,renameat,renameat2"
_FILES = ("golden.npz", "manifest.json", "network.onnx")

INSTALLED = [
    *[rf"fsync\(\d+<[^>]*/packs/\.incoming-[0-9a-f]+/{re.escape(name)}>" for name in _FILES],
    r"fsync\(\d+<[^>]*/packs>",
    r"fsync\(\d+<[^>]*/packs/\.incoming-[0-9a-f]+>",
    r"rename\w*\(.*/packs/\.incoming-[0-9a-f]+\".*/packs/new/1\.0\.0\+",
    r"fsync\(\d+<[^>]*/packs/new>",
]
ACTIVATED = [
    r"fsync\(\d+<[^>]*/packs/\.active\.json\.[0-9a-f]+\.part>",
    r"rename\w*\(.*/packs/\.active\.json\.[0-9a-f]+\.part\".*/packs/active\.json\"",
    r"fsync\(\d+<[^>]*/packs>",
]


def traced(folder: Path, *arguments: str) -> list[str]:
    """The calls of one command that make things durable, in their order."""
    strace = shutil.which("strace")
    assert strace, "strace is missing; make interop installs it"
    trace = folder / f"trace-{arguments[1]}"
    environment = os.environ | {"SCANSIDE_HOME": str(folder / "box")}
    scanside = [sys.executable, "-m", "appliance", *arguments]
    command = [strace, "-f", "-qq", "-y", "-s", "512", "-e", f"trace={_CALLS}", "-o", str(trace), *scanside]
    subprocess.run(command, env=environment, check=True, timeout=150, stdout=subprocess.DEVNULL)
    return trace.read_text().splitlines()


def check_order(lines: list[str], steps: list[str]) -> None:
    """Each step is there, after the one before it."""
    place = -1
    for step in steps:
        later = [number for number in range(place + 1, len(lines)) if re.search(step, lines[number])]
        assert later, f"{step} does not follow line {place} of the trace:\n" + "\n".join(lines)
        place = later[0]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[list[str], list[str]]]:
    """One real trace of an installation and one of an activation, each with its steps."""
    folder = tmp_path_factory.mktemp("order")
    path = archive(folder / "new.scanpack", name="new")
    installed = traced(folder, "models", "install", str(path))
    return [(installed, INSTALLED), (traced(folder, "models", "activate", "new"), ACTIVATED)]


@pytest.mark.timeout(300)
def test_durable_before_it_has_its_name(traces: list[tuple[list[str], list[str]]]) -> None:
    """fsync every file → fsync folder → rename → fsync its folder; fsync pointer → rename → fsync its folder."""
    for lines, steps in traces:
        check_order(lines, steps)


@pytest.mark.timeout(300)
def test_a_step_left_out_is_noticed(traces: list[tuple[list[str], list[str]]]) -> None:
    """Negative control: without any one of the steps the trace is not accepted."""
    for lines, steps in traces:
        for step in steps:
            with pytest.raises(AssertionError):
                check_order([line for line in lines if not re.search(step, line)], steps)
