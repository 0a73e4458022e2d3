"""How much is tried: ``make fuzz N=`` says it, the tests take a short round. A fifth of it are spoiled PDUs."""

from __future__ import annotations

import os

_SHORT = 500


def spoiled_files() -> int:
    """How many files are read."""
    return _all() - spoiled_conversations()


def spoiled_conversations() -> int:
    """How many conversations are had with a receiver."""
    return _all() // 5


def first() -> int:
    """The number to begin with, to go on where an earlier run ended (``FROM=``)."""
    return int(os.environ.get("FROM") or 0)


def _all() -> int:
    return int(os.environ.get("N") or _SHORT)
