"""Writes a pack folder: network, gate, golden set, card, and the manifest that names them all by digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from models.golden import GoldenSet
from models.manifest import Manifest

GOLDEN = "golden.npz"
CARD = "card.md"
GATE = "gate.npz"
HEAD = "head.npz"


def write_pack(
    folder: Path,
    manifest: dict[str, Any],
    golden: GoldenSet,
    card: str,
) -> Manifest:
    """Add golden set, card and manifest to a folder that already holds the network and, if it has one, the gate.

    The golden set is of synthetic pictures, never of patients.
    """
    np.savez_compressed(folder / GOLDEN, image=golden.images, probability=golden.probabilities, passed=golden.passed)
    (folder / CARD).write_text(card, encoding="utf-8")
    names = [manifest["network"], GOLDEN, CARD, *([manifest["gate"]] if manifest["gate"] else [])]
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    checked = Manifest.model_validate(manifest | {"files": digests, "golden": GOLDEN})
    text = json.dumps(checked.model_dump(mode="json"), indent=2) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return checked


def rewrite_manifest(folder: Path, **changes: Any) -> Manifest:
    """Change fields of a pack that is written already, and bring the digests of its files up to date."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | changes
    names = sorted(file.name for file in folder.iterdir() if file != path)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    checked = Manifest.model_validate(manifest | {"files": digests})
    path.write_text(json.dumps(checked.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
    return checked
