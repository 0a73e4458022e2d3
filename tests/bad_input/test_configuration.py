"""A configuration nobody can use: the line that is wrong, a page that says it, exit status 2, and a box as it was."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from appliance.demo.stage import free_port, listening
from appliance.schema import instances
from tests.small_box import SmallBox, image
from tests.started_box import eventually, started_box


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[dicom\nport = 1", "is not valid TOML: Expected ']' at the end of a table declaration (at line 3, column 7)"),
        ("[dicom]\nport = 1\nport = 2", "is not valid TOML: Cannot overwrite a value"),
        ("[dicom]\nport = eleven", "is not valid TOML: Invalid value (at line 4, column 8)"),
        ("[dicom]\nprot = 1", "dicom.prot: there is no such key; see docs/reference/configuration.md"),
        ('[cloud]\nurl = "http://10.0.0.1"', "cloud.url = 'http://10.0.0.1': plain http is for the loopback"),
        ("dicom = 3", "dicom = 3: Input should be a valid dictionary"),
    ],
    ids=["torn table", "twice", "bare word", "misspelt", "plain http", "no table"],
)
def test_bad_toml(box: SmallBox, tmp_path: Path, text: str, said: str) -> None:
    """Every message says where and what to do; the page says it too, and the box behind it keeps what it has."""
    box.admit(image())
    port = free_port()
    config = tmp_path / "scanside.toml"
    config.write_text(f"[page]\nport = {port}\n{text}" if text.startswith("[") else f"{text}\n[page]\nport = {port}\n")
    with started_box(config, SCANSIDE_HOME=str(box.settings.home)) as started:
        eventually(lambda: listening(port), "the page of safe mode")
        answer = httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False)
    assert started.exit_status == 2
    assert str(config) in started.log
    assert said in started.log
    assert "correct" in started.log or "see docs" in started.log
    assert (answer.status_code, "Safe mode" in answer.text) == (503, True)
    assert all(box.spool.verify(row.file_digest) for row in box.rows(instances))


def test_not_text(tmp_path: Path) -> None:
    """A file in another encoding: nothing of it can be read, so the page is at the default address, or nowhere."""
    config = tmp_path / "scanside.toml"
    config.write_bytes('[dicom]\nae_title = "Köln"\n'.encode("latin-1"))
    with started_box(config) as started:
        eventually(lambda: "page   http://127.0.0.1:8080/" in started.log, "the word where its page is")
    assert started.exit_status == 2
    assert "cannot be read" in started.log
