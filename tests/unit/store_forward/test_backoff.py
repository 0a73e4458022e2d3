"""How long a delivery waits."""

from __future__ import annotations

import random

import pytest

from store_forward.backoff import next_delay_s


@pytest.mark.parametrize(("attempts", "most_s"), [(0, 2.0), (1, 2.0), (2, 4.0), (5, 32.0), (9, 300.0), (5000, 300.0)])
def test_the_pause_grows_to_the_cap_and_not_beyond(attempts: int, most_s: float) -> None:
    """Doubling from two seconds; thousands of attempts, as after days offline, do not overflow."""
    rng = random.Random(0)
    pauses = [next_delay_s(attempts, rng) for _ in range(200)]
    assert 0.0 <= min(pauses) < most_s * 0.1
    assert most_s * 0.9 < max(pauses) <= most_s


def test_the_cap_is_a_setting() -> None:
    """Whoever calls says how long the longest pause is."""
    assert next_delay_s(50, random.Random(0), cap_s=5.0) <= 5.0
