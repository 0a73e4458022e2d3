"""Associations that wait: woken at once by what happens, asleep while nothing does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.demo.stage import free_port, listening
from appliance.ingest.waiting import WaitingLine, _Checkpoint
from tests.listening_box import Scanner, wait_until

_LONG_S = 20.0


class _Dul:
    def __init__(self) -> None:
        self.event_queue = _Checkpoint().queue()


class _Association:
    def __init__(self) -> None:
        self.dul = _Dul()


@pytest.fixture
def line() -> tuple[WaitingLine, socket.socket]:
    """A line of ours, and the other end of it."""
    ours, theirs = socket.socketpair()
    return WaitingLine(_Association(), ours), theirs


def test_all_that_was_asked_for_is_read_however_it_comes(line: tuple[WaitingLine, socket.socket]) -> None:
    """Two hundred writes, one read."""
    ours, theirs = line
    whole = b"".join(bytes([n]) * 1000 for n in range(200))

    def send() -> None:
        for start in range(0, len(whole), 1000):
            theirs.sendall(whole[start : start + 1000])

    with theirs:
        sender = threading.Thread(target=send)
        sender.start()
        assert ours.recv(len(whole)) == whole
        sender.join()
    ours.close()


def test_a_line_that_ends_gives_what_there_was(line: tuple[WaitingLine, socket.socket]) -> None:
    """The library tells from the length that it broke."""
    ours, theirs = line
    theirs.sendall(b"half")
    theirs.close()
    assert ours.ready
    assert ours.recv(10) == b"half"
    ours.close()


def test_a_ring_ends_the_wait_without_anything_to_read(line: tuple[WaitingLine, socket.socket]) -> None:
    """The thread goes on to send."""
    ours, theirs = line
    ours.ring()
    seen = [ours.ready]
    theirs.sendall(b"x")
    seen.append(ours.ready)
    assert seen == [False, True]
    theirs.close()
    ours.close()


def test_nobody_can_ring_at_another_s_file(line: tuple[WaitingLine, socket.socket], tmp_path: Path) -> None:
    """The number of a closed bell is free for the next file that is opened."""
    ours, theirs = line
    ours.close()
    theirs.close()
    with ExitStack() as files:
        opened = [files.enter_context((tmp_path / str(n)).open("wb")) for n in range(8)]
        ours.ring()
        assert all(os.fstat(file.fileno()).st_size == 0 for file in opened)
    assert not ours.ready


def test_what_is_in_a_queue_is_seen_at_once() -> None:
    """Also when both rang before anybody looked."""
    checkpoint = _Checkpoint()
    first, second = checkpoint.queue(), checkpoint.queue()
    first.put(1)
    second.put(2)
    for filled in (first, second):
        assert checkpoint.wait()
        filled.get_nowait()


def test_a_checkpoint_that_is_closed_holds_whoever_has_news() -> None:
    """The library closes it while another thread speaks on the line."""
    checkpoint = _Checkpoint()
    queue, passed = checkpoint.queue(), threading.Event()
    checkpoint.clear()
    queue.put("news")

    def pass_by() -> None:
        checkpoint.wait()
        passed.set()

    thread = threading.Thread(target=pass_by)
    thread.start()
    assert not passed.wait(0.2)
    checkpoint.set()
    assert passed.wait(_LONG_S)
    thread.join()


def test_idle_associations_cost_next_to_nothing(tmp_path: Path) -> None:
    """Twenty at two threads each took most of a core as the library ships them."""
    port, config = free_port(), tmp_path / "box.toml"
    config.write_text(f'home = "{tmp_path / "box"}"\n[dicom]\nport = {port}\n', encoding="utf-8")
    command = [sys.executable, "-m", "appliance", "run", "receiver", "--config", str(config)]
    receiver = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listening(port), "the receiver")
        associations = [Scanner(port).open() for _ in range(20)]
        assert all(association.is_established for association in associations)
        before, started = _cpu_s(receiver.pid), time.monotonic()
        time.sleep(2.0)  # what is measured is what happens while nothing does
        share = (_cpu_s(receiver.pid) - before) / (time.monotonic() - started)
        for association in associations:
            association.release()
    finally:
        receiver.terminate()
        receiver.communicate()
    assert share < 0.25


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
