"""The viewer that is served is the one that its sources make."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from appliance.web.pages import FOLDER

SOURCES, BUILT = FOLDER / "viewer", FOLDER / "static" / "viewer"


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_bundle_was_built_from_these_sources() -> None:
    """Whoever changes a source runs ``make viewer``."""
    noted = json.loads((BUILT / "sources.json").read_text(encoding="utf-8"))
    named = {path.name for path in (SOURCES / "src").iterdir()}
    assert named == {name.removeprefix("src/") for name in noted if name.startswith("src/")}
    for name, kept in noted.items():
        assert digest(BUILT / name if name == "viewer.js" else SOURCES / name) == kept, f"{name}: run make viewer"


def test_every_package_in_it_has_its_licence() -> None:
    """And none of them is copyleft."""
    text = (BUILT / "licences.txt").read_text(encoding="utf-8")
    assert "@cornerstonejs/core" in text
    assert "@kitware/vtk.js" in text
    assert "GNU" not in text


def test_the_lock_names_no_registry() -> None:
    """It can be installed from any mirror."""
    assert '"resolved"' not in (SOURCES / "package-lock.json").read_text(encoding="utf-8")


def test_the_bundle_runs_under_the_pages_policy() -> None:
    """No worker, no WebAssembly: the box decodes."""
    script = (BUILT / "viewer.js").read_text(encoding="utf-8")
    assert "WebAssembly" not in script
