"""``scanside audit`` as a person uses it, and what commands leave in the trail."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from appliance.audit.events import EventType, application
from appliance.audit.trail import record
from appliance.cli import app
from appliance.configuration import load_settings
from appliance.home import open_home
from store_forward.database import writing

runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A box with two events."""
    path = tmp_path / "box.toml"
    path.write_text(f'home = "{tmp_path / "home"}"\n')
    home = open_home(load_settings(path))
    with writing(home.engine) as connection:
        for what in (EventType.APPLICATION_START, EventType.APPLICATION_STOP):
            record(connection, application(what, "scanside 1"), 1_780_000_000.0)
    home.engine.dispose()
    return path


def audit(config: Path, *words: str, status: int = 0) -> str:
    """What the command prints."""
    result = runner.invoke(app, ["audit", *words, "--config", str(config)])
    assert result.exit_code == status, result.output
    return result.output


def listed(config: Path) -> list[dict[str, Any]]:
    """All events."""
    return [json.loads(line) for line in audit(config, "list", "--json").splitlines()]


def test_a_whole_trail_says_its_head_which_is_found_again(config: Path) -> None:
    """The head that was noted, and a false one."""
    assert "whole: 2 events" in audit(config, "verify")
    head = json.loads(audit(config, "verify", "--json"))["head"]
    listed(config)
    assert "whole: 3 events" in audit(config, "verify", "--head", head)
    false = f"2:{'0' * 64}"
    assert "broken at event 2" in audit(config, "verify", "--head", false, status=1)
    assert "is not a number, a colon" in audit(config, "verify", "--head", "nonsense", status=2)


def test_a_changed_event_is_told_with_its_number(config: Path) -> None:
    """Exit status 1, and as data."""
    home = open_home(load_settings(config))
    with writing(home.engine) as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_trail_no_update")
        connection.exec_driver_sql("UPDATE audit_trail SET event = replace(event, 'scanside', 'other') WHERE seq = 1")
    home.engine.dispose()
    assert "broken at event 1: its content has been changed" in audit(config, "verify", status=1)
    first = audit(config, "verify", "--json", status=1).splitlines()[0]
    assert json.loads(first) == {"whole": False, "seq": 1, "why": "its content has been changed"}


def test_reading_is_an_event_itself(config: Path) -> None:
    """Once for each time."""
    assert len(listed(config)) == 2
    last = listed(config)[-1]
    assert last["event_id"] == ["110101", "Audit Log Used"]
    assert "Application Start: scanside · scanside 1" in audit(config, "list")


def test_an_export_is_whole_and_says_the_head(config: Path, tmp_path: Path) -> None:
    """As DICOM Audit Messages and as rows; a place that cannot be written is said."""
    out = tmp_path / "audit.xml"
    words = audit(config, "export", str(out))
    lines = out.read_text().splitlines()
    assert words.startswith("3 events; head 3:")
    assert [ET.fromstring(line).tag for line in lines] == ["AuditMessage"] * 3
    audit(config, "export", str(out), "--format", "json", "--days", "1")
    assert [json.loads(line)["seq"] for line in out.read_text().splitlines()] == [3, 4]
    assert "there is no format" in audit(config, "export", str(out), "--format", "csv", status=2)
    assert "cannot be written" in audit(config, "export", str(tmp_path / "missing" / "x"), status=1)


def test_a_refused_pack_is_in_the_trail(config: Path, tmp_path: Path) -> None:
    """Who tried it, and that it failed."""
    archive = tmp_path / "bad.scanside"
    archive.write_bytes(b"no archive")
    result = runner.invoke(app, ["models", "install", str(archive), "--config", str(config)])
    assert result.exit_code == 1
    last = listed(config)[-1]
    assert (last["event_type"][1], last["outcome"], last["detail"]) == (
        "Software Configuration", 4, "refused at installation",
    )  # fmt: skip
