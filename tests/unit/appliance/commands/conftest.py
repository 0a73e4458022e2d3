"""The command line as a shell sees it, on a box of its own whose only pack is the tiny one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance import packs
from appliance.__main__ import main
from appliance.configuration import load_settings
from appliance.home import Home, open_home
from appliance.settings import Settings


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its output, one JSON object per line."""
        return [json.loads(line) for line in self.out.splitlines()]


Scanside = Callable[..., Ended]


@pytest.fixture
def config(tmp_path: Path, tiny_packs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file; the shipped packs stay out of these tests."""
    monkeypatch.setattr(packs, "SHIPPED", tmp_path / "no packs")
    for name in ("SCANSIDE_CONFIG", "SCANSIDE_HOME", "SCANSIDE_CLOUD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "scanside.toml"
    text = f'home = "{tmp_path / "box"}"\n[limits]\nfree_disk_floor_bytes = 0\n[triage]\npacks = "{tiny_packs}"\n'
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def settings(config: Path) -> Settings:
    """What the file says."""
    return load_settings(config)


@pytest.fixture
def home(settings: Settings) -> Home:
    """The box's home, made."""
    return open_home(settings)


@pytest.fixture
def scanside(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs one command with the configuration file, in this process, and says how it ended."""

    def run(*arguments: object, with_config: bool = True) -> Ended:
        words = [str(one) for one in arguments] + (["--config", str(config)] if with_config else [])
        monkeypatch.setattr(sys, "argv", ["scanside", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run
