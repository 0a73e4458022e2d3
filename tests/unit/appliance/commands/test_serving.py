"""``scanside serve`` and ``scanside cloud``: what they refuse to start with, and that they start and stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select, text

from appliance.commands.serving import cloud_settings
from appliance.configuration import load_settings
from appliance.demo.stage import free_port, listening
from appliance.disk.tables import take_ups
from appliance.errors import ConfigurationInvalid
from appliance.home import Home, open_home
from appliance.ingest.admit import Admission
from appliance.schema import instances
from appliance.settings import Settings
from store_forward.database import reading, writing
from tests.dicom_factory import as_bytes, uid
from tests.small_box import NOW, image
from tests.started_box import eventually


def test_the_endpoint_needs_a_token(settings: Settings) -> None:
    """Without one anybody could send; the message names both ways to give it."""
    with pytest.raises(ConfigurationInvalid, match=r"SCANSIDE_CLOUD_TOKEN or cloud_endpoint\.token_file"):
        cloud_settings(settings)


def test_the_endpoints_settings(settings: Settings, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken from the one configuration, below the one home."""
    monkeypatch.setenv("SCANSIDE_CLOUD_TOKEN", "t" * 32)
    config.write_text(config.read_text() + "[cloud_endpoint]\nport = 8444\nmax_upload_bytes = 5000\n")
    own = cloud_settings(load_settings(config))
    assert (own.port, own.max_upload_bytes, own.free_floor_bytes) == (8444, 5000, 0)
    assert own.home == settings.home / "cloud"


def started(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that should not get far, as a process of its own: it would change signals and logs of this one."""
    command = [sys.executable, "-m", "appliance", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)


def test_an_unknown_process_is_wrong_use(config: Path) -> None:
    """The names there are come with the message."""
    ended = started(config, "run", "nonsense")
    assert ended.returncode == 2
    assert "there is no process 'nonsense'; there are receiver, triage, uplink, web, cloud-endpoint" in ended.stderr


def test_a_database_that_cannot_be_used_stops_the_start(config: Path, settings: Settings) -> None:
    """Before any process listens; what to do is the last thing said."""
    home = open_home(settings)
    with writing(home.engine) as connection:
        connection.execute(text("PRAGMA user_version = 99"))
    home.engine.dispose()
    ended = started(config, "serve")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Use the version of the program that wrote it" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_serve_sets_a_torn_database_aside_and_takes_the_spool_up(
    config: Path, settings: Settings, tmp_path: Path
) -> None:
    """By itself, while it listens already; the log says so."""
    home = open_home(settings)
    admission = Admission(home.engine, home.spool, settings.limits, settings.dicom)
    for number in range(5):
        temporary = home.spool.temporary()
        with home.spool.content(temporary).open("wb") as file:
            file.write(as_bytes(image(seed=str(number))))
        admission.admit(temporary, "SCANNER", NOW)
    home.engine.dispose()
    with (settings.home / "scanside.db").open("r+b") as file:
        file.truncate(20_000)
    dicom, page = free_port(), free_port()
    config.write_text(config.read_text() + f"[dicom]\nport = {dicom}\n[page]\nport = {page}\n")
    command = [sys.executable, "-m", "appliance", "serve", "--config", str(config)]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as serving,
    ):
        try:
            eventually(lambda: listening(dicom), "the box to listen")
            home = open_home(settings)
            eventually(lambda: _taken_up(home), "every image")
            assert _images(home) == {uid(f"instance {number}") for number in range(5)}
        finally:
            serving.terminate()
            serving.wait(20.0)
            home.engine.dispose()
    said = (tmp_path / "log").read_text()
    assert "database.set_aside" in said
    assert '"files": 5' in said
    assert "Traceback" not in said


def _taken_up(home: Home) -> bool:
    with reading(home.engine) as connection:
        return connection.execute(select(take_ups.c.done_at)).scalar() is not None


def _images(home: Home) -> set[str]:
    with reading(home.engine) as connection:
        return set(connection.execute(select(instances.c.sop_instance_uid)).scalars())


def test_serve_starts_says_where_and_stops(config: Path, tmp_path: Path) -> None:
    """Four processes come up, SIGTERM ends all of them, exit status 0."""
    dicom, page = free_port(), free_port()
    config.write_text(config.read_text() + f"[dicom]\nport = {dicom}\n[page]\nport = {page}\n")
    command = [sys.executable, "-m", "appliance", "serve", "--config", str(config)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCANSIDE_")}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=environment
        ) as serving,
    ):
        try:
            eventually(lambda: listening(dicom) and listening(page), "the box to listen")
            serving.send_signal(signal.SIGTERM)
            out, _ = serving.communicate(timeout=20.0)
        finally:
            serving.kill()
    assert serving.returncode == 0, (tmp_path / "log").read_text()
    said = out.decode().splitlines()
    assert said[0] == f"DICOM  SCANSIDE at 127.0.0.1:{dicom}"
    assert said[1] == f"page   http://127.0.0.1:{page}/"
    assert said[2] == "Research use only, not for diagnosis."
    assert not listening(dicom)
    assert not listening(page)
