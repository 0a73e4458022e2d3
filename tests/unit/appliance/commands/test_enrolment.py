"""A box is enrolled from one command line to the other, with a real endpoint between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance.cli import app
from appliance.commands.serving import cloud_settings
from appliance.configuration import load_settings
from appliance.uplink import IDENTITY
from tests.certificates import Authority
from tests.unit.store_forward.running_cloud import running

runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.fixture
def endpoint(tmp_path: Path) -> Path:
    """The configuration of an endpoint for enrolled boxes only."""
    own = Authority(tmp_path, "site").vouch("localhost")
    path = tmp_path / "cloud.toml"
    path.write_text(
        f'home = "{tmp_path / "far"}"\n[limits]\nfree_disk_floor_bytes = 0\n[cloud_endpoint]\nport = 0\n'
        f'certificate = "{own.certificate}"\nprivate_key = "{own.private_key}"\ncertificates_only = true\n'
    )
    return path


@pytest.fixture
def box(endpoint: Path, tmp_path: Path) -> Iterator[Path]:
    """The configuration of a box that sends there."""
    with running(cloud_settings(load_settings(endpoint))) as port:
        path = tmp_path / "box.toml"
        path.write_text(
            f'home = "{tmp_path / "near"}"\n[cloud]\nbox_id = "ward-3"\nurl = "https://localhost:{port}"\n'
            f'ca = "{tmp_path / "site" / "ca.pem"}"\n'
        )
        yield path


def scanside(*words: str, typed: str | None = None) -> Result:
    """Run a command."""
    return runner.invoke(app, list(words), input=typed)


def test_from_code_to_certificate_and_back(box: Path, endpoint: Path, tmp_path: Path) -> None:
    """The operator makes a code, the box takes it, both say so; taken back, it is marked."""
    made = json.loads(scanside("cloud", "enrol", "ward-3", "--config", str(endpoint), "--json").output)
    done = scanside("enrol", "--config", str(box), typed=f"{made['code']}\n")
    assert done.exit_code == 0, done.output
    assert "enrolled as ward-3 until" in done.output
    assert (tmp_path / "near" / IDENTITY).exists()
    checked = scanside("check", "--config", str(box), "--json").output
    assert "known there by a certificate until" in checked
    (row,) = [
        json.loads(line)
        for line in scanside("cloud", "boxes", "--config", str(endpoint), "--json").output.split("\n")
        if line
    ]
    assert (row["box"], row["revoked_at"]) == ("ward-3", None)
    assert "1 certificates of ward-3" in scanside("cloud", "revoke", "ward-3", "--config", str(endpoint)).output
    assert "taken back on" in scanside("cloud", "boxes", "--config", str(endpoint)).output


def test_a_wrong_code_says_what_to_do(box: Path, tmp_path: Path) -> None:
    """Exit status 1, the endpoint's words and the repair; nothing is kept."""
    done = scanside("enrol", "--config", str(box), typed="WRONG\n")
    assert done.exit_code == 1
    assert "not enrolled: HTTP status 403: the code is wrong" in done.output
    assert "scanside cloud enrol" in done.output
    assert not (tmp_path / "near" / IDENTITY).exists()


def test_an_endpoint_that_is_not_there_or_not_trusted(box: Path, tmp_path: Path) -> None:
    """Exit status 1 with where to look."""
    text = box.read_text()
    box.write_text(text.replace(f'ca = "{tmp_path / "site" / "ca.pem"}"\n', ""))
    assert "cannot be reached" in scanside("enrol", "--config", str(box), typed="X\n").output


def test_what_must_be_right_first(endpoint: Path, tmp_path: Path) -> None:
    """Over plain HTTP there is nothing to enrol; a name that no box can have; an authority file that is none."""
    plain = tmp_path / "plain.toml"
    plain.write_text(f'home = "{tmp_path / "near"}"\n[cloud]\nurl = "http://127.0.0.1:1"\n')
    assert "a box is enrolled over https" in str(scanside("enrol", "--config", str(plain), typed="X\n").exception)
    broken = tmp_path / "broken.toml"
    broken.write_text(f'home = "{tmp_path / "near"}"\n[cloud]\nurl = "https://localhost:1"\nca = "{plain}"\n')
    assert "cannot be used" in str(scanside("enrol", "--config", str(broken), typed="X\n").exception)
    with running(cloud_settings(load_settings(endpoint))):
        assert scanside("cloud", "enrol", "a b", "--config", str(endpoint)).exit_code == 2
