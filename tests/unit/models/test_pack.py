"""A pack is exactly what its manifest says, or it is rejected."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from models.errors import PackRejected
from models.pack import load_pack
from tests.tiny_pack import FINDING, change_manifest, write_tiny_pack


def test_a_valid_pack_loads(tmp_path: Path) -> None:
    """Its digest is that of the manifest's bytes."""
    pack = load_pack(write_tiny_pack(tmp_path))
    assert pack.digest == hashlib.sha256((tmp_path / "manifest.json").read_bytes()).hexdigest()
    assert pack.identity.name == "tiny"
    assert pack.network.is_file()
    assert pack.golden.is_file()


def test_a_changed_network_is_rejected(tmp_path: Path) -> None:
    """One flipped byte is enough."""
    write_tiny_pack(tmp_path)
    network = tmp_path / "network.onnx"
    content = bytearray(network.read_bytes())
    content[-1] ^= 1
    network.write_bytes(content)
    with pytest.raises(PackRejected, match="SHA-256"):
        load_pack(tmp_path)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    """The golden set is part of the pack."""
    write_tiny_pack(tmp_path)
    (tmp_path / "golden.npz").unlink()
    with pytest.raises(PackRejected, match=r"golden\.npz is missing"):
        load_pack(tmp_path)


def test_a_stranger_is_rejected(tmp_path: Path) -> None:
    """A file that nobody vouches for does not ride along."""
    write_tiny_pack(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"?")
    with pytest.raises(PackRejected, match=r"weights\.bin is not in the manifest"):
        load_pack(tmp_path)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"schema_version": 1}, "schema version 1, this version reads 2"),
        ({"schema_version": 3}, "schema version 3, this version reads 2"),
        ({"schema_version": "two"}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"network": "../network.onnx"}, "network"),
        ({"network": "other.onnx"}, "not listed in files"),
        ({"temperature": 0}, "temperature"),
        ({"findings": []}, "findings"),
        ({"findings": ["a", "a"]}, "different names"),
        ({"normal": FINDING}, "different names"),
        ({"normal": ""}, "normal"),
        ({"acts_on": []}, "acts_on"),
        ({"acts_on": ["something_else"]}, "acts_on may only name findings"),
        ({"bias": [0.1, 0.2]}, "bias needs 1 numbers"),
        ({"bias": 0.1}, "bias"),
        ({"bias": [math.nan]}, "bias"),
        ({"activation": "softmax"}, "bias needs 2 numbers"),
        ({"activation": "linear"}, "activation"),
        ({"gate": "gate.npz"}, "gate is gate.npz, which is not listed in files"),
        ({"gate": "../gate.npz"}, "gate"),
        ({"thresholds": (0.9, 0.1)}, "thresholds"),
        ({"role": "server"}, "role"),
    ],
)
def test_a_wrong_manifest_says_where(tmp_path: Path, change: dict[str, Any], where: str) -> None:
    """The rejection names the field."""
    change_manifest(write_tiny_pack(tmp_path), **change)
    with pytest.raises(PackRejected, match=where):
        load_pack(tmp_path)


def test_another_schema_version_says_what_to_do(tmp_path: Path) -> None:
    """A pack of yesterday lacks fields and has strange ones; the version is the one thing worth saying."""
    manifest = {"schema_version": 1, "name": "old", "bias": 0.1}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(PackRejected) as caught:
        load_pack(tmp_path)
    assert caught.value.why == "manifest.json has schema version 1, this version reads 2"
    assert caught.value.repair == "Install a pack that was made for this version"


def test_no_manifest_and_no_json_are_rejected(tmp_path: Path) -> None:
    """Both name the pack and a repair."""
    with pytest.raises(PackRejected, match="cannot be read"):
        load_pack(tmp_path)
    (tmp_path / "manifest.json").write_bytes(b"\xff{")
    with pytest.raises(PackRejected) as caught:
        load_pack(tmp_path)
    assert caught.value.pack == tmp_path.name
    assert caught.value.repair


def test_the_manifest_round_trips(tmp_path: Path) -> None:
    """What is written out again loads again with the same meaning."""
    pack = load_pack(write_tiny_pack(tmp_path))
    again = json.loads(pack.manifest.model_dump_json())
    assert load_pack(change_manifest(tmp_path, **again)).manifest == pack.manifest
