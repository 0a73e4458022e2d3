"""Results by STOW-RS, to the DICOMweb of another box over real HTTP, and to servers that answer otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from appliance.demo.stage import free_port
from appliance.errors import ConfigurationInvalid
from appliance.lane import Lane
from appliance.results.stow import StowLink, open_stow_servers
from appliance.schema import instances
from appliance.settings import Settings
from appliance.triage.deliveries import Subject, result
from appliance.uplink import build_lanes
from appliance.web.app import build_app
from models.decision import Decision
from store_forward.database import writing
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Delivery, deliveries, enqueue
from tests.dicom_factory import as_bytes, chest_radiograph
from tests.served import served
from tests.small_box import NOW, MakeBox

TOKEN = "a token of some length"
Serve = Callable[[ASGIApp], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves an application; returns the address of its DICOMweb."""
    with ExitStack() as stack:
        yield lambda app: f"http://127.0.0.1:{stack.enter_context(served(app))}/dicom-web"


def _answering(status: int, module: Any, headers: dict[str, str] | None = None) -> Starlette:
    """A server that says this to everybody."""

    async def answer(_request: object) -> Response:
        return Response(json.dumps(module), status, headers, "application/dicom+json")

    return Starlette(routes=[Route("/dicom-web/studies", answer, methods=["POST"])])


def _carry(url: str, path: Path, token: str | None = TOKEN) -> str:
    link = StowLink("archive", url, token, 20.0)
    unused: Any = None  # a result says all of itself
    delivery: Delivery = unused
    try:
        return link.carry(path, delivery, lambda: False)
    finally:
        link.close()


def test_a_result_is_stored_at_the_server_and_has_its_receipt(make_box: MakeBox, serve: Serve, tmp_path: Path) -> None:
    """From the outbox of one box by its lane, into the spool of another, bit by bit; sent twice it is there once."""
    (tmp_path / "token").write_text(TOKEN)
    there = make_box("there", dicomweb={"enabled": True, "token_file": tmp_path / "token"})
    url = serve(build_app(there.settings, there.engine, there.spool))
    server = {"name": "archive", "url": url, "token_file": tmp_path / "token"}
    here = make_box("here", stow=[server])
    made = here.spool.keep_bytes(as_bytes(chest_radiograph()))
    subject = Subject("1.2.3", 1, Decision.urgent, 0.9)
    for revision in (1, 2):
        request = result(Subject("1.2.3", revision, subject.decision, 0.9), "report", "archive", made)
        with writing(here.engine) as connection:
            enqueue(connection, request, NOW)
    links = open_stow_servers(here.settings.stow)
    (lane,) = build_lanes(here.settings.cloud, None, (), "SCANSIDE", here.engine, here.spool, (), links)
    assert isinstance(lane, Lane)
    assert lane.step(lambda: False)
    assert lane.step(lambda: False)
    assert [row.state for row in here.rows(deliveries)] == ["delivered", "delivered"]
    assert here.rows(deliveries)[0].receipt.startswith("stored by STOW-RS, status 200")
    (row,) = there.rows(instances)
    assert there.spool.file(row.file_digest).read_bytes() == as_bytes(chest_radiograph())


def test_a_real_refusal_is_parked_and_a_missing_token_waits(make_box: MakeBox, serve: Serve, tmp_path: Path) -> None:
    """Other content under a known UID; no token; nobody there."""
    (tmp_path / "token").write_text(TOKEN)
    there = make_box("there", dicomweb={"enabled": True, "token_file": tmp_path / "token"})
    url = serve(build_app(there.settings, there.engine, there.spool))
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(as_bytes(chest_radiograph()))
    second.write_bytes(as_bytes(chest_radiograph(PatientName="Other^Name")))
    _carry(url, first)
    with pytest.raises(DeliveryRefused, match="0xC111") as refused:
        _carry(url, second)
    assert refused.value.cause == "stow_refused"
    for where, token, cause in (
        (url, None, "stow_credentials_refused"),
        (f"http://127.0.0.1:{free_port()}/dicom-web", TOKEN, "stow_unreachable"),
    ):
        with pytest.raises(DeliveryDeferred) as deferred:
            _carry(where, first, token)
        assert deferred.value.cause == cause


_FULL = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA700]}}]}}
_SILENT = {"00081198": {"vr": "SQ", "Value": [{}]}}


@pytest.mark.parametrize(
    ("status", "module", "kind", "cause"),
    [
        (202, _FULL, DeliveryDeferred, "stow_out_of_resources"),
        (409, [_FULL], DeliveryDeferred, "stow_out_of_resources"),
        (507, {}, DeliveryDeferred, "stow_out_of_resources"),
        (202, _SILENT, DeliveryRefused, "stow_refused"),
        (200, {"0008119A": _SILENT["00081198"]}, DeliveryRefused, "stow_refused"),
        (503, "busy", DeliveryDeferred, "stow_error"),
        (429, {}, DeliveryDeferred, "stow_error"),
        (302, {}, DeliveryDeferred, "stow_redirected"),
        (415, {}, DeliveryRefused, "stow_refused"),
    ],
)
def test_every_other_answer_has_its_cause(
    serve: Serve, tmp_path: Path, status: int, module: Any, kind: type[DeliveryDeferred], cause: str
) -> None:
    """A success that names a failure is none."""
    (tmp_path / "result").write_bytes(as_bytes(chest_radiograph()))
    with pytest.raises(kind) as failed:
        _carry(serve(_answering(status, module, {"Retry-After": "7"})), tmp_path / "result")
    assert failed.value.cause == cause


def test_a_success_in_words_we_do_not_read_is_one(serve: Serve, tmp_path: Path) -> None:
    """XML, for example, whatever we asked for."""
    (tmp_path / "result").write_bytes(as_bytes(chest_radiograph()))
    assert "status 200" in _carry(serve(_answering(200, "<xml/>")), tmp_path / "result")


def test_a_token_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """And plain http beyond loopback is refused, as is a name that is taken."""
    monkeypatch.delenv("ARCHIVE_TOKEN", raising=False)
    server = {"name": "a", "url": "https://archive.example.org", "token_variable": "ARCHIVE_TOKEN"}
    with pytest.raises(ConfigurationInvalid, match="ARCHIVE_TOKEN is not in the environment"):
        open_stow_servers(Settings.model_validate({"stow": [server]}).stow)
    for wrong in ([{**server, "url": "http://archive.example.org"}], [server, server]):
        with pytest.raises(ValueError, match=r"https|name of its own"):
            Settings.model_validate({"stow": wrong})
