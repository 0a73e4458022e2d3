"""The keys of a home: who opens it, who no longer does, and what is done about a lost file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from store_forward.database import open_database, writing
from store_forward.errors import DatabaseUnusable, KeyUnusable
from store_forward.keys import forget, is_sealed, key_id, let_open, make_keys, new_key, open_keys, openers, shut_out

KEY, OTHER = new_key(), new_key()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with keys."""
    make_keys(tmp_path, KEY)
    return tmp_path


def test_a_home_opens_with_its_key_alone(home: Path) -> None:
    """Twice to the same, and the message names keys by their ids only."""
    assert is_sealed(home)
    assert open_keys(home, KEY).database == open_keys(home, KEY).database
    with pytest.raises(KeyUnusable, match=key_id(OTHER)) as raised:
        open_keys(home, OTHER)
    assert KEY.hex() not in str(raised.value)
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.iterdir())


def test_a_home_keeps_its_keys(home: Path) -> None:
    """To make them again changes nothing, whoever asks."""
    before = open_keys(home, KEY).database
    make_keys(home, OTHER)
    assert open_keys(home, KEY).database == before
    assert openers(home) == (key_id(KEY),)


def test_of_several_who_make_them_one_does(tmp_path: Path) -> None:
    """All processes of a box then open the same."""
    threads = [threading.Thread(target=make_keys, args=(tmp_path, KEY)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {open_keys(tmp_path, KEY).database for _ in range(3)} == {open_keys(tmp_path, KEY).database}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.copy.json", "keys.json"]


def test_another_key_may_open_it_and_be_shut_out(home: Path) -> None:
    """What it opens stays the same; the one in use is never shut out by itself."""
    let_open(home, KEY, OTHER)
    assert open_keys(home, OTHER).database == open_keys(home, KEY).database
    shut_out(home, OTHER, frozenset({key_id(KEY), key_id(OTHER)}))
    assert openers(home) == (key_id(OTHER),)
    with pytest.raises(KeyUnusable):
        open_keys(home, KEY)
    with pytest.raises(KeyUnusable):
        let_open(home, KEY, new_key())


@pytest.mark.parametrize("lost", ["keys.json", "keys.copy.json"])
@pytest.mark.parametrize("how", ["gone", "torn", "of another time"])
def test_the_copy_stands_in(home: Path, lost: str, how: str) -> None:
    """And the lost one is put right."""
    before, whole = open_keys(home, KEY).database, (home / lost).read_bytes()
    if how == "gone":
        (home / lost).unlink()
    elif how == "torn":
        (home / lost).write_bytes(whole[:40])
    else:
        let_open(home, KEY, OTHER)
        (home / "keys.copy.json").write_bytes(whole)  # a crash between the two
    assert open_keys(home, KEY).database == before
    assert (home / "keys.json").read_bytes() == (home / "keys.copy.json").read_bytes()


def test_without_both_nothing_opens_it(home: Path) -> None:
    """Said with what to do."""
    for name in ("keys.json", "keys.copy.json"):
        (home / name).write_bytes(b"{}")
    with pytest.raises(KeyUnusable, match="Restore"):
        open_keys(home, KEY)


def test_altered_keys_are_refused(home: Path) -> None:
    """A slot under a name it was not made for."""
    for name in ("keys.json", "keys.copy.json"):
        content = (home / name).read_text()
        (home / name).write_text(content.replace(key_id(KEY), key_id(OTHER)))
    with pytest.raises(KeyUnusable, match="altered"):
        open_keys(home, OTHER)


def test_forgotten_is_forgotten(home: Path) -> None:
    """Also what a disk keeps of a deleted file is of no use."""
    files = {path: path.open("rb") for path in home.iterdir()}
    before = {path: file.read() for path, file in files.items()}
    forget(home)
    assert not is_sealed(home)
    for path, file in files.items():
        file.seek(0)
        assert file.read() != before[path]
        assert len(before[path]) == file.tell()
        file.close()
    forget(home)


def test_the_database_opens_with_its_key_alone(home: Path) -> None:
    """No page of it, and none of its log, can be read otherwise."""
    path, key = home / "box.db", open_keys(home, KEY).database
    engine = open_database(path, key)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE patients (name TEXT)"))
        connection.execute(text("INSERT INTO patients VALUES ('DOE^JANE')"))
    for file in home.glob("box.db*"):
        assert b"DOE^JANE" not in file.read_bytes()
        assert b"SQLite format" not in file.read_bytes()
    engine.dispose()
    for wrong in (new_key(), None):
        with pytest.raises(DatabaseUnusable):
            open_database(path, wrong)
    engine = open_database(path, key)
    with writing(engine) as connection:
        assert connection.execute(text("SELECT name FROM patients")).scalar() == "DOE^JANE"
    engine.dispose()


def test_a_page_that_was_changed_on_the_disk_is_not_read(home: Path) -> None:
    """One bit in the middle of a row: SQLCipher's code over the page no longer fits, so nobody is told what it says."""
    path, key = home / "box.db", open_keys(home, KEY).database
    engine = open_database(path, key)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE decisions (study TEXT, decision TEXT)"))
        connection.execute(text("INSERT INTO decisions VALUES ('1.2.3', 'urgent')"))
    engine.dispose()
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)
    engine = open_database(path, key)
    with pytest.raises(DBAPIError), writing(engine) as connection:
        connection.execute(text("SELECT decision FROM decisions")).all()
    engine.dispose()
