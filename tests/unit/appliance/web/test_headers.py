"""Headers on every answer, and whose requests are answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.appliance.web.rows import Rows


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/status", "/static/style.css", "/nowhere", "/images/x"])
def test_every_answer_forbids_foreign_and_inline_content(rows: Rows, path: str) -> None:
    """Errors and static files are no exception."""
    policy = rows.client().get(path).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_pages_are_not_kept_by_the_browser(rows: Rows) -> None:
    """They may show patients, and they are soon wrong."""
    assert rows.client().get("/").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:8080", 200), ("evil.example", 421), ("[", 421)],
)
def test_a_page_on_loopback_answers_loopback_names_only(rows: Rows, host: str, status: int) -> None:
    """A foreign name pointed at 127.0.0.1 must not read the worklist through a local browser."""
    assert rows.client().get("/", headers={"host": host}).status_code == status


def test_a_page_on_the_network_answers_by_any_name(rows: Rows, tmp_path: Path) -> None:
    """Somebody who opened it to the network reaches it under names we do not know; without users only to be told so."""
    rows.configure(tmp_path, page={"host": "0.0.0.0"})
    answer = rows.client().get("/", headers={"host": "box.clinic.example"})
    assert (answer.status_code, "scanside users add" in answer.text) == (403, True)
