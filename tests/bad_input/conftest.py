"""A box with the tiny pack, an archive, a cloud and a watched folder, for everything that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import packs as packs_here
from tests.listening_box import Listen, listening_boxes
from tests.small_box import MakeBox, SmallBox, boxes
from tests.tiny_pack import write_tiny_pack

pytest.register_assert_rewrite("tests.bad_input.doors")

PACS = {"name": "archive", "host": "127.0.0.1", "port": 104, "ae_title": "ARCHIVE"}


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    """A folder of packs with the tiny one in it."""
    write_tiny_pack(tmp_path / "packs" / "tiny")
    return tmp_path / "packs"


@pytest.fixture
def make_box(tmp_path: Path, packs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBox]:
    """Makes boxes whose only pack is the tiny one."""
    monkeypatch.setattr(packs_here, "SHIPPED", tmp_path / "no packs")
    with boxes(tmp_path) as make:

        def with_packs(name: str = "box", **sections: Any) -> SmallBox:
            own = {"triage": {"packs": packs}, "pacs": [PACS], "cloud": {"url": "http://127.0.0.1:9"}}
            return make(name, **own | sections)

        yield with_packs


@pytest.fixture
def box(make_box: MakeBox) -> SmallBox:
    """One of them."""
    return make_box()


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Starts receivers."""
    with listening_boxes() as listen:
        yield listen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The watched folder."""
    made = tmp_path / "drop"
    made.mkdir()
    return made
