"""``scanside keys`` and ``scanside erase``."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from appliance.audit.trail import rows as trail
from appliance.home import Home, open_home
from appliance.ingest.admit import Admission
from appliance.schema import studies
from appliance.settings import Settings
from appliance.triage.worker import TriageWorker
from store_forward.database import reading
from store_forward.keys import openers
from tests.dicom_factory import as_bytes, uid
from tests.small_box import NOW, image
from tests.unit.appliance.commands.conftest import Scanside


def decided(home: Home, settings: Settings, seed: str = "0", **attributes: Any) -> str:
    """A study that was received and read; its UID."""
    temporary = home.spool.temporary()
    with home.spool.content(temporary).open("wb") as file:
        file.write(as_bytes(image(seed=seed, **attributes)))
    admission = Admission(home.engine, home.spool, settings.limits, settings.dicom)
    _, study = admission.admit(temporary, "SCANNER", NOW)
    admission.released([study], "SCANNER", NOW - 60.0)
    worker = TriageWorker(settings, home)
    worker.start(NOW)
    assert worker.step(NOW)
    return study


def kept(home: Home) -> list[Path]:
    """The files in the spool."""
    return [path for path in (home.spool.root / "objects").rglob("*") if path.is_file()]


def test_keys_are_shown_by_their_ids(scanside: Scanside, home: Home) -> None:
    """And where the one in use lies; never the key."""
    (row,) = scanside("keys", "show", "--json").rows
    assert row["sealed"] and row["opened_by"] == [row["in_use"]]
    shown = scanside("keys", "show")
    assert "beside what it opens" in shown.out
    assert (home.folder / "box.key").read_text().strip() not in shown.out


def test_a_box_that_was_never_started(scanside: Scanside, settings: Settings) -> None:
    """Nothing is made by looking."""
    assert "is not there yet" in scanside("keys", "show").out
    assert not settings.home.exists()
    ended = scanside("keys", "rotate")
    assert (ended.status, "no encrypted home" in ended.err) == (1, True)


def test_rotation_while_the_box_runs(scanside: Scanside, home: Home, settings: Settings) -> None:
    """No file is touched: who has the home open goes on, and who opens it anew takes the new key."""
    stored = home.spool.keep_bytes(b"before")
    raw, key = home.spool.path(stored.digest).read_bytes(), (home.folder / "box.key").read_bytes()
    (before,) = openers(home.folder)
    (row,) = scanside("keys", "rotate", "--json").rows
    assert row["opened_by"] == [row["in_use"]] != [before]
    assert (home.folder / "box.key").read_bytes() != key
    assert home.spool.path(stored.digest).read_bytes() == raw
    assert home.spool.verify(home.spool.keep_bytes(b"after").digest)
    again = open_home(settings)
    assert again.spool.verify(stored.digest)
    with reading(again.engine) as connection:
        assert any(f"box key {before} replaced" in row.event["detail"] for row in trail(connection))
    again.engine.dispose()


def test_a_second_key(scanside: Scanside, home: Home, config: Path, tmp_path: Path) -> None:
    """One for the safe opens the home when the first is lost, and can be shut out."""
    safe = tmp_path / "safe.key"
    (row,) = scanside("keys", "add", str(safe), "--json").rows
    second = row["opened_by"][1]
    (home.folder / "box.key").unlink()
    assert "is not there" in scanside("status").err
    config.write_text(config.read_text() + f'[at_rest]\nkey_file = "{safe}"\n')
    assert scanside("status").status == 0
    assert "is the key in use" in scanside("keys", "remove", second).err
    assert "no key 00000000" in scanside("keys", "remove", "00000000").err
    (row,) = scanside("keys", "remove", row["in_use"], "--json").rows
    assert row["opened_by"] == [second]


def test_the_site_key_for_the_other_box(scanside: Scanside, home: Home, tmp_path: Path) -> None:
    """As that takes it, for its owner only, and never over a file."""
    target = tmp_path / "site.key"
    assert scanside("keys", "site-key", str(target)).status == 0
    assert (len(target.read_bytes()), target.stat().st_mode & 0o777) == (32, 0o600)
    assert "there already" in scanside("keys", "site-key", str(target)).err


def test_a_file_in_the_clear(scanside: Scanside, home: Home, tmp_path: Path) -> None:
    """For its owner only; a damaged one leaves nothing half behind."""
    sealed = home.spool.path(home.spool.keep_bytes(b"content").digest)
    assert scanside("keys", "unseal", str(sealed), str(tmp_path / "out")).status == 0
    assert ((tmp_path / "out").read_bytes(), (tmp_path / "out").stat().st_mode & 0o777) == (b"content", 0o600)
    assert "there already" in scanside("keys", "unseal", str(sealed), str(tmp_path / "out")).err
    sealed.write_bytes(sealed.read_bytes()[:-1])
    ended = scanside("keys", "unseal", str(sealed), str(tmp_path / "other"))
    assert (ended.status, "damaged" in ended.err) == (1, True)
    assert not (tmp_path / "other").exists()


def test_erasing_a_study(scanside: Scanside, home: Home, settings: Settings) -> None:
    """Its files, and who it was; another study stays. What is not there, or not decided, is said."""
    other = decided(home, settings, "1", PatientID="OTHER", StudyInstanceUID=uid("other"))
    files = len(kept(home))
    study = decided(home, settings, PatientID="GONE")
    (row,) = scanside("erase", "study", study, "--yes", "--json").rows
    assert (row["studies"], row["sealed"], row["files"] > 1) == ([study], True, True)
    assert len(kept(home)) == files
    with reading(home.engine) as connection:
        found = {row.study_instance_uid: row.patient_id for row in connection.execute(select(studies))}
        said = [row.event["detail"] for row in trail(connection)]
    assert found == {study: "", other: "OTHER"}
    assert any(one.startswith("erased by") for one in said)
    assert "There is no study 1.2" in scanside("erase", "study", "1.2", "--yes").err


def test_erasing_a_patient(scanside: Scanside, home: Home, settings: Settings) -> None:
    """Every study of that Patient ID."""
    for number in range(2):
        decided(home, settings, str(number), PatientID="GONE", StudyInstanceUID=uid(f"of one {number}"))
    (row,) = scanside("erase", "patient", "GONE", "--yes", "--json").rows
    assert len(row["studies"]) == 2
    assert kept(home) == []
    ended = scanside("erase", "patient", "GONE", "--yes")
    assert (ended.status, ended.err) == (1, "No study on this box has that Patient ID.\n")


def test_what_is_on_its_way_is_not_erased(scanside: Scanside, home: Home, settings: Settings) -> None:
    """Somebody may be sending it just now."""
    temporary = home.spool.temporary()
    with home.spool.content(temporary).open("wb") as file:
        file.write(as_bytes(image()))
    admission = Admission(home.engine, home.spool, settings.limits, settings.dicom)
    _, study = admission.admit(temporary, "SCANNER", NOW)
    assert "wait until it is decided" in scanside("erase", "study", study, "--yes").err
    assert len(kept(home)) == 1


def test_erasing_asks_first(
    scanside: Scanside, home: Home, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says no has erased nothing."""
    study = decided(home, settings)
    monkeypatch.setattr(sys, "stdin", StringIO("n\n"))
    assert scanside("erase", "study", study).status == 1
    assert kept(home)


def test_erasing_the_box(scanside: Scanside, home: Home, settings: Settings, config: Path, tmp_path: Path) -> None:
    """Everything in the home; a key elsewhere is named, and opens nothing any more."""
    decided(home, settings)
    safe = tmp_path / "safe.key"
    scanside("keys", "add", str(safe))
    config.write_text(config.read_text() + f'[at_rest]\nkey_file = "{safe}"\n')
    home.engine.dispose()
    (row,) = scanside("erase", "box", "--yes", "--json").rows
    assert row == {"erased": str(settings.home), "left": str(safe)}
    assert list(settings.home.iterdir()) == []


def test_a_box_without_encryption_is_not_erased_by_its_key(scanside: Scanside, config: Path) -> None:
    """Said, with what does help."""
    config.write_text(config.read_text() + "[at_rest]\nencrypt = false\n")
    open_home(Settings.model_validate({"home": config.parent / "box", "at_rest": {"encrypt": False}})).engine.dispose()
    ended = scanside("erase", "box", "--yes")
    assert (ended.status, "Wipe its disk" in ended.err) == (1, True)
