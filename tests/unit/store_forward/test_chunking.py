"""The size of a chunk follows the link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_forward.chunking import AIM_S, SMALLEST_BYTES, ChunkSize

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("bytes_per_s", "settles_at"),
    [(8000.0, 32_000), (125_000.0, 500_000), (1_250_000.0, 5_000_000), (1e9, 8 * MIB), (100.0, SMALLEST_BYTES)],
)
def test_it_settles_at_four_seconds_worth(bytes_per_s: float, settles_at: int) -> None:
    """From 64 kbit/s to 10 Mbit/s, and at its bounds beyond."""
    chunk = ChunkSize(262_144, 8 * MIB)
    for _ in range(12):
        chunk.sent(chunk.bytes, chunk.bytes / bytes_per_s)
    assert chunk.bytes == pytest.approx(settles_at, rel=0.01)


def test_a_round_trip_does_not_keep_it_small() -> None:
    """With 800 ms on top of every chunk it still comes near what the link carries in the rest of the time."""
    chunk = ChunkSize(16_384, 8 * MIB)
    for _ in range(20):
        chunk.sent(chunk.bytes, 0.8 + chunk.bytes / 125_000.0)
    assert chunk.bytes == pytest.approx((AIM_S - 0.8) * 125_000.0, rel=0.05)


def test_a_short_last_chunk_says_little() -> None:
    """Its time is mostly the round trip; only when even it takes too long does the size shrink."""
    chunk = ChunkSize(262_144, 8 * MIB)
    chunk.sent(1000, 0.8)
    assert chunk.bytes == 262_144
    chunk.sent(1000, 10.0)
    assert chunk.bytes == 131_072


def test_a_cut_halves_it_down_to_the_smallest() -> None:
    """And it grows again afterwards."""
    chunk = ChunkSize(262_144, 8 * MIB)
    sizes = []
    for _ in range(6):
        chunk.cut()
        sizes.append(chunk.bytes)
    assert sizes == [131_072, 65_536, 32_768, SMALLEST_BYTES, SMALLEST_BYTES, SMALLEST_BYTES]
    chunk.sent(chunk.bytes, 0.01)
    assert chunk.bytes == 2 * SMALLEST_BYTES


@given(
    st.integers(1024, 64 * MIB),
    st.integers(1024, 64 * MIB),
    st.lists(st.one_of(st.none(), st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1e6))), max_size=60),
)
def test_it_stays_within_its_bounds(first: int, largest: int, happens: list[tuple[float, float] | None]) -> None:
    """Whatever the link does; a configured size under the smallest is kept to."""
    chunk = ChunkSize(first, largest)
    for one in happens:
        before = chunk.bytes
        if one is None:
            chunk.cut()
        else:
            chunk.sent(int(one[0] * chunk.bytes), one[1])
        assert min(SMALLEST_BYTES, first, largest) <= chunk.bytes <= largest
        assert before / 2 - 1 <= chunk.bytes <= before * 2
