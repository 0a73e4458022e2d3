"""A folder is taken in like an association: whole files, once, and nothing is removed before it is kept."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from appliance.ingest.watched_folder import SOURCE, WatchedFolder
from appliance.schema import StudyState, instances, set_aside, studies
from store_forward.room import Marks
from store_forward.spool import Spool
from tests.dicom_factory import as_bytes, as_file, uid
from tests.listening_box import wait_until
from tests.media import write_medium
from tests.small_box import NOW, MakeBox, SmallBox, image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to drop files into."""
    made = tmp_path / "drop"
    made.mkdir()
    return made


def watch(box: SmallBox, folder: Path, settle_s: float = 1.0) -> WatchedFolder:
    """The watcher of ``folder``."""
    return WatchedFolder(folder, settle_s, box.admission, box.spool)


def test_a_file_is_taken_when_it_has_stopped_changing(box: SmallBox, folder: Path) -> None:
    """Not at first sight: somebody may still be copying it."""
    path = as_file(image(), folder / "a.dcm")
    watched = watch(box, folder)
    assert watched.scan(NOW) == 0
    assert watched.scan(NOW + 0.9) == 0
    assert watched.scan(NOW + 1.0) == 1
    assert not path.exists()
    (row,) = box.rows(instances)
    assert (row.sop_instance_uid, row.source) == (uid("instance 0"), SOURCE)


def test_a_file_that_grows_starts_again(box: SmallBox, folder: Path) -> None:
    """A copy over a slow share is not taken half-way."""
    whole = as_bytes(image())
    path = folder / "a.dcm"
    path.write_bytes(whole[:500])
    watched = watch(box, folder)
    watched.scan(NOW)
    path.write_bytes(whole)
    assert watched.scan(NOW + 1.0) == 0
    assert watched.scan(NOW + 2.0) == 1
    assert box.count(set_aside) == 0


def test_the_study_is_released_at_once(box: SmallBox, folder: Path) -> None:
    """There is no association to wait for: the quiet time starts with the scan."""
    as_file(image(), folder / "a.dcm")
    watch(box, folder, settle_s=0).scan(NOW)
    assert box.study(uid("study 0")).completes_at == NOW + box.settings.dicom.quiet_time_s
    assert box.study(uid("study 0")).state == StudyState.RECEIVING


def test_subfolders_and_any_name(box: SmallBox, folder: Path) -> None:
    """A burnt CD is a tree of files without endings."""
    as_file(image(), folder / "DICOM" / "IM00001")
    as_file(image(seed="1"), folder / "DICOM" / "SUB" / "IM2")
    assert watch(box, folder, settle_s=0).scan(NOW) == 2
    assert box.count(studies) == 2


def test_what_is_no_instance_is_kept_aside_and_leaves_the_folder(box: SmallBox, folder: Path) -> None:
    """A file nobody can use is in the spool with its reason, and the others are taken all the same."""
    (folder / "a.txt").write_bytes(b"a letter")
    as_file(image(), folder / "b.dcm")
    assert watch(box, folder, settle_s=0).scan(NOW) == 2
    assert not any(path.is_file() for path in folder.rglob("*"))
    (aside,) = box.rows(set_aside)
    assert box.spool.file(aside.file_digest).read_bytes() == b"a letter"
    assert box.count(instances) == 1


def test_without_disk_room_files_stay_where_they_are(make_box: MakeBox, folder: Path) -> None:
    """Under the floor nothing is taken; the folder keeps what it has, and reading goes on when there is room."""
    full = make_box(limits={"free_disk_floor_bytes": 1 << 60})
    path = as_file(image(), folder / "a.dcm")
    assert watch(full, folder, settle_s=0).scan(NOW) == 0
    assert path.read_bytes() == as_bytes(image())
    assert not list(full.incoming.iterdir())
    roomy = make_box()
    assert watch(roomy, folder, settle_s=0).scan(NOW) == 1


def test_symbolic_links_are_not_followed(box: SmallBox, folder: Path, tmp_path: Path) -> None:
    """A link in the folder could point anywhere; what it points to is neither read nor removed."""
    target = as_file(image(), tmp_path / "elsewhere.dcm")
    (folder / "link.dcm").symlink_to(target)
    assert watch(box, folder, settle_s=0).scan(NOW) == 0
    assert target.exists()


def test_a_folder_that_is_not_there_holds_nothing(box: SmallBox, tmp_path: Path) -> None:
    """A share that is not mounted right now is no error."""
    assert watch(box, tmp_path / "unmounted").scan(NOW) == 0


