"""What is sent stays under the cap, by whatever pieces and from however many threads."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_forward.bandwidth import BURST_S, Bandwidth


class Clock:
    """A clock that only moves when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.now += seconds


@given(
    st.floats(1000.0, 1e8),
    st.lists(st.tuples(st.integers(1, 20_000), st.floats(0.0, 5.0)), min_size=1, max_size=40),
)
def test_never_more_than_the_cap_and_one_burst(bytes_per_s: float, takes: list[tuple[int, float]]) -> None:
    """From any moment to any later one, whatever pauses there are in between."""
    clock = Clock()
    bandwidth = Bandwidth(bytes_per_s, clock, clock.sleep)
    sent = [(clock.now, 0)]
    for size_bytes, pause_s in takes:
        bandwidth.take(size_bytes)
        sent.append((clock.now, sent[-1][1] + size_bytes))
        clock.now += pause_s
    for place, (begin, before) in enumerate(sent):
        for end, after in sent[place:]:
            assert after - before <= bytes_per_s * (end - begin + 2 * BURST_S) + 20_000 + 1


def test_a_long_send_takes_as_long_as_it_should() -> None:
    """No slower than the cap either."""
    clock = Clock()
    bandwidth = Bandwidth(8000.0, clock, clock.sleep)
    pieces = list(bandwidth.pace(bytes(80_000)))
    assert b"".join(pieces) == bytes(80_000)
    assert {len(piece) for piece in pieces} == {bandwidth.piece_bytes}
    assert clock.now - 100.0 == pytest.approx(10.0, abs=BURST_S + 0.01)


def test_threads_share_one_cap() -> None:
    """Four that send at once get a quarter each: real time, 100 kB at 200 kB/s."""
    bandwidth = Bandwidth(200_000.0)
    waits: list[float] = []
    sleeping = Bandwidth(200_000.0, sleep=waits.append)

    def send() -> None:
        for _piece in sleeping.pace(bytes(25_000)):
            pass

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert max(waits) == pytest.approx(0.5, abs=BURST_S + 0.1)
    assert bandwidth.piece_bytes == 16_384


@pytest.mark.parametrize("bytes_per_s", [0.0, -1.0, float("nan")])
def test_a_cap_lets_something_through(bytes_per_s: float) -> None:
    """Nothing at all would strand every delivery."""
    with pytest.raises(ValueError, match="bandwidth"):
        Bandwidth(bytes_per_s)
