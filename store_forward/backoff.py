"""How long a delivery waits after an attempt that failed: exponential, capped, with full jitter, without end."""

from __future__ import annotations

import random
from typing import Final

BASE_S: Final = 2.0
CAP_S: Final = 300.0
_LARGEST_EXPONENT: Final = 32
"""An appliance offline for days gets to thousands of failures; 2.0 ** 1024 would overflow."""


def longest_delay_s(failures: int, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """The most that is waited after the ``failures``-th failure, s: ``base_s · 2^(failures-1)``, at most ``cap_s``."""
    exponent = min(max(failures - 1, 0), _LARGEST_EXPONENT)
    return min(cap_s, base_s * 2.0**exponent)


def next_delay_s(failures: int, rng: random.Random, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Seconds to wait after the ``failures``-th failure in a row: uniform, 0 to the longest.

    Full jitter spreads twenty boxes that lost the same link over the whole interval.
    """
    return rng.uniform(0.0, longest_delay_s(failures, base_s, cap_s))
