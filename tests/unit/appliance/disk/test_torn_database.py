"""A database file that is torn, cut, emptied or gone: the box starts, and every image it held has its row again."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from appliance.box_key import home_keys
from appliance.disk import upkeep
from appliance.disk.database_file import DATABASE, HomeInUse, damage, home_lock, set_aside_database
from appliance.disk.tables import quarantined, take_ups
from appliance.disk.take_up import SOURCE
from appliance.disk.upkeep import Upkeep, prepare_home
from appliance.errors import ReceiveError
from appliance.home import Home
from appliance.schema import instances, set_aside, studies
from appliance.settings import Limits, Settings
from store_forward.database import reading, writing
from tests.dicom_factory import uid
from tests.small_box import NOW, SmallBox, image

STUDIES = 12


def overwrite_pages(path: Path) -> None:
    """Half of the pages, from the middle on, hold something else."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xa5" * (size // 2))


def cut(path: Path) -> None:
    """The second half is gone."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def overwrite_header(path: Path) -> None:
    """It is no database at all."""
    with path.open("r+b") as file:
        file.write(b"no database ")


def empty(path: Path) -> None:
    """A file of no length, which SQLite takes for a new database."""
    path.write_bytes(b"")


TEARS: list[Callable[[Path], None]] = [overwrite_pages, cut, overwrite_header, empty, Path.unlink]


@pytest.fixture
def full(box: SmallBox) -> SmallBox:
    """A closed box with studies, one thing set aside, and a picture that the box made."""
    for number in range(STUDIES):
        box.admit(image(seed=str(number)))
    with pytest.raises(ReceiveError):
        box.admit(b"not dicom")
    box.spool.keep_bytes(b"\x89PNG\r\n\x1a\n a picture of ours")
    box.close()
    return box


def start(box: SmallBox, stop: threading.Event | None = None) -> Home:
    """What ``serve`` and then the receiver do about the disk."""
    home = prepare_home(box.settings)
    Upkeep(home, box.settings).run(stop or threading.Event())
    return home


def rows(home: Home) -> set[str]:
    """The images that have a row, each of which has its file."""
    with reading(home.engine) as connection:
        found = connection.execute(instances.select()).all()
    assert all(home.spool.verify(row.file_digest) for row in found)
    return {row.sop_instance_uid for row in found}


def key_of(box: SmallBox) -> bytes:
    """What the box's database is encrypted with."""
    keys = home_keys(box.settings)
    assert keys is not None
    return keys.database


EVERY = {uid(f"instance {number}") for number in range(STUDIES)}


@pytest.mark.parametrize("tear", TEARS, ids=lambda tear: tear.__name__)
def test_every_image_has_its_row_again(full: SmallBox, tear: Callable[[Path], None]) -> None:
    """And every study, and what was set aside; what was damaged is kept whole, with its reason."""
    path = full.home.folder / DATABASE
    whole = path.stat().st_size
    tear(path)
    torn = path.read_bytes() if path.exists() else b""
    home = start(full)
    assert rows(home) == EVERY
    with reading(home.engine) as connection:
        assert len(connection.execute(studies.select()).all()) == STUDIES
        assert [row.reason for row in connection.execute(set_aside.select())] == ["cannot_understand"]
        (taken,) = connection.execute(take_ups.select()).all()
        assert {row.source for row in connection.execute(instances.select())} == {SOURCE}
    assert (taken.taken, taken.put_away, taken.done_at is not None) == (STUDIES + 1, 1, True)
    home.engine.dispose()
    if torn:
        (kept,) = (full.home.folder / "quarantine").glob(f"*/{DATABASE}")
        assert kept.read_bytes() == torn
        assert "the database was damaged" in (kept.parent / "reason.txt").read_text()
        assert whole
    assert damage(full.home.folder, key_of(full), thorough=True) is None


def test_a_whole_database_is_left_alone(full: SmallBox) -> None:
    """A start changes nothing."""
    home = start(full)
    with reading(home.engine) as connection:
        assert connection.execute(take_ups.select()).all() == []
        assert len(connection.execute(instances.select()).all()) == STUDIES
    home.engine.dispose()
    assert not (full.home.folder / "quarantine").exists()


def test_a_new_box_has_nothing_to_take_up(full: SmallBox, tmp_path: Path) -> None:
    """An empty spool with an empty database is a first start."""
    home = prepare_home(Settings(home=tmp_path / "new"))
    with reading(home.engine) as connection:
        assert connection.execute(take_ups.select()).all() == []
    home.engine.dispose()


def test_a_take_up_that_was_cut_short_goes_on(full: SmallBox) -> None:
    """The first start is stopped at once; the next one finishes, and new results of the box are left alone."""
    overwrite_header(full.home.folder / DATABASE)
    stop = threading.Event()
    stop.set()
    home = start(full, stop)
    assert rows(home) == set()
    ours = home.spool.keep_bytes(b"\x89PNG\r\n\x1a\n made since")
    home.engine.dispose()
    home = start(full)
    assert rows(home) == EVERY
    assert home.spool.verify(ours.digest)
    home.engine.dispose()


def test_an_object_that_is_damaged_too_is_put_away(full: SmallBox) -> None:
    """Its bytes cannot be vouched for; the others are taken up."""
    overwrite_header(full.home.folder / DATABASE)
    bad = full.spool.path(full.spool.keep_bytes(b"was whole").digest)
    bad.write_bytes(b"is not")
    home = start(full)
    assert rows(home) == EVERY
    with reading(home.engine) as connection:
        assert [(row.digest, row.reason) for row in connection.execute(quarantined.select())] == [(bad.name, "damaged")]
    home.engine.dispose()
    assert [path.read_bytes() for path in (full.home.folder / "quarantine").glob(f"{bad.name}.*Z")] == [b"is not"]


def test_a_disk_at_its_floor_does_not_hold_it_up(full: SmallBox) -> None:
    """What lies in the spool already needs no room."""
    overwrite_header(full.home.folder / DATABASE)
    full.settings = Settings(home=full.home.folder, limits=Limits(free_disk_floor_bytes=1 << 60))
    home = start(full)
    assert rows(home) == EVERY
    home.engine.dispose()


def test_a_disk_that_refuses_is_asked_again(full: SmallBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reception does not go down with it; the second try finishes."""
    overwrite_header(full.home.folder / DATABASE)
    monkeypatch.setattr(upkeep, "_PAUSE_S", 0.0)
    link = os.link
    refused: list[Path] = []

    def refuse_once(source: Path, target: Path) -> None:
        if not refused:
            refused.append(source)
            raise OSError(errno.EIO, "Input/output error")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse_once)
    home = start(full)
    assert rows(home) == EVERY
    assert refused
    home.engine.dispose()


def test_the_log_goes_with_its_database(full: SmallBox) -> None:
    """A new database beside an old log would be filled from it."""
    folder = full.home.folder
    overwrite_header(folder / DATABASE)
    (folder / f"{DATABASE}-wal").write_bytes(b"log")
    place = set_aside_database(folder, "test", NOW)
    assert {path.name for path in place.iterdir()} == {DATABASE, f"{DATABASE}-wal", "reason.txt"}
    assert not list(folder.glob(f"{DATABASE}*"))


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_while_it_is_set_aside(full: SmallBox, monkeypatch: pytest.MonkeyPatch, renames: int) -> None:
    """Whatever had been moved by then, the next start moves the rest: no database is used without its log."""

    class Killed(BaseException):
        """The process ends here."""

    folder = full.home.folder
    overwrite_header(folder / DATABASE)
    (folder / f"{DATABASE}-wal").write_bytes(b"log")
    rename = Path.rename
    done: list[Path] = []

    def dying(path: Path, target: Path) -> Path:
        if len(done) == renames:
            raise Killed
        done.append(path)
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", dying)
        with pytest.raises(Killed):
            set_aside_database(folder, "test", NOW)
    assert damage(folder, thorough=False) == "it is being set aside already"
    home = start(full)
    assert rows(home) == EVERY
    home.engine.dispose()
    (place,) = (folder / "quarantine").glob("*-database")
    assert {path.name for path in place.iterdir()} == {DATABASE, f"{DATABASE}-wal", "reason.txt"}


def test_a_running_box_keeps_its_database(full: SmallBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two starts on one home folder: the second is told, and moves nothing; the processes of one box share it."""
    folder = full.home.folder
    overwrite_header(folder / DATABASE)
    with home_lock(folder, alone=False), home_lock(folder, alone=False):
        monkeypatch.setattr(upkeep, "home_lock", partial(home_lock, wait_s=0.0))
        with pytest.raises(HomeInUse, match="Stop it first"):
            prepare_home(full.settings)
    assert (folder / DATABASE).exists()


def test_another_version_is_no_damage(full: SmallBox) -> None:
    """It is refused as before, and stays where it is."""
    with writing(full.engine) as connection:
        connection.execute(text("PRAGMA user_version = 99"))
    full.close()
    assert damage(full.home.folder, key_of(full), thorough=True) is None
