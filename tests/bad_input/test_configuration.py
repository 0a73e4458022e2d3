"""A configuration nobody can use: exit status 2, the line that is wrong, and a box that is as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from appliance.__main__ import main
from appliance.schema import instances
from tests.small_box import SmallBox, image


def start(config: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """``scanside serve`` with this file; its exit status."""
    monkeypatch.setattr(sys, "argv", ["scanside", "serve", "--config", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[dicom\nport = 1", "is not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 7)"),
        ("[dicom]\nport = 1\nport = 2", "is not valid TOML: Cannot overwrite a value"),
        ("[dicom]\nport = eleven", "is not valid TOML: Invalid value (at line 2, column 8)"),
        ("[dicom]\nprot = 1", "dicom.prot: there is no such key; see docs/reference/configuration.md"),
        ('[cloud]\nurl = "http://10.0.0.1"', "cloud.url = 'http://10.0.0.1': plain http is for the loopback"),
        ("dicom = 3", "dicom = 3: Input should be a valid dictionary"),
    ],
    ids=["torn table", "twice", "bare word", "misspelt", "plain http", "no table"],
)
def test_bad_toml(
    box: SmallBox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    said: str,
) -> None:
    """Every message says where and what to do; the box behind it keeps what it has."""
    box.admit(image())
    config = tmp_path / "scanside.toml"
    config.write_text(text)
    monkeypatch.setenv("SCANSIDE_HOME", str(box.settings.home))
    assert start(config, monkeypatch) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(config) in captured.err
    assert said in captured.err
    assert "correct" in captured.err or "see docs" in captured.err
    assert all(box.spool.verify(row.file_digest) for row in box.rows(instances))


def test_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in another encoding."""
    config = tmp_path / "scanside.toml"
    config.write_bytes('[dicom]\nae_title = "Köln"\n'.encode("latin-1"))
    assert start(config, monkeypatch) == 2
    assert "cannot be read" in capsys.readouterr().err
