"""The digest of the state and the stream that sends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from appliance.pack_store import activate, install
from appliance.schema import devices, processes, set_aside, study_events
from appliance.web.box import Storage, storage_of
from appliance.web.live import LOOK_EVERY_S, REPEAT_AFTER_LOOKS, SURROUNDINGS_KEPT_S, Watch, changes, state_digest
from store_forward.database import reading, writing
from store_forward.outbox import record_contact
from store_forward.room import Marks
from tests.pack_archives import archive
from tests.unit.appliance.web.rows import NOW, Rows

ROOM = storage_of(100, 90, Marks(0, 0, 10))


def digest(rows: Rows, now: float = NOW, disk: Storage = ROOM) -> str:
    """The digest at ``now``."""
    with reading(rows.engine) as conn:
        return state_digest(conn, now, disk)


def contact(rows: Rows) -> None:
    """The link to the cloud goes down."""
    with writing(rows.engine) as conn:
        record_contact(conn, "cloud", "cloud", "down", "", NOW)


CHANGES: dict[str, Callable[[Rows], object]] = {
    "study arrives": lambda rows: rows.study("2", ago_s=1.0),
    "study changes state": lambda rows: rows.change("1", state="complete"),
    "study event": lambda rows: rows.put(study_events, study_instance_uid="1", at=NOW, kind="x"),
    "delivery": lambda rows: rows.delivery("1", "report", "pacs-main"),
    "link": contact,
    "set aside": lambda rows: rows.put(set_aside, file_digest="a", reason="r", source="s", received_at=NOW),
    "process": lambda rows: rows.put(processes, name="x", pid=1, state="s", started_at=NOW, beat_at=NOW),
    "device": lambda rows: rows.put(devices, pack_digest="a", device="d", pack="p", measured_at=NOW),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_changes_the_digest(rows: Rows, name: str) -> None:
    """What the page shows and what the digest covers must not drift apart."""
    rows.study("1")
    before = digest(rows)
    assert digest(rows) == before
    CHANGES[name](rows)
    assert digest(rows) != before


def test_a_beat_is_no_change_but_its_absence_is(rows: Rows) -> None:
    """Processes beat all the time; the page must not flicker with them."""
    rows.put(processes, name="x", pid=1, state="s", started_at=NOW, beat_at=NOW)
    start = (NOW // 60) * 60
    first = digest(rows, start)
    with writing(rows.engine) as conn:
        conn.execute(processes.update().values(beat_at=start + 5))
    assert digest(rows, start + 6) == first
    assert digest(rows, start + 50) != first


def test_ages_and_a_full_disk_change_the_digest(rows: Rows) -> None:
    """Ages are shown to the minute."""
    assert digest(rows, NOW) != digest(rows, NOW + 60)
    assert digest(rows) != digest(rows, disk=storage_of(100, 5, Marks(0, 0, 10)))


def test_many_watchers_cost_one_look(rows: Rows) -> None:
    """Within the interval everybody gets the same answer, also after the clock was set back."""
    watch = Watch(rows.settings, rows.engine, rows.spool, lambda: rows.now)
    first, around = watch.digest(), watch.surroundings()
    rows.study("1", "urgent", ago_s=0.0)
    rows.spool.keep_bytes(b"new")
    rows.now += LOOK_EVERY_S / 2
    assert (watch.digest(), watch.surroundings()) == (first, around)
    rows.now = NOW + LOOK_EVERY_S
    assert watch.digest() != first
    rows.now = NOW + SURROUNDINGS_KEPT_S
    assert watch.surroundings().spool_objects == around.spool_objects + 1
    rows.spool.keep_bytes(b"newer")
    rows.now = NOW - 1000.0
    assert watch.surroundings().spool_objects == around.spool_objects + 2


def test_an_activation_is_seen_at_once(rows: Rows, tmp_path: Path) -> None:
    """The page does not go on showing the pack that read before."""
    watch = Watch(rows.settings, rows.engine, rows.spool, lambda: rows.now)
    before = watch.surroundings()
    new = install(archive(tmp_path / "new.scanpack", name="new"), rows.settings).pack
    assert watch.surroundings() is before
    activate("new", rows.settings)
    assert {one.digest for one in watch.surroundings().packs} - {one.digest for one in before.packs} == {new.digest}


def test_the_stream_sends_changes_and_repeats_itself_when_quiet() -> None:
    """At once, on change, and again after a quiet while, so that the reader can tell quiet from broken."""
    looks = ["a", "a", "b"] + ["b"] * REPEAT_AFTER_LOOKS
    pauses: list[float] = []

    async def read() -> list[tuple[int, object]]:
        seen = iter(looks)

        async def look() -> str:
            return next(seen, "end")

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        sent: list[tuple[int, object]] = []
        async for event in changes(look, pause):
            sent.append((len(pauses), event.data))
            if event.data == "end":
                break
        return sent

    assert anyio.run(read) == [(0, "a"), (2, "b"), (2 + REPEAT_AFTER_LOOKS, "b"), (3 + REPEAT_AFTER_LOOKS, "end")]
    assert set(pauses) == {LOOK_EVERY_S}
