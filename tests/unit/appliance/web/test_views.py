"""The whole state as values, and what it says needs a person."""

from __future__ import annotations

import json
from dataclasses import replace

from appliance.schema import NO_DEVICE, devices
from appliance.web.box import PackView, ProcessView, RejectedPack, Storage, Surroundings, storage_of
from appliance.web.deliveries import DestinationView
from appliance.web.views import StatusView, notices, status, status_dict
from store_forward.database import reading
from store_forward.room import Marks, Room
from tests.unit.appliance.web.rows import NOW, Rows

PACK = PackView("p", "1", "a", ("x",), "research")
AROUND = Surroundings(0, 0, True, (PACK,), ())
MARKS = Marks(warn_bytes=40, bulk_bytes=20, floor_bytes=10)
ROOM = storage_of(100, 90, MARKS)


def link(state: str = "up", configured: bool = True, waiting: int = 0, parked: int = 0) -> DestinationView:
    """A destination in some state since ten minutes."""
    return DestinationView("pacs", "pacs", configured, state, NOW - 600, None, "", waiting, 0, parked, None)


def said(
    *links: DestinationView, disk: Storage = ROOM, around: Surroundings = AROUND, procs: tuple[ProcessView, ...] = ()
) -> list[tuple[str, str]]:
    """The notices as pairs."""
    return [(one.severity, one.text) for one in notices(NOW, links, procs, disk, around)]


def read(rows: Rows) -> StatusView:
    """The state of the box."""
    with reading(rows.engine) as conn:
        return status(conn, rows.settings, rows.spool, NOW, surroundings=AROUND)


def test_a_box_in_order_needs_nobody() -> None:
    """No notice for its own sake."""
    assert said(link()) == []


def test_a_cut_link_is_a_note_and_says_that_nothing_is_lost() -> None:
    """Links are down for days here; that is no alarm."""
    ((severity, words),) = said(link("down", waiting=5))
    assert severity == "note"
    assert words == "pacs has been unreachable for 10 min; 5 kept safe here until it is back."


def test_problems_come_before_notes() -> None:
    """Whatever order they were found in."""
    silent = ProcessView("triage", 1, "running", 0.0, NOW - 120, 0, "", True)
    found = said(link("refused", parked=1), disk=storage_of(100, 30, MARKS), procs=(silent,))
    assert [severity for severity, _ in found] == ["problem", "problem", "note", "note"]
    assert found[0][1] == "The triage process has been silent for 2 min."


def test_a_full_disk_and_packs_are_problems() -> None:
    """Each says what to do."""
    around = Surroundings(0, 0, True, (), (RejectedPack("p", "it is torn", "Copy it again"),))
    texts = [words for _, words in said(disk=storage_of(100, 5, MARKS), around=around)]
    assert any("The disk is full" in words for words in texts)
    assert "Model pack p was refused: it is torn. Copy it again." in texts
    assert any("No model pack" in words for words in texts)


def test_each_level_of_the_disk_says_what_it_does() -> None:
    """A note while there is time, a problem once something waits, and when it goes on by itself."""
    severities = [said(disk=storage_of(100, free, MARKS))[0][0] for free in (30, 15, 5)]
    assert severities == ["note", "problem", "problem"]
    ((_, words),) = said(disk=storage_of(100, 10, MARKS, Room.FULL))
    assert words.endswith("Reception goes on by itself from 11 bytes; free some space.")


def test_deliveries_to_a_destination_taken_out_are_a_problem() -> None:
    """Nobody will ever carry them."""
    assert said(link("unknown", configured=False, waiting=2)) == [
        ("problem", "2 wait for pacs, which is no longer configured.")
    ]


def test_the_dictionary_is_json_without_a_patient(rows: Rows) -> None:
    """Also when the page itself shows patients."""
    rows.study("1", "urgent", patient_name="DOE^JANE", patient_id="77", accession_number="ACC", study_date="20261121")
    rows.study("2", None, patient_name="ROE^RICHARD")
    rows.finding("1", "pneumonia", 0.9)
    rows.delivery("1", "report", "pacs-main", "parked")
    written = json.dumps(status_dict(read(rows)))
    again = json.loads(written)
    assert again["worklist"]["rows"][0]["findings"][0]["name"] == "pneumonia"
    assert again["worklist"]["counts"]["urgent"] == 1
    assert again["destinations"][1]["parked"] == 1
    assert not any(private in written for private in ("DOE", "ROE", '77"', "ACC", "20261121"))


def test_the_state_tells_the_sqlite_version(rows: Rows) -> None:
    """Three numbers; an unsafe one would have been refused."""
    assert len(read(rows).sqlite_version.split(".")) == 3


def test_a_pack_that_cannot_run_here_is_a_problem(rows: Rows) -> None:
    """With what reads in its place, as the triage worker wrote it down; one of a pack that is gone is not."""
    for digest in ("a", "gone"):
        why = "nothing here can run it; tiny 1.0.0 reads instead"
        rows.put(devices, pack_digest=digest, device=NO_DEVICE, pack="tiny 2.0.0", detail=why, measured_at=NOW)
    around = replace(AROUND, packs=(PackView("tiny", "2.0.0", "a", ("x",), "tests"),))
    with reading(rows.engine) as conn:
        found = status(conn, rows.settings, rows.spool, NOW, surroundings=around).notices
    words = "Model pack tiny 2.0.0 cannot be used here: nothing here can run it; tiny 1.0.0 reads instead."
    assert [(one.severity, one.text) for one in found if "tiny" in one.text] == [("problem", words)]
