"""The receiver's level of free disk, for every other process and over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from appliance.disk.room_watch import RoomWatch
from appliance.disk.tables import disk_room
from appliance.settings import Limits
from store_forward.room import Marks, Room
from store_forward.spool import Spool
from tests.small_box import NOW, SmallBox


class FreeSpool(Spool):
    """A spool on a disk with as much free space as a test says."""

    free = 10_000

    def free_bytes(self) -> int:
        """What the test says."""
        return self.free


@pytest.fixture
def spool(tmp_path: Path) -> FreeSpool:
    """Its marks are 1,000, 2,000 and 4,000 bytes."""
    return FreeSpool(tmp_path / "disk", 1000, 2000, 4000)


def test_only_a_change_is_written(box: SmallBox, spool: FreeSpool, capsys: pytest.CaptureFixture[str]) -> None:
    """One row with its time, and one line of the log each time."""
    watch = RoomWatch(box.engine, spool)
    assert watch.look(NOW) is Room.PLENTY
    assert box.rows(disk_room) == []
    for second, free in enumerate((3000, 2500, 500, 1100)):
        spool.free = free
        watch.look(NOW + second)
    assert box.rows(disk_room) == [("spool", "full", NOW + 2, 500)]
    assert capsys.readouterr().out.count("disk.room") == 2


def test_a_restart_does_not_open_the_door_early(box: SmallBox, spool: FreeSpool) -> None:
    """Within the margin a full disk stays full for the next receiver too."""
    spool.free = 500
    RoomWatch(box.engine, spool).look(NOW)
    again = FreeSpool(spool.root, 1000, 2000, 4000)
    again.free = 1100
    watch = RoomWatch(box.engine, again)
    assert watch.look(NOW + 1) is Room.FULL
    again.free = 5000
    assert watch.look(NOW + 2) is Room.PLENTY
    assert box.rows(disk_room)[0].room == "plenty"


def test_the_marks_follow_the_floor_unless_given() -> None:
    """Twice and four times."""
    assert Limits(free_disk_floor_bytes=10).free_disk == Marks(40, 20, 10)
    given = Limits(free_disk_floor_bytes=10, free_disk_bulk_bytes=11, free_disk_warn_bytes=12)
    assert given.free_disk == Marks(12, 11, 10)


@pytest.mark.parametrize(
    ("bulk", "warn", "names"),
    [(5, None, "free_disk_bulk_bytes"), (None, 15, "free_disk_warn_bytes"), (30, 25, "free_disk_warn_bytes")],
)
def test_marks_out_of_order_are_told_at_start(bulk: int | None, warn: int | None, names: str) -> None:
    """Named, instead of a warning that comes after the refusal."""
    with pytest.raises(ValidationError, match=names):
        Limits(free_disk_floor_bytes=10, free_disk_bulk_bytes=bulk, free_disk_warn_bytes=warn)
