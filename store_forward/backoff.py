"""How long a delivery waits after an attempt that failed: exponential, capped, with full jitter."""

from __future__ import annotations

import random
from typing import Final

_LARGEST_EXPONENT: Final = 32
"""An appliance offline for days gets to thousands of attempts; 2.0 ** 1024 would overflow."""


def next_delay_s(attempts: int, rng: random.Random, base_s: float = 2.0, cap_s: float = 300.0) -> float:
    """Seconds to wait after the ``attempts``-th failure: uniform, 0 to ``base_s · 2^(attempts-1)``.

    Never more than ``cap_s``. Full jitter spreads twenty boxes that lost the same link over the whole
    interval.
    """
    exponent = min(max(attempts - 1, 0), _LARGEST_EXPONENT)
    return rng.uniform(0.0, min(cap_s, base_s * 2.0**exponent))
