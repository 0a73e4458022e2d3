"""Asking destinations and peers: real archives, servers and clouds on loopback, and none where none listens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.commands.serving import cloud_settings
from appliance.demo.archive import Archive
from appliance.demo.stage import free_port
from appliance.home import Home, open_home
from appliance.results.probe import LONGEST_S, probe, targets
from appliance.results.probe_book import ABANDONED_S, MOST_AT_ONCE, at_once, begin, latest, probes
from appliance.results.webhook import TEST_EVENT
from appliance.settings import Settings
from store_forward.cloud.endpoint import build_app
from store_forward.database import writing
from tests.certificates import Authority
from tests.listening_webhook import SECRET, Answering, listening_webhook
from tests.served import served
from tests.small_box import NOW

TOKEN = "a token of some length"


def box(folder: Path, **sections: Any) -> Settings:
    """A configuration with these tables."""
    return Settings.model_validate({"home": folder / "box", **sections})


def pacs(port: int, ae_title: str = "ARCHIVE", **more: Any) -> dict[str, Any]:
    """The table of one archive on this machine."""
    return {"name": "archive", "host": "127.0.0.1", "port": port, "ae_title": ae_title, **more}


@pytest.fixture
def archive() -> Iterator[Archive]:
    """One that answers."""
    made = Archive()
    yield made
    made.close()


def test_an_archive_that_answers(tmp_path: Path, archive: Archive) -> None:
    """With its AE title, and how long it took."""
    found = probe(box(tmp_path, pacs=[pacs(archive.port, archive.ae_title)]), "archive")
    assert (found.ok, found.cause, found.repair) == (True, "", "")
    assert f"127.0.0.1:{archive.port} answered the C-ECHO" in found.words
    assert 0 < found.duration_s < LONGEST_S


def test_a_peer_is_called_back(tmp_path: Path, archive: Archive) -> None:
    """Where its reports go, by its AE title; without an address, or with any title, it is none that can be asked."""
    peers = {
        "CT1": {"report_host": "127.0.0.1", "report_port": archive.port, "ae_title": archive.ae_title},
        "CT2": {},
        "anybody": {"ae_title": "*", "report_host": "127.0.0.1"},
    }
    settings = box(tmp_path, dicom={"peers": peers})
    assert targets(settings) == ["peer CT1"]
    assert probe(settings, "peer CT1").ok
    with pytest.raises(KeyError):
        probe(settings, "peer CT2")


def test_nobody_listens(tmp_path: Path) -> None:
    """Each says so by its cause, with what to do, within its time."""
    gone = f"http://127.0.0.1:{free_port()}"
    settings = box(
        tmp_path,
        pacs=[pacs(free_port())],
        stow=[{"name": "web", "url": gone}],
        webhook=[{"name": "alarm", "url": gone, "secret_file": _secret(tmp_path)}],
        cloud={"url": gone},
    )
    causes = {target: probe(settings, target) for target in targets(settings)}
    assert {target: one.cause for target, one in causes.items()} == {
        "cloud": "cloud_unreachable",
        "archive": "pacs_unreachable",
        "web": "stow_unreachable",
        "alarm": "webhook_unreachable",
    }
    assert all("network" in one.repair for one in causes.values())


def test_a_certificate_that_is_not_vouched_for(tmp_path: Path, archive: Archive) -> None:
    """The files of the configuration are those that are used."""
    authority = Authority(tmp_path)
    tls = {"ca": authority.ca}
    settings = box(tmp_path, pacs=[pacs(archive.port, archive.ae_title, tls=tls)])
    found = probe(settings, "archive")
    assert (found.ok, found.cause) == (False, "pacs_tls_failed")
    assert "tls table" in found.repair
    authority.ca.unlink()
    assert probe(settings, "archive").cause == "pacs_tls_unusable"


@pytest.mark.parametrize(
    ("status", "ok", "cause"),
    [
        (200, True, ""),
        (204, True, ""),
        (405, True, ""),
        (401, False, "stow_credentials_refused"),
        (302, False, "stow_redirected"),
        (404, False, "stow_refused"),
        (503, False, "stow_error"),
    ],
)
def test_a_dicomweb_server(tmp_path: Path, status: int, ok: bool, cause: str) -> None:
    """It is asked for a study that does not exist, with its token; nothing of a patient's comes back."""
    asked: list[Request] = []

    async def answer(request: Request) -> Response:
        asked.append(request)
        return Response(status_code=status, headers={"Location": "http://127.0.0.1:9/"})

    token = tmp_path / "token"
    token.write_text(TOKEN)
    with served(Starlette(routes=[Route("/dicom-web/studies", answer)])) as port:
        url = f"http://127.0.0.1:{port}/dicom-web/"
        found = probe(box(tmp_path, stow=[{"name": "web", "url": url, "token_file": token}]), "web")
    assert (found.ok, found.cause) == (ok, cause)
    assert bool(found.repair) is not ok
    (request,) = asked
    assert request.method == "GET"
    assert request.query_params["StudyInstanceUID"].startswith("2.25.")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_a_webhook_gets_a_signed_event_that_says_it_is_a_test(tmp_path: Path) -> None:
    """Of a type of its own, with a new id each time; what it answers is the outcome."""
    with listening_webhook() as server:
        hook = {"name": "alarm", "url": server.url, "secret_file": _secret(tmp_path), "timeout_s": 5}
        settings = box(tmp_path, webhook=[hook])
        assert probe(settings, "alarm").ok
        server.answers[:] = [Answering(410, body=b"no more")]
        refused = probe(settings, "alarm")
    one, other = server.told
    assert one.signed_by_us
    assert (one.body["type"], one.body["data"]["test"]) == (TEST_EVENT, True)
    assert one.headers["webhook-id"] != other.headers["webhook-id"]
    assert (refused.cause, "no more" in refused.words) == ("webhook_gone", True)


