"""The two processes, for real: an upload goes in at one end, the answer comes out at the other."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from appliance.commands.serving import cloud_settings
from appliance.pack_store import activate, install
from appliance.settings import Settings
from store_forward.cloud.errors import AlreadyRunning
from store_forward.cloud.serve import build_server, open_triage, run_analysis, run_endpoint
from store_forward.cloud.settings import CloudSettings
from store_forward.protocol import Answer
from store_forward.sealing import lying
from store_forward.uplink import CloudLink
from tests.bad_disk import goes_bad, mended
from tests.dicom_factory import as_bytes, chest_radiograph
from tests.pack_archives import archive
from tests.tiny_pack import picture, write_tiny_pack
from tests.unit.store_forward.running_cloud import TOKEN, deliver, link_to, running, settings_at

ANALYSIS = """
import signal, sys, threading
from pathlib import Path
from store_forward.cloud.serve import run_analysis
from store_forward.cloud.settings import CloudSettings
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
run_analysis(CloudSettings.model_validate_json(sys.argv[1]), stop)
"""


def analysis_process(settings: CloudSettings) -> subprocess.Popen[bytes]:
    """The analysis in a process of its own, as the supervisor starts it."""
    return subprocess.Popen([sys.executable, "-c", ANALYSIS, settings.model_dump_json()])


def test_from_upload_to_answer(tmp_path: Path) -> None:
    """Endpoint and analysis share nothing but the home folder."""
    write_tiny_pack(tmp_path / "packs" / "tiny-full", role="cloud", name="a-tiny-full")
    settings = settings_at(tmp_path / "cloud", packs=tmp_path / "packs", analysis_poll_s=0.02)
    payload = tmp_path / "payload"
    with zipfile.ZipFile(payload, "w") as archive:
        archive.writestr("1", as_bytes(chest_radiograph(pixels=picture("urgent"), PatientAge="040Y")))
    with running(settings) as port, link_to(port) as link:
        receipt = deliver(link, payload)
        process = analysis_process(settings)
        try:
            [answer] = link.answers(0, 60.0)
        finally:
            process.terminate()
        assert process.wait(30) == 0
    assert (answer.case, answer.decision, answer.pack) == (receipt.digest, "urgent", "a-tiny-full")


def answered(link: CloudLink, payload: Path, seen: int) -> Answer:
    """The answer to a new case."""
    with zipfile.ZipFile(payload, "w") as archive:
        archive.writestr("1", as_bytes(chest_radiograph(seed=payload.name, pixels=picture("urgent"))))
    deliver(link, payload)
    [answer] = link.answers(seen, 60.0)
    return answer


def test_an_activation_is_noticed_between_cases(tmp_path: Path) -> None:
    """The running analysis reads the next case with the pack that a person has taken into use since."""
    cloud_pack = {"name": "a-tiny-full", "role": "cloud"}
    for version in ("1.0.0", "2.0.0"):
        archive(tmp_path / f"{version}.scanpack", version, **cloud_pack)
    at_rest = {"encrypt": False}
    box = Settings.model_validate({"home": tmp_path, "limits": {"free_disk_floor_bytes": 0}, "at_rest": at_rest})
    settings = settings_at(tmp_path / "cloud", installed_packs=tmp_path / "packs", analysis_poll_s=0.02)
    with running(settings) as port, link_to(port) as link:
        install(tmp_path / "1.0.0.scanpack", box)
        activate("a-tiny-full", box)
        process = analysis_process(settings)
        try:
            first = answered(link, tmp_path / "first", 0)
            install(tmp_path / "2.0.0.scanpack", box)
            activate("a-tiny-full", box)
            second = answered(link, tmp_path / "second", first.seq)
        finally:
            process.terminate()
        assert process.wait(30) == 0
    found = [(answer.pack, answer.pack_version) for answer in (first, second)]
    assert found == [("a-tiny-full", "1.0.0"), ("a-tiny-full", "2.0.0")]


def test_packs_that_are_installed_later_are_sealed_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that has been up since before there was any."""
    monkeypatch.setenv("SCANSIDE_CLOUD_TOKEN", "a token that is long enough")
    home = Settings.model_validate({"home": tmp_path / "cloud", "limits": {"free_disk_floor_bytes": 0}})
    settings = cloud_settings(home)
    install(archive(tmp_path / "full.scanpack", "1.0.0", name="a-tiny-full", role="cloud"), home)
    pack = activate("a-tiny-full", home).pack
    assert lying(pack.network).read_bytes() != pack.network.read_bytes()
    assert pack.digest in {runner.pack.digest for runner in open_triage(settings)._runners}


def test_a_pack_the_disk_does_not_give_is_waited_for(tmp_path: Path) -> None:
    """The case is not answered without a statement, but read as soon as the disk gives the pack."""
    manifest = write_tiny_pack(tmp_path / "packs" / "tiny-full", role="cloud", name="a-tiny-full") / "manifest.json"
    settings = settings_at(tmp_path / "cloud", packs=tmp_path / "packs", analysis_poll_s=0.02)
    kept = goes_bad(manifest)
    with running(settings) as port, link_to(port) as link:
        command = [sys.executable, "-u", "-c", ANALYSIS, settings.model_dump_json()]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert any(b"Input/output error" in line for line in process.stdout)
            mended(manifest, kept)
            answer = answered(link, tmp_path / "case", 0)
        finally:
            process.terminate()
        process.communicate(timeout=30)
    assert (answer.decision, answer.pack) == ("urgent", "a-tiny-full")


def test_a_home_folder_has_one_analysis(tmp_path: Path) -> None:
    """The second does not touch what the first has under way."""
    settings = settings_at(tmp_path / "cloud")
    settings.home.mkdir()
    holder = subprocess.Popen(
        ["flock", "--exclusive", str(settings.home / "analysis.lock"), "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write(b"held\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(AlreadyRunning):
        run_analysis(settings, threading.Event())
    holder.communicate()


def test_the_endpoint_stops_when_told(tmp_path: Path) -> None:
    """By its event, from a thread as well."""
    stop = threading.Event()
    thread = threading.Thread(target=run_endpoint, args=(settings_at(tmp_path / "cloud"), stop))
    thread.start()
    stop.set()
    thread.join(20.0)
    assert not thread.is_alive()


def test_a_taken_port_is_an_error_not_a_silence(tmp_path: Path) -> None:
    """The supervisor sees the process end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = settings_at(tmp_path / "cloud", port=listener.getsockname()[1])
        with pytest.raises(SystemExit):
            build_server(taken).run()


def test_the_token_stays_out_of_what_the_server_says(tmp_path: Path) -> None:
    """Its configuration can be printed."""
    assert TOKEN not in repr(build_server(settings_at(tmp_path / "cloud")).config.__dict__)
