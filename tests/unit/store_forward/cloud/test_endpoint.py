"""The endpoint over HTTP, in this process: every status it can answer with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from store_forward.cloud.endpoint import build_app
from store_forward.protocol import Receipt, UploadMetadata, encode_metadata, upload_id
from tests.unit.store_forward.running_cloud import TOKEN, settings_at

DATA = b"0123456789" * 100
METADATA = UploadMetadata(
    sha256=hashlib.sha256(DATA).hexdigest(), content_type="application/zip", box="box-1", priority=1
)
PLACE = f"/v1/uploads/{upload_id(METADATA)}"
OURS = {"Authorization": f"Bearer {TOKEN}", "Tus-Resumable": "1.0.0"}
BEGIN = {"Upload-Length": str(len(DATA)), "Upload-Metadata": encode_metadata(METADATA)}
CHUNK = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The endpoint with its sweeper, and a client that shows the token."""
    with TestClient(build_app(settings_at(tmp_path)), headers=OURS) as opened:
        yield opened


def test_an_upload_in_two_chunks(client: TestClient) -> None:
    """201, 204, 204 with the receipt; then 200 with the receipt for every question."""
    created = client.post("/v1/uploads", headers=BEGIN)
    assert (created.status_code, created.headers["Location"], created.headers["Upload-Offset"]) == (201, PLACE, "0")
    first = client.patch(PLACE, content=DATA[:600], headers=CHUNK)
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "600")
    looked = client.head(PLACE)
    assert (looked.headers["Upload-Offset"], looked.headers["Upload-Length"]) == ("600", "1000")
    last = client.patch(PLACE, content=DATA[600:], headers={**CHUNK, "Upload-Offset": "600"})
    receipt = Receipt.model_validate_json(last.headers["Scanside-Receipt"])
    assert (last.status_code, receipt.digest, receipt.size_bytes) == (204, METADATA.sha256, 1000)
    again = (client.head(PLACE), client.post("/v1/uploads", headers=BEGIN), client.patch(PLACE, headers=CHUNK))
    assert [reply.headers["Scanside-Receipt"] for reply in again] == [last.headers["Scanside-Receipt"]] * 3
    assert [reply.status_code for reply in again] == [200, 200, 204]


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer wrong", f"bearer {TOKEN}", TOKEN, "Bearer \xe9"])
def test_without_the_token_nothing_is_told(client: TestClient, shown: str) -> None:
    """401 for every path, known or not."""
    for method, path in [("POST", "/v1/uploads"), ("HEAD", PLACE), ("GET", "/v1/answers"), ("GET", "/v1/health")]:
        reply = client.request(method, path, headers={b"Authorization": shown.encode("latin-1")})
        assert reply.status_code == 401
    assert client.get("/nowhere", headers={"Authorization": "no"}).status_code == 401


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "ten"}, 400),
        ({"Upload-Length": "9" * 30}, 400),
        ({"Upload-Length": str(1 << 50)}, 413),
        ({"Upload-Metadata": "sha256 AAAA"}, 400),
        ({"Upload-Metadata": encode_metadata(METADATA.model_copy(update={"content_type": "text/html"}))}, 415),
    ],
)
def test_an_announcement_that_is_not_taken(client: TestClient, change: dict[str, str], status: int) -> None:
    """With the reason, and marked as our own word."""
    reply = client.post("/v1/uploads", headers={**BEGIN, **change})
    assert (reply.status_code, reply.headers["Tus-Resumable"]) == (status, "1.0.0")
    assert reply.json()["error"]


