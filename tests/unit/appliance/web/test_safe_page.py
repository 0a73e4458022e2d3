"""The page of safe mode over ASGI."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from appliance.errors import Problem
from appliance.start.standing import STANDING, Standing, said, write_standing
from appliance.web.safe_page import build_safe_app


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """Of a box with one problem."""
    problem = Problem("cloud.token_variable", "<i>wrong</i>", "mend it", 3, value=" = 'hush'")
    standing = Standing(mode="safe", file="/etc/box.toml", refused=(said(problem),), page_host="127.0.0.1")
    write_standing(tmp_path / STANDING, standing)
    return TestClient(build_safe_app(tmp_path / STANDING), base_url="http://127.0.0.1:8080")


def test_every_address_says_what_to_mend(client: TestClient) -> None:
    """With 503 and when to ask again; a value that may be a secret is not repeated, and markup is text."""
    for path in ("/", "/setup", "/studies/1"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        for words in ("cloud.token_variable", "&lt;i&gt;wrong", "mend it", "<dd>3</dd>", "/etc/box.toml"):
            assert words in answer.text
        assert "hush" not in answer.text
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert client.post("/studies/1").status_code == 503
    assert client.get("/static/style.css").status_code == 200


def test_machines_are_told_too(client: TestClient) -> None:
    """That it is degraded, and not ready."""
    assert client.get("/healthz").json()["configuration"] == ["cloud.token_variable: <i>wrong</i>"]
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["status"]) == (503, "not ready")
    assert client.get("/api/status").status_code == 503


def test_only_this_machine_while_it_listens_on_loopback(client: TestClient) -> None:
    """As on the page it stands in for."""
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
