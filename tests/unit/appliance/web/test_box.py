"""Packs, devices, processes, disk and what was set aside."""

from __future__ import annotations

from pathlib import Path

from appliance.disk.tables import disk_room
from appliance.schema import devices, processes, set_aside
from appliance.web.box import (
    MOST_SET_ASIDE,
    PackView,
    device_views,
    process_views,
    set_aside_view,
    storage,
    take_surroundings,
)
from store_forward.database import reading
from tests.unit.appliance.web.rows import NOW, Rows


def test_the_spool_is_counted_and_a_bad_pack_is_named(rows: Rows, tmp_path: Path) -> None:
    """Objects and bytes as they lie on disk; a folder that is no pack is shown with its repair."""
    bad = tmp_path / "packs" / "broken"
    bad.mkdir(parents=True)
    (bad / "manifest.json").write_text("{}")
    rows.configure(tmp_path, triage={"packs": tmp_path / "packs"})
    rows.spool.keep_bytes(b"12345")
    rows.spool.keep_bytes(b"1234567")
    around = take_surroundings(rows.settings, rows.spool)
    assert (around.spool_objects, around.spool_bytes, around.spool_counted_whole) == (2, 12, True)
    assert [one.pack for one in around.rejected] == ["broken"]
    assert all((one.why, one.repair) for one in around.rejected)


def test_devices_of_packs_in_use_with_the_chosen_one_first(rows: Rows) -> None:
    """One that fell back comes last, one of a pack that is gone not at all."""
    for digest, device, latency, chosen in [
        ("a", "openvino:GPU", None, False), ("a", "onnxruntime:CPU", 3.0, False),
        ("a", "openvino:CPU", 4.0, True), ("gone", "openvino:CPU", 1.0, True),
    ]:  # fmt: skip
        rows.put(devices, pack_digest=digest, device=device, pack="p", latency_ms=latency, chosen=chosen,
                 measured_at=NOW)  # fmt: skip
    with reading(rows.engine) as conn:
        views = device_views(conn, [PackView("p", "1", "a", ("x",), "research")])
    assert [view.device for view in views] == ["openvino:CPU", "onnxruntime:CPU", "openvino:GPU"]


def test_a_process_that_stopped_beating_is_silent(rows: Rows) -> None:
    """Its last state alone would lie."""
    for name, ago in (("receiver", 1.0), ("triage", 300.0)):
        rows.put(processes, name=name, pid=1, state="running", started_at=0.0, beat_at=NOW - ago)
    with reading(rows.engine) as conn:
        assert [(one.name, one.silent) for one in process_views(conn, NOW)] == [
            ("receiver", False),
            ("triage", True),
        ]


def test_what_was_set_aside_is_counted_and_the_latest_shown(rows: Rows) -> None:
    """The list is bounded, the number is not hidden."""
    for number in range(MOST_SET_ASIDE + 3):
        rows.put(set_aside, file_digest=str(number), reason="cannot_understand", source="folder", received_at=NOW)
    with reading(rows.engine) as conn:
        view = set_aside_view(conn)
    assert view.number == MOST_SET_ASIDE + 3
    assert len(view.latest) == MOST_SET_ASIDE
    assert view.latest[0].file_digest == str(MOST_SET_ASIDE + 2)


def test_the_page_knows_at_which_level_the_receiver_is(rows: Rows, tmp_path: Path) -> None:
    """A little above the floor it may still refuse: the page says what it does, not what a fresh look would."""
    free = rows.spool.free_bytes()
    rows.configure(tmp_path, limits={"free_disk_floor_bytes": round(free * 0.95), "free_disk_warn_bytes": 4 * free})
    rows.put(disk_room, name="spool", room="full", since=NOW, free_bytes=1)
    with reading(rows.engine) as conn:
        assert storage(conn, rows.settings, rows.spool).room == "full"


def test_storage_names_the_floor(rows: Rows, tmp_path: Path) -> None:
    """Free space and the floor below which nothing is taken in."""
    rows.configure(tmp_path, limits={"free_disk_floor_bytes": 77})
    with reading(rows.engine) as conn:
        disk = storage(conn, rows.settings, rows.spool)
    assert (disk.floor_bytes, disk.bulk_bytes, disk.warn_bytes, disk.room) == (77, 154, 308, "plenty")
    assert 0 < disk.free_bytes <= disk.total_bytes
