"""What each supervised process does: it beats, works, ends when told, and fails aloud."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import _config
from sqlalchemy import text, update
from structlog.testing import capture_logs

from appliance import packs, process
from appliance.demo.stage import free_port, listening
from appliance.disk.tables import deletions
from appliance.process import PROCESSES, run_process
from appliance.schema import instances, processes, studies
from store_forward.database import writing
from tests.dicom_factory import as_file
from tests.full_disk import no_file_may_grow
from tests.listening_box import Scanner, listening_boxes, wait_until
from tests.small_box import NOW, MakeBox, SmallBox, image


@contextmanager
def running(name: str, box: SmallBox) -> Iterator[tuple[threading.Event, list[BaseException]]]:
    """One process of the box, in a thread; the list gets what it ends with."""
    stop, ended = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            run_process(name, box.settings, stop)
        except SystemExit as exit_:
            ended.append(exit_)

    thread = threading.Thread(target=run)
    with listening_boxes():  # undoes what a receiver sets for its whole process
        thread.start()
        try:
            yield stop, ended
        finally:
            stop.set()
            thread.join(20.0)
            assert not thread.is_alive()


def test_the_four_processes() -> None:
    """As the design names them."""
    assert set(PROCESSES) == {"receiver", "triage", "uplink", "web"}


def test_the_receiver_receives_and_beats(make_box: MakeBox) -> None:
    """An instance is taken, and the process has said that it lives."""
    box = make_box(dicom={"port": free_port()})
    with running("receiver", box):
        wait_until(lambda: listening(box.settings.dicom.port), "the receiver")
        (answer,) = Scanner(box.settings.dicom.port).send(image())
        assert answer.Status == 0x0000
        wait_until(lambda: box.count(processes) == 1, "a beat")
        (row,) = box.rows(processes)
        assert (row.name, row.state, row.restarts) == ("receiver", "running", 0)
        assert row.pid > 0
    assert not listening(box.settings.dicom.port)
    assert _config.STORE_RECV_CHUNKED_DATASET is False


def test_a_process_beats_on_when_the_disk_takes_writes_again(box: SmallBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that could not grow for a while leaves no process that works and looks dead."""
    monkeypatch.setattr(process, "BEAT_S", 0.05)
    with capture_logs() as logged, running("uplink", box):
        wait_until(lambda: box.count(processes) == 1, "a beat")
        with no_file_may_grow((box.home.folder / "scanside.db-wal").stat().st_size):
            wait_until(lambda: any(entry["event"] == "beat.missed" for entry in logged), "a missed beat")
        (missed,) = box.rows(processes)
        wait_until(lambda: box.rows(processes)[0].beat_at > missed.beat_at, "the next beat")


def test_the_receiver_watches_the_folder(make_box: MakeBox, tmp_path: object) -> None:
    """One process takes in both ways."""
    box = make_box(dicom={"port": free_port()}, watched_folder={"path": f"{tmp_path}/drop", "settle_s": 0})
    folder = box.settings.watched_folder.path
    assert folder is not None
    with running("receiver", box):
        as_file(image(), folder / "a.dcm")
        wait_until(lambda: box.count(instances) == 1, "the file")


def test_the_triage_process_deletes_what_may_go(
    make_box: MakeBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two studies, by itself."""
    monkeypatch.setattr(packs, "SHIPPED", tmp_path / "no packs")
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)  # this process is not the worker's own
    box = make_box(retention={"keep_days": 0})
    box.receive(image())
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(state="settled", settled_at=NOW))
    stop = threading.Event()

    def watch() -> None:
        try:
            wait_until(lambda: [row.state for row in box.rows(deletions)] == ["removed"], "the deletion")
        finally:
            stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run_process("triage", box.settings, stop)  # signals want the main thread
    watcher.join()
    assert not [path for path in (box.spool.root / "objects").rglob("*") if path.is_file()]


def test_the_web_process_serves_and_stops(make_box: MakeBox) -> None:
    """The page listens until told to stop."""
    box = make_box(page={"port": free_port()})
    with running("web", box):
        wait_until(lambda: listening(box.settings.page.port), "the page")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", ["uplink", "receiver"])
def test_a_thread_that_breaks_ends_the_process(make_box: MakeBox, tmp_path: object, name: str) -> None:
    """A lane or a folder watch whose database is broken is not left dead in a process that looks alive."""
    pacs = [{"name": "archive", "host": "127.0.0.1", "port": 1, "ae_title": "A"}]
    watched = {"path": f"{tmp_path}/drop", "settle_s": 0}
    box = make_box(dicom={"port": free_port()}, pacs=pacs, watched_folder=watched)
    with writing(box.engine) as connection:
        for table in ("delivery_events", "deliveries"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("CREATE TABLE deliveries (id INTEGER)"))
        connection.execute(text("DROP TABLE set_aside"))
        connection.execute(text("CREATE TABLE set_aside (id INTEGER)"))
    folder = box.settings.watched_folder.path
    assert folder is not None
    as_file(image(), folder / "a.dcm")
    (folder / "b.dcm").write_bytes(b"not dicom")
    break_release(box) if name == "receiver" else None
    with running(name, box) as (stop, ended):
        wait_until(stop.is_set, "the process to end itself")
        wait_until(lambda: len(ended) == 1, "its exit")
    (exit_,) = ended
    assert isinstance(exit_, SystemExit)
    assert exit_.code == 1


def break_release(box: SmallBox) -> None:
    """Make the end of a folder scan fail, after its files were taken in."""
    with writing(box.engine) as connection:
        connection.execute(
            text(
                "CREATE TRIGGER broken BEFORE UPDATE OF completes_at ON studies WHEN old.instance_count = 1 "
                "AND new.instance_count = 1 BEGIN SELECT RAISE(ABORT, 'broken'); END"
            )
        )