def test_a_missing_secret_is_an_outcome(tmp_path: Path) -> None:
    """With the repair in its words."""
    hook = {"name": "alarm", "url": "http://127.0.0.1:9", "secret_file": tmp_path / "none"}
    found = probe(box(tmp_path, webhook=[hook]), "alarm")
    assert (found.cause, "secret cannot be read" in found.words) == ("configuration", True)


def test_the_cloud_knows_the_token_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for answers that carries none."""
    monkeypatch.setenv("SCANSIDE_CLOUD_TOKEN", TOKEN)
    with served(build_app(cloud_settings(box(tmp_path)))) as port:
        settings = box(tmp_path, cloud={"url": f"http://127.0.0.1:{port}", "box_id": "north-1"})
        assert probe(settings, "cloud").words == "knows us as north-1 and takes our token"
        monkeypatch.setenv("SCANSIDE_CLOUD_TOKEN", "another one of some length")
        refused = probe(settings, "cloud")
    assert (refused.cause, "token" in refused.repair) == ("cloud_credentials_refused", True)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Where the book is kept."""
    made = open_home(box(tmp_path))
    yield made
    made.engine.dispose()


def test_never_twice_at_once_and_not_too_many(home: Home) -> None:
    """Of one target a second begins when the first has ended, or can no longer end."""
    with writing(home.engine) as connection:
        assert begin(connection, "archive", "", NOW) is not None
        assert begin(connection, "archive", "", NOW + 1) is None
        assert begin(connection, "archive", "", NOW + ABANDONED_S + 1) is not None
        for number in range(MOST_AT_ONCE - 1):
            assert begin(connection, f"other {number}", "", NOW + ABANDONED_S + 2) is not None
        assert begin(connection, "one more", "", NOW + ABANDONED_S + 2) is None


def test_the_outcome_is_kept(home: Home, tmp_path: Path, archive: Archive) -> None:
    """Who asked, when, and what came of it; of each target the newest is shown, and not all for ever."""
    settings = box(tmp_path, pacs=[pacs(archive.port, archive.ae_title)])
    assert at_once(settings, home.engine, "archive", "Mara") is not None
    with writing(home.engine) as connection:
        entry = latest(connection)["archive"]
        assert (entry.asked_by, entry.outcome is not None and entry.outcome.ok) == ("Mara", True)
        assert not entry.runs(time.time())
        for number in range(60):
            begin(connection, "archive", "", NOW + number * 2 * ABANDONED_S)
        assert connection.execute(select(func.count()).select_from(probes)).scalar_one() <= 51


def _secret(folder: Path) -> Path:
    path = folder / "secret"
    path.write_text(SECRET)
    return path
