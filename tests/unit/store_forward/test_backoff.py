"""How long a delivery waits."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_forward.backoff import longest_delay_s, next_delay_s


@pytest.mark.parametrize(
    ("failures", "most_s"), [(0, 2.0), (1, 2.0), (2, 4.0), (5, 32.0), (9, 300.0), (10_000, 300.0), (10**12, 300.0)]
)
def test_the_pause_grows_to_the_cap_and_not_beyond(failures: int, most_s: float) -> None:
    """Doubling from two seconds; thousands of failures, as after days offline, do not overflow."""
    rng = random.Random(0)
    pauses = [next_delay_s(failures, rng) for _ in range(200)]
    assert 0.0 <= min(pauses) < most_s * 0.1
    assert most_s * 0.9 < max(pauses) <= most_s


@given(st.integers(-5, 10**18), st.floats(0.001, 3600.0), st.floats(1.0, 86_400.0), st.integers(0, 2**32))
def test_every_pause_is_within_its_bounds(failures: int, base_s: float, cap_s: float, seed: int) -> None:
    """Never negative, never over the cap, never over what the number of failures allows."""
    pause_s = next_delay_s(failures, random.Random(seed), base_s, cap_s)
    assert 0.0 <= pause_s <= longest_delay_s(failures, base_s, cap_s) <= cap_s


def test_the_longest_pause_never_shrinks() -> None:
    """One failure more never means an earlier next attempt at the latest."""
    longest = [longest_delay_s(failures, cap_s=86_400.0) for failures in range(2000)]
    assert all(earlier <= later for earlier, later in pairwise(longest))
    assert longest[-1] == 86_400.0


def test_the_jitter_is_full() -> None:
    """Boxes that lost the same link spread evenly from nought to the longest pause."""
    rng = random.Random(1)
    tenths = [int(next_delay_s(20, rng) / 30.0) for _ in range(5000)]
    assert all(400 < tenths.count(tenth) < 600 for tenth in range(10))


def test_the_cap_is_a_setting() -> None:
    """Whoever calls says how long the longest pause is."""
    assert next_delay_s(50, random.Random(0), cap_s=5.0) <= 5.0
