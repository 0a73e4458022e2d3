"""``scanside models``: what is installed, what was refused, and what computes right here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.commands.packs import in_use_line
from models.registry import SHIPPED
from tests.pack_archives import altered_byte, archive, truncated
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
    assert (row["name"], row["version"], row["role"], row["state"]) == ("tiny", "1.0.0", "box", "active")
    assert row["source"] == "folder"
    assert len(row["digest"]) == 64
    assert row["size_bytes"] > 1000
    assert "tiny" in scanside("models", "list").out


def test_list_shows_what_was_refused(scanside: Scanside, bad_pack: Path) -> None:
    """With the reason and the repair; the good one stays."""
    rows = {row["name"]: row for row in scanside("models", "list", "--json").rows}
    assert rows["good"]["state"] == "active"
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


def test_verify_an_archive(scanside: Scanside, tmp_path: Path) -> None:
    """By unpacking it for the moment; it is not installed."""
    path = archive(tmp_path / "two.scanpack", "2.0.0")
    good = scanside("models", "verify", path)
    assert (good.status, good.out.split()[:2]) == (0, ["tiny", "2.0.0"])
    altered_byte(path)
    bad = scanside("models", "verify", path)
    assert (bad.status, bad.out) == (1, "")
    assert "model pack two.scanpack: network.onnx is not the file" in bad.err
    assert not (tmp_path / "box" / "packs").exists()


def test_from_archive_to_use_and_back(scanside: Scanside, tmp_path: Path) -> None:
    """Export, install, activate, roll back: each says what is so now, for a person and for a script."""
    exported = scanside("models", "export", "tiny", tmp_path, "--json").rows[0]
    assert Path(exported["path"]).name == "tiny-1.0.0.scanpack"
    path = archive(tmp_path / "two.scanpack", "2.0.0")
    installed = scanside("models", "install", path)
    assert (installed.status, installed.out.split()[:3]) == (0, ["tiny", "2.0.0", "installed;"])
    assert scanside("models", "install", path, "--json").rows[0]["state"] == "already installed"
    states = {(row["version"], row["state"], row["source"]) for row in scanside("models", "list", "--json").rows}
    assert states == {("1.0.0", "active", "folder"), ("2.0.0", "installed", "installed")}

    (row,) = scanside("models", "activate", "tiny", "--json").rows
    assert (row["version"], row["state"], row["before"]["version"]) == ("2.0.0", "active", "1.0.0")
    assert row["device"]
    states = {(row["version"], row["state"], row["source"]) for row in scanside("models", "list", "--json").rows}
    assert states == {("2.0.0", "active", "installed"), ("1.0.0", "folder", "folder")}
    assert "active (installed)" in scanside("models", "list").out
    assert "before it 2.0.0" in scanside("models", "activate", "tiny").out

    back = scanside("models", "rollback", "tiny")
    assert (back.status, back.out.split()[:2]) == (0, ["tiny", "1.0.0"])
    none = scanside("models", "rollback", "tiny")
    assert (none.status, none.out) == (1, "")
    assert none.err.endswith("by its version. Nothing has changed.\n")


def test_what_is_refused_ends_with_status_1(scanside: Scanside, tmp_path: Path) -> None:
    """The reason and the repair on standard error, nothing on standard output, whichever command it is."""
    wrong = archive(tmp_path / "wrong.scanpack", "2.0.0", temperature=9.0)
    cut = archive(tmp_path / "cut.scanpack", "3.0.0")
    truncated(cut)
    assert scanside("models", "install", wrong).status == 0
    said = {
        "is cut off or is no zip. Copy the archive again": scanside("models", "install", cut),
        "differs from the golden set": scanside("models", "activate", "tiny"),
        "no such pack is installed. There are": scanside("models", "activate", "tiny@8.0.0"),
        "no such pack is installed. Install it first": scanside("models", "export", "large", tmp_path),
    }
    for words, ended in said.items():
        assert (ended.status, ended.out) == (1, "")
        assert words in ended.err
        assert "Traceback" not in ended.err
    assert [row["version"] for row in scanside("models", "list", "--json").rows if row["state"] == "active"] == [
        "1.0.0"
    ]


def test_a_choice_that_cannot_be_written(scanside: Scanside, tmp_path: Path) -> None:
    """The operating system's reason, and where to see what is in use: the pack before."""
    scanside("models", "install", archive(tmp_path / "two.scanpack", "2.0.0"))
    (tmp_path / "box" / "packs" / "active.json").mkdir()
    ended = scanside("models", "activate", "tiny")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.endswith("repair the disk or free it, and see scanside models list\n")
    rows = scanside("models", "list", "--json").rows
    assert [(row["version"], row["state"]) for row in rows[:2]] == [("1.0.0", "active"), ("2.0.0", "installed")]


def test_devices_that_were_passed_over_are_told() -> None:
    """A person sees at once why the pack runs slower than hoped."""
    row = {"name": "tiny", "version": "2.0.0", "digest": "a" * 64, "device": "onnxruntime:CPU", "before": None}
    line = in_use_line(row | {"fell_back": ["openvino:GPU: differs from the golden set by 0.3"]})
    assert line.splitlines()[1] == "  passed over openvino:GPU: differs from the golden set by 0.3"


def test_a_damaged_active_pack_is_listed_once(scanside: Scanside, tmp_path: Path) -> None:
    """Refused with its reason, the one before it active again; the self-test is bad until it is repaired."""
    scanside("models", "install", archive(tmp_path / "two.scanpack", "2.0.0"))
    scanside("models", "activate", "tiny")
    next((tmp_path / "box" / "packs").glob("tiny/*/network.onnx")).write_bytes(b"?")
    rows = scanside("models", "list", "--json").rows
    assert [(row["state"], row.get("version")) for row in rows] == [("active", "1.0.0"), ("refused", None)]
    assert rows[1]["name"].startswith("tiny/2.0.0+")
    assert scanside("models", "selftest").status == 1


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
