"""Boxes whose only pack is the tiny one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance import packs
from tests.small_box import MakeBox, SmallBox

PACS = {"name": "archive", "host": "127.0.0.1", "port": 104, "ae_title": "ARCHIVE"}
CLOUD = {"url": "http://127.0.0.1:9"}


@pytest.fixture
def reading_box(
    make_box: MakeBox, tiny_packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SmallBox]:
    """Makes boxes with an archive, a cloud and the tiny pack; the shipped packs stay out of these tests."""
    monkeypatch.setattr(packs, "SHIPPED", tmp_path / "no packs")

    def make(name: str = "box", **sections: Any) -> SmallBox:
        own = {"triage": {"packs": tiny_packs}, "pacs": [PACS], "cloud": CLOUD}
        return make_box(name, **own | sections)

    return make
