"""Small boxes for every test of the appliance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.listening_box import Listen, listening_boxes
from tests.small_box import MakeBox, SmallBox, boxes
from tests.tiny_pack import write_tiny_pack


@pytest.fixture(scope="session")
def tiny_packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packs with the tiny one in it."""
    folder = tmp_path_factory.mktemp("packs")
    write_tiny_pack(folder / "tiny")
    return folder


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    """Makes boxes with the configuration a test wants."""
    with boxes(tmp_path) as make:
        yield make


@pytest.fixture
def box(make_box: MakeBox) -> SmallBox:
    """A box with the defaults and no floor under its free disk."""
    return make_box()


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Starts receivers, each on a loopback port of its own."""
    with listening_boxes() as listen:
        yield listen
