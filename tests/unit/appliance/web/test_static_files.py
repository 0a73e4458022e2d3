"""Style and scripts are fetched once per version."""

from __future__ import annotations

from tests.unit.appliance.web.rows import Rows


def test_a_version_is_kept_and_compressed(rows: Rows) -> None:
    """Without one it is asked for anew each time, as any answer is; what is missing is kept by nobody."""
    page = rows.client()
    kept = page.get("/static/viewer/viewer.js?v=1")
    assert "immutable" in kept.headers["Cache-Control"]
    assert kept.headers["Content-Encoding"] == "gzip"
    assert kept.headers["Content-Type"].startswith("text/javascript")
    assert int(kept.headers.get("Content-Length", "0")) < 1_000_000
    assert page.get("/static/style.css").headers["Cache-Control"] == "no-store"
    assert "immutable" not in page.get("/static/none.js?v=1").headers["Cache-Control"]
