"""What a confined process can still do, tried in processes of their own: nothing takes it back."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from appliance import confined
from appliance.confined import confine, missing
from appliance.demo.stage import free_port
from tests.started_box import eventually, started_box

_TRIES = """
import json, os, socket, subprocess, sys, threading
from appliance.confined import confine

def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return type(error).__name__

tries = {
    "connect": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 5.0).close(),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "datagram": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close(),
    "packet": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "program": lambda: subprocess.run(["true"], check=True),
    "exec": lambda: os.execv("/bin/true", ["true"]) if sys.argv[1] != "no" else None,
    "local": lambda: [one.close() for one in socket.socketpair()],
    "file": lambda: open(sys.executable, "rb").close(),
}
begun, go, seen = threading.Event(), threading.Event(), []
def other():
    begun.set()
    go.wait()
    seen.append(tried(tries["connect"]))
thread = threading.Thread(target=other)
thread.start()
begun.wait()
if sys.argv[1] != "no":
    confine(to_the_machine=sys.argv[1] == "machine")
    confine(to_the_machine=sys.argv[1] == "machine")
go.set()
thread.join()
print(json.dumps({name: tried(one) for name, one in tries.items()} | {"thread": seen[0]}))
"""


@pytest.fixture
def port() -> Iterator[int]:
    """Somebody listens there."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


def _tried(how: str, port: int) -> dict[str, str]:
    ended = subprocess.run([sys.executable, "-c", _TRIES, how, str(port)], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(ended.stdout)
    return found


def test_confined_to_the_machine(port: int) -> None:
    """No connection, no program, in any thread; sockets of the machine and files as ever."""
    assert set(_tried("no", port).values()) == {"done"}
    refused = dict.fromkeys(("connect", "listen", "datagram", "packet", "program", "exec", "thread"), "PermissionError")
    assert _tried("machine", port) == {**refused, "local": "done", "file": "done"}


def test_no_programs(port: int) -> None:
    """What talks to the network starts none."""
    found = _tried("programs", port)
    assert {name for name, what in found.items() if what != "done"} == {"program", "exec"}


def test_without_the_library_it_is_said_and_the_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are read all the same."""
    monkeypatch.setattr(confined, "_LIBRARY", "libnone.so.9")
    with capture_logs() as said:
        confine(to_the_machine=True)
    assert [one["event"] for one in said] == ["process.not_confined"]
    assert "libnone.so.9" in str(missing())
    assert "Seccomp:\t0" in Path("/proc/self/status").read_text()


def test_the_processes_of_a_box(tmp_path: Path) -> None:
    """Those that take in, read and send are confined for good; the page's starts readers, which are."""
    config = tmp_path / "scanside.toml"
    config.write_text(f'home = "{tmp_path / "box"}"\n[dicom]\nport = {free_port()}\n[page]\nport = {free_port()}\n')
    wanted = {"receiver": "2", "triage": "2", "uplink": "2", "web": "0"}
    with started_box(config) as started:
        eventually(lambda: _filtered(started.process.pid) == wanted, f"{wanted}")


def _filtered(supervisor: int) -> dict[str, str]:
    """The mode of the kernel's filter by process: "0" none, "2" one that the process has set."""
    found = {}
    for child in psutil.Process(supervisor).children():
        (mode,) = re.findall(r"^Seccomp:\t(\d)", Path(f"/proc/{child.pid}/status").read_text(), re.MULTILINE)
        if "run" in (command := child.cmdline()):  # before it is what it is going to be, it looks like its parent
            found[command[command.index("run") + 1]] = mode
    return found
