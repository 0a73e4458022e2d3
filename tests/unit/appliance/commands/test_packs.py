"""``scanside models``: what is installed, what was refused, and what computes right here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.registry import SHIPPED
from tests.tiny_pack import change_manifest, write_tiny_pack
from tests.unit.appliance.commands.conftest import Scanside


@pytest.fixture
def bad_pack(config: Path, tmp_path: Path) -> Path:
    """A second pack beside the tiny one, one byte of whose network was changed."""
    folder = tmp_path / "more"
    write_tiny_pack(folder / "good", name="good")
    bad = write_tiny_pack(folder / "bad", name="bad")
    network = bytearray((bad / "network.onnx").read_bytes())
    network[-1] ^= 1
    (bad / "network.onnx").write_bytes(network)
    config.write_text(config.read_text().replace(config.read_text().split('packs = "')[1].split('"')[0], str(folder)))
    return bad


def test_list(scanside: Scanside) -> None:
    """Name, version, digest, size, role."""
    (row,) = scanside("models", "list", "--json").rows
    assert (row["name"], row["version"], row["role"], row["state"]) == ("tiny", "1.0.0", "box", "verified")
    assert len(row["digest"]) == 64
    assert row["size_bytes"] > 1000
    assert "tiny" in scanside("models", "list").out


def test_list_shows_what_was_refused(scanside: Scanside, bad_pack: Path) -> None:
    """With the reason and the repair; the good one stays."""
    rows = {row["name"]: row for row in scanside("models", "list", "--json").rows}
    assert rows["good"]["state"] == "verified"
    assert rows["bad"]["state"] == "refused"
    assert rows["bad"]["detail"].startswith("network.onnx is not the file the manifest names (SHA-256). Copy")
    assert "REFUSED" in scanside("models", "list").out


def test_verify(scanside: Scanside, tiny_packs: Path, bad_pack: Path) -> None:
    """0 with the digest, or 1 with the reason."""
    good = scanside("models", "verify", tiny_packs / "tiny", with_config=False)
    assert (good.status, good.out.split()[:2]) == (0, ["tiny", "1.0.0"])
    bad = scanside("models", "verify", bad_pack, with_config=False)
    assert (bad.status, bad.out) == (1, "")
    assert "network.onnx is not the file the manifest names" in bad.err


def test_selftest(scanside: Scanside) -> None:
    """Every device that computes the golden set right, one of them chosen."""
    ended = scanside("models", "selftest", "--json")
    assert ended.status == 0
    assert all(row["ok"] and row["latency_ms"] >= 0 for row in ended.rows)
    assert [row["detail"] for row in ended.rows].count("chosen") == 1


def test_selftest_fails_for_a_refused_pack(scanside: Scanside, bad_pack: Path) -> None:
    """Exit status 1, and the good pack is tested all the same."""
    ended = scanside("models", "selftest")
    assert ended.status == 1
    assert "BAD bad" in ended.out
    assert "ok  good" in ended.out


def test_selftest_fails_for_wrong_numbers(scanside: Scanside, tiny_packs: Path, config: Path, tmp_path: Path) -> None:
    """A pack whose files are whole but whose answers are not: no device may run it."""
    folder = write_tiny_pack(tmp_path / "more" / "wrong", name="wrong")
    change_manifest(folder, temperature=9.0)
    config.write_text(config.read_text().replace(str(tiny_packs), str(tmp_path / "more")))
    ended = scanside("models", "selftest", "--json")
    assert ended.status == 1
    (row,) = ended.rows
    assert (row["ok"], row["device"]) == (False, None)
    assert "nothing here can run wrong" in row["detail"]


def test_the_shipped_packs_are_whole(scanside: Scanside) -> None:
    """What this installation ships passes its own verification."""
    folders = sorted(SHIPPED.glob("*/manifest.json"))
    assert folders
    for manifest in folders:
        ended = scanside("models", "verify", manifest.parent, with_config=False)
        assert ended.status == 0, ended.err
        assert ended.out.split()[0] == json.loads(manifest.read_text())["name"]