@pytest.mark.parametrize(
    ("content", "change", "status"),
    [
        (DATA, {"Upload-Offset": "5"}, 409),
        (DATA, {"Upload-Offset": ""}, 400),
        (DATA, {"Content-Type": "text/plain"}, 415),
        (DATA + b"1", {}, 400),
        (bytes(1000), {}, 460),
    ],
)
def test_a_chunk_that_is_not_taken_moves_nothing(
    client: TestClient, content: bytes, change: dict[str, str], status: int
) -> None:
    """The upload can go on, or begin again, from nought."""
    client.post("/v1/uploads", headers=BEGIN)
    reply = client.patch(PLACE, content=content, headers={**CHUNK, **change})
    assert reply.status_code == status
    if status == 409:
        assert reply.headers["Upload-Offset"] == "0"
    assert client.post("/v1/uploads", headers=BEGIN).headers["Upload-Offset"] == "0"
    assert "Scanside-Receipt" in client.patch(PLACE, content=DATA, headers=CHUNK).headers


def test_a_chunk_of_unknown_length_is_limited_too(client: TestClient) -> None:
    """Without Content-Length the bytes are counted as they come."""
    client.post("/v1/uploads", headers=BEGIN)
    for start in (0, 100):
        pieces, here = iter([DATA[:900], DATA[:200]]), {**CHUNK, "Upload-Offset": str(start)}
        assert client.patch(PLACE, content=pieces, headers=here).status_code == 400
        assert client.head(PLACE).headers["Upload-Offset"] == str(start)
        client.patch(PLACE, content=DATA[:100], headers=here)


def test_an_upload_nobody_began(client: TestClient) -> None:
    """404: begin it again."""
    assert client.head(PLACE).status_code == 404
    assert client.patch(PLACE, content=DATA, headers=CHUNK).status_code == 404
    assert client.head("/v1/uploads/..%2f..%2fetc").status_code == 404


def test_a_chunk_has_a_largest_size(tmp_path: Path) -> None:
    """However large the upload is."""
    with TestClient(build_app(settings_at(tmp_path, max_chunk_bytes=100)), headers=OURS) as client:
        client.post("/v1/uploads", headers=BEGIN)
        assert client.patch(PLACE, content=DATA[:101], headers=CHUNK).status_code == 400
        assert client.patch(PLACE, content=DATA[:100], headers=CHUNK).headers["Upload-Offset"] == "100"


def test_no_answers_yet(client: TestClient) -> None:
    """An empty list, after waiting as long as asked."""
    reply = client.get("/v1/answers", params={"box": "box-1", "after": "0", "wait_s": "0.05"})
    assert (reply.status_code, reply.json()) == (200, {"answers": [], "messages": []})


@pytest.mark.parametrize(
    "query",
    [{}, {"box": "../x"}, {"box": "b", "after": "-1"}, {"box": "b", "wait_s": "nan"}, {"box": "b", "wait_s": "x"}],
)
def test_questions_that_make_no_sense(client: TestClient, query: dict[str, str]) -> None:
    """400, not a guess."""
    assert client.get("/v1/answers", params=query).status_code == 400


def test_waiting_ends_when_the_endpoint_stops(tmp_path: Path) -> None:
    """A box that waits for answers does not hold up a shut-down."""
    app = build_app(settings_at(tmp_path), stopping=lambda: True)
    with TestClient(app, headers=OURS) as client:
        reply = client.get("/v1/answers", params={"box": "box-1", "wait_s": "60"})
    assert reply.elapsed.total_seconds() < 30


def test_health_counts_cases(client: TestClient) -> None:
    """By state."""
    client.post("/v1/uploads", headers=BEGIN)
    counts = {"receiving": 1, "stored": 0, "analysing": 0, "answered": 0}
    assert client.get("/v1/health").json() == {"status": "ok", "cases": counts, "room": "plenty"}


def test_stale_uploads_are_swept(tmp_path: Path) -> None:
    """An upload nobody goes on with is removed at the next sweep, and its case with it."""
    settings = settings_at(tmp_path)
    with TestClient(build_app(settings), headers=OURS) as client:
        client.post("/v1/uploads", headers=BEGIN)
    for path in settings.uploads.iterdir():
        os.utime(path, (1.0, 1.0))
    impatient = settings_at(tmp_path, sweep_every_s=0.01)
    with TestClient(build_app(impatient), headers=OURS) as client:
        while client.get("/v1/health").json()["cases"]["receiving"]:
            pass
        assert client.head(PLACE).status_code == 404
