"""Real images are used only where a person has them: ``SCANSIDE_DATA`` names their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The folder ``SCANSIDE_DATA`` names; without it these tests have nothing to read."""
    named = os.environ.get("SCANSIDE_DATA")
    if not named:
        pytest.skip("SCANSIDE_DATA is not set: no real images here")
    return Path(named)
