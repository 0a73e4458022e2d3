"""A receiver on a loopback port of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.listening_box import Listen, listening_boxes


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Starts receivers."""
    with listening_boxes() as listen:
        yield listen
