"""The line is what it is said to be: without this the other figures would say nothing."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tests.link.line import CLOUD_ADDRESS, Line, shaped

pytestmark = pytest.mark.link
_SIZE_BYTES = 500_000


def _send_over(line: Line, size_bytes: int) -> tuple[float, float]:
    """Seconds until a TCP connection stands, and until all of it has arrived at the other end."""
    with line.at(line.cloud):
        listener = socket.create_server((CLOUD_ADDRESS, 0))

    def take_in() -> None:
        near, _ = listener.accept()
        with near:
            while near.recv(65_536):
                pass

    taking_in = threading.Thread(target=take_in)
    taking_in.start()
    with line.at(line.box), listener:
        began = time.monotonic()
        with socket.create_connection(listener.getsockname(), 60.0) as far:
            connected_s = time.monotonic() - began
            far.sendall(bytes(size_bytes))
        taking_in.join(120.0)
    return connected_s, time.monotonic() - began


def test_rate_and_round_trip() -> None:
    """A connection takes a round trip, and the bytes take no less time than the rate asks for."""
    with shaped("4mbit", 0.3) as line:
        connected_s, took_s = _send_over(line, _SIZE_BYTES)
        assert line.sent_bytes > _SIZE_BYTES
    assert connected_s >= 0.3
    assert took_s >= 0.9 * _SIZE_BYTES * 8 / 4e6


def test_loss_is_made_good_by_sending_again() -> None:
    """With a fifth of the packets lost, the interface sends about a quarter more than without loss."""
    sent = []
    for loss in (0.0, 0.2):
        with shaped("", 0.002, loss=loss) as line:
            _send_over(line, _SIZE_BYTES)
            sent.append(line.sent_bytes)
    assert 1.1 < sent[1] / sent[0] < 1.6


def test_a_line_that_is_down_carries_nothing() -> None:
    """And carries again when it is up."""
    with shaped() as line:
        line.cut()
        before = line.sent_bytes
        with line.at(line.box), pytest.raises(OSError):
            socket.create_connection((CLOUD_ADDRESS, 9), 1.0)
        assert line.sent_bytes == before
        line.mend()
        _send_over(line, 1000)
        assert line.sent_bytes > before + 1000