def test_watching_ends_when_told(box: SmallBox, folder: Path) -> None:
    """The loop takes files in by itself and stops with its event."""
    stop = threading.Event()
    watched = watch(box, folder, settle_s=0)
    thread = threading.Thread(target=watched.watch, args=(stop, 0.01))
    thread.start()
    try:
        as_file(image(), folder.parent / "a.dcm").rename(folder / "a.dcm")
        wait_until(lambda: box.count(instances) == 1, "the file to be taken in")
    finally:
        stop.set()
        thread.join(10.0)
    assert not thread.is_alive()


def test_files_wait_as_soon_as_bulk_does(make_box: MakeBox, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They can wait where they lie; the receiver still takes images. Told once, and it goes on by itself."""
    box = make_box(limits={"free_disk_bulk_bytes": 1 << 60, "free_disk_warn_bytes": 1 << 60})
    path = as_file(image(), folder / "a.dcm")
    waiting = watch(box, folder, 0.0)
    assert [waiting.scan(NOW + second) for second in range(3)] == [0, 0, 0]
    assert path.exists()
    assert capsys.readouterr().out.count("folder.waiting") == 1
    box.admit(image(seed="by C-STORE"))
    roomy = WatchedFolder(folder, 0.0, box.admission, Spool(box.spool.root, 0, seal=box.spool.seal))
    assert roomy.scan(NOW) == 1


def medium(folder: Path) -> list[Path]:
    """A copied medium with two images of one study; returns where they lie."""
    study = uid("study 0")
    return sorted(write_medium(folder, image(), image(seed="1", StudyInstanceUID=study)).values())


def test_a_directory_goes_when_all_it_names_is_held(box: SmallBox, folder: Path) -> None:
    """It is an index of what came in, no image; and nothing is set aside."""
    medium(folder)
    watched = watch(box, folder, settle_s=0)
    watched.scan(NOW)
    watched.scan(NOW + 1)
    assert box.count(instances) == 2
    assert box.count(set_aside) == 0
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_directory_waits_for_what_is_still_being_copied(box: SmallBox, folder: Path, tmp_path: Path) -> None:
    """Each file that comes renews its patience."""
    first, second = medium(folder)
    patience_s = box.settings.dicom.association_timeout_s
    for number, path in enumerate((first, second)):
        path.rename(tmp_path / f"later {number}")
    watched = watch(box, folder, settle_s=0)
    watched.scan(NOW)
    (tmp_path / "later 0").rename(first)
    watched.scan(NOW + patience_s - 1)
    watched.scan(NOW + patience_s)
    (tmp_path / "later 1").rename(second)
    watched.scan(NOW + 2 * patience_s - 1)
    watched.scan(NOW + 2 * patience_s)
    assert box.count(instances) == 2
    assert box.count(set_aside) == 0
    assert not (folder / "DICOMDIR").exists()


def test_what_a_directory_names_and_never_comes_is_said(box: SmallBox, folder: Path) -> None:
    """The directory is set aside with the File IDs of what is missing."""
    lost, _ = medium(folder)
    lost.unlink()
    watched = watch(box, folder, settle_s=0)
    for after_s in (0, 1, box.settings.dicom.association_timeout_s + 1):
        watched.scan(NOW + after_s)
    (row,) = box.rows(set_aside)
    name = "/".join(lost.relative_to(folder).parts)
    assert row.reason == "media_incomplete"
    assert row.detail == f"1 of 2 files it names have not come in: {name}; copy them again"
    assert box.spool.verify(row.file_digest)
    assert not (folder / "DICOMDIR").exists()
    assert box.count(instances) == 1


def test_a_directory_does_not_lose_patience_on_a_full_disk(make_box: MakeBox, folder: Path) -> None:
    """Its files wait in the folder, so nothing is missing."""
    medium(folder)
    box = make_box()
    watched = watch(box, folder, settle_s=0)
    box.spool.marks = Marks(0, 0, 2**60)
    for after_s in (0, 1, 1000, 2000):
        watched.scan(NOW + after_s)
    box.spool.marks = Marks(0, 0, 0)
    watched.scan(NOW + 3000)
    watched.scan(NOW + 3001)
    assert (box.count(instances), box.count(set_aside)) == (2, 0)


def test_a_torn_directory_is_set_aside_like_any_file(box: SmallBox, folder: Path) -> None:
    """Nobody can say what it names."""
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM\x02\x00")
    watch(box, folder, settle_s=0).scan(NOW)
    (row,) = box.rows(set_aside)
    assert row.reason == "cannot_understand"
