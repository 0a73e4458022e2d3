"""``scanside check --rules``: which rule would do what with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from appliance.cli import app
from tests.dicom_factory import as_file, chest_radiograph

CONFIGURATION = """
[[pacs]]
name = "archive"
host = "10.0.0.5"
port = 104
ae_title = "ARCHIVE"

[[rule]]
name = "qa"
match = { PatientID = ["QA*", "TEST*"] }
triage = "phantom"

[[rule]]
name = "er"
match = { StationName = true, Modality = "DX" }
send_to = ["archive"]
priority = "urgent"
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Two rules and an archive; the home would be in the way of nothing."""
    path = tmp_path / "scanside.toml"
    path.write_text(f'home = "{tmp_path / "home"}"\n' + CONFIGURATION)
    return path


def check(configuration: Path, *arguments: str | Path) -> tuple[int, str]:
    """Exit status and output of the command."""
    result = CliRunner().invoke(app, ["check", "--config", str(configuration), *map(str, arguments)])
    return result.exit_code, result.output


def test_it_says_which_rule_does_what(configuration: Path, tmp_path: Path) -> None:
    """Why a rule matches or does not, and what then counts; no box is made for it."""
    path = as_file(chest_radiograph(StationName="ER1"), tmp_path / "image.dcm")
    status, said = check(configuration, "--rules", path)
    assert status == 0
    assert said.splitlines() == [
        str(path),
        '  qa: does not match: PatientID is "P-0"',
        "  er: matches: StationName, Modality",
        "  -> read (no rule says otherwise)",
        "  -> results to archive (er)",
        "  -> priority urgent (er)",
    ]
    assert not (tmp_path / "home").exists()


def test_as_json_one_line_for_each_file(configuration: Path, tmp_path: Path) -> None:
    """Of a folder, every file in it."""
    as_file(chest_radiograph(PatientID="qa 7"), tmp_path / "images" / "1.dcm")
    as_file(chest_radiograph(), tmp_path / "images" / "2.dcm")
    status, said = check(configuration, "--json", "--rules", tmp_path / "images")
    phantom, other = (json.loads(line) for line in said.splitlines())
    assert status == 0
    assert phantom["triage"] == {"does": "phantom", "rule": "qa"}
    assert phantom["rules"][0] == {"rule": "qa", "matches": True, "because": "PatientID"}
    assert other["rules"][1] == {"rule": "er", "matches": False, "because": "StationName has no value"}
    assert other["triage"] == {"does": "include", "rule": None}


def test_what_stands_in_the_file_is_not_shown_raw(configuration: Path, tmp_path: Path) -> None:
    """A terminal obeys control characters; a value may be a hundred pages."""
    path = as_file(chest_radiograph(PatientID="\x1b[2J" + "x" * 60), tmp_path / "image.dcm")
    _, said = check(configuration, "--rules", path)
    assert "\x1b" not in said
    assert "?[2J" in said


def test_a_file_that_cannot_be_read(configuration: Path, tmp_path: Path) -> None:
    """It is named, the others are looked at all the same, and the exit status says so."""
    (tmp_path / "words.txt").write_text("no image")
    path = as_file(chest_radiograph(), tmp_path / "image.dcm")
    status, said = check(configuration, "--rules", tmp_path / "words.txt", "--rules", path)
    assert status == 1
    assert "words.txt\n  cannot be read" in said
    assert "-> read" in said


def test_wrong_use(configuration: Path, tmp_path: Path) -> None:
    """Nothing to look at, and two things at once."""
    (tmp_path / "empty").mkdir()
    assert check(configuration, "--rules", tmp_path / "empty")[0] == 1
    assert check(configuration, "--rules", tmp_path, "--repair")[0] == 2


def test_a_rule_for_a_sender_needs_one(configuration: Path, tmp_path: Path) -> None:
    """Nobody has sent the file that is looked at, so it can be said who did."""
    with configuration.open("a") as file:
        file.write('[[rule]]\nname = "desk"\nsenders = ["DESK?"]\ntriage = "exclude"\n')
    path = as_file(chest_radiograph(), tmp_path / "image.dcm")
    assert "  desk: does not match: the sender is not given" in check(configuration, "--rules", path)[1]
    assert "  desk: does not match: the sender is CT1" in check(configuration, "--rules", path, "--sender", "CT1")[1]
    assert "  desk: matches: the sender" in check(configuration, "--rules", path, "--sender", "DESK1")[1]
