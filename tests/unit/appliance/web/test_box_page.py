"""The page of the box itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.machine.history import note_abilities, note_uses, uses_of
from appliance.machine.machine_tables import clock_jumps, machine_minutes
from appliance.packs import registry_of
from appliance.schema import NO_DEVICE, devices, processes
from appliance.web.box_page import day_plots
from appliance.web.live import MACHINE_KEPT_S
from appliance.web.plots import HEIGHT, WIDTH, plot_of
from appliance.web.wording import jump_words
from hardware.choice import Ability, Candidate
from store_forward.database import writing
from tests.unit.appliance.web.rows import NOW, Rows

MINUTE = int(NOW // 60)


def text_of(rows: Rows, path: str = "/box") -> str:
    """The page with its spaces made one."""
    answer = rows.client().get(path)
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def test_what_is_not_known_is_said_to_be_so(rows: Rows) -> None:
    """On a box that has just been made: no zero stands for what nobody knows."""
    text = text_of(rows)
    for words in (
        "Not measured on this box yet.", "Nothing is recorded yet", "Not asked yet", "No process has reported yet.",
        "It has not been set by more than a second",
    ):  # fmt: skip
        assert words in text


def test_a_pack_says_where_it_runs_and_why(rows: Rows) -> None:
    """The device in use with its reason, one that is slower, one that fell back, the self-test and the history."""
    pack = registry_of(rows.settings).packs("box")[0]
    for device, latency_ms, chosen, detail in (
        ("openvino:CPU", 3.0, True, ""), ("onnxruntime:CPU", 9.0, False, ""), ("fall-back 1", None, False, "no driver"),
    ):  # fmt: skip
        rows.put(devices, pack_digest=pack.digest, device=device, pack=pack.manifest.name, latency_ms=latency_ms,
                 chosen=chosen, detail=detail, measured_at=NOW)  # fmt: skip
    with writing(rows.engine) as conn:
        note_uses(conn, [pack], NOW - 3600)
        note_uses(conn, [pack], NOW)
        assert len(uses_of(conn, pack.manifest.name, 10)) == 1
        note_uses(conn, [replace(pack, digest="f" * 64)], NOW)
        assert [one.digest for one in uses_of(conn, pack.manifest.name, 10)] == ["f" * 64, pack.digest]
        note_abilities(conn, [Ability(Candidate("openvino", "CPU"), "A chip", ("INT8", "FP32"))])
    text = text_of(rows)
    for words in (
        "chosen: the fastest that is right", "right, but slower", "fell back", "no driver",
        "its golden set came out right on openvino:CPU", "reads here since", "INT8, FP32", "A chip",
    ):  # fmt: skip
        assert words in text


def test_a_pack_that_runs_nowhere_failed_its_self_test(rows: Rows) -> None:
    """In words that stand out."""
    pack = registry_of(rows.settings).packs("box")[0]
    rows.put(devices, pack_digest=pack.digest, device=NO_DEVICE, pack=pack.manifest.name, detail="why", measured_at=NOW)
    assert "its golden set came out right on no device" in text_of(rows)


def test_processes_are_shown_with_what_they_take(rows: Rows) -> None:
    """Only while they report: a number may be somebody else's by now."""
    rows.put(processes, name="web", pid=1, state="running", started_at=NOW, beat_at=NOW, restarts=3)
    rows.put(processes, name="triage", pid=1, state="running", started_at=NOW, beat_at=NOW - 900)
    text = text_of(rows)
    assert "15 min ago" in text
    assert "silent" in text


def test_jumps_of_the_clock_are_named(rows: Rows) -> None:
    """With their direction."""
    rows.put(clock_jumps, at=NOW, by_s=-7200.0)
    rows.put(clock_jumps, at=NOW, by_s=12.0)
    text = text_of(rows)
    assert "Set back by 2 h" in text
    assert "Set forward by 12 s" in text
    assert jump_words(75.0) == "1 min"


def test_the_last_day_is_drawn_with_its_gaps(rows: Rows) -> None:
    """Two lines where an hour is missing; a value alone is seen, too; nothing lies outside."""
    series = [
        *((MINUTE - 200 + n, 0.5) for n in range(60)),
        *((MINUTE - 60 + n, 0.1) for n in range(50)),
        (MINUTE, 1.0),
    ]
    plot = plot_of("CPU", series, NOW, lambda value: f"{value:.0%}", 1.0)
    assert (len(plot.lines), plot.latest, plot.highest, plot.top) == (3, "100%", "100%", "100%")
    points = [tuple(map(float, point.split(","))) for line in plot.lines for point in line.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert plot_of("CPU", [(MINUTE, None), (MINUTE - 2000, 0.4), (MINUTE + 9, 0.4)], NOW, str).lines == ()
    rows.put(machine_minutes, minute=MINUTE - 5, cpu_share=0.25, memory_used_bytes=10, latency_ms=4.0)
    text = text_of(rows)
    assert "<polyline" in text
    assert "25 %" in text
    assert "Temperature</span>" not in text


def test_a_plot_of_zeros_is_a_line_at_the_bottom() -> None:
    """And no division by nothing."""
    (line,) = plot_of("x", [(MINUTE - 1, 0.0), (MINUTE, 0.0)], NOW, str).lines
    assert {point.split(",")[1] for point in line.split()} == {f"{HEIGHT - 1:.1f}"}
    assert [one.lines for one in day_plots([], NOW, 100)] == [(), ()]


def test_the_card_of_a_pack_is_shown_as_text(rows: Rows) -> None:
    """Of packs in use, and of nothing else on the disk."""
    name = registry_of(rows.settings).packs("box")[0].manifest.name
    assert "Research use only, not for diagnosis" in text_of(rows, f"/packs/{name}/card")
    for other in ("none", "..%2f..", f"{name}-full"):
        assert rows.client().get(f"/packs/{other}/card").status_code == 404


@pytest.mark.parametrize("passed_s", [0.0, -100.0, MACHINE_KEPT_S])
def test_the_machine_is_read_anew_after_a_while(rows: Rows, passed_s: float) -> None:
    """However many look, and also after the clock was set back."""
    watch = rows.watch()
    first = watch.machine()
    rows.now += passed_s
    assert (watch.machine() is first) == (passed_s == 0.0)
