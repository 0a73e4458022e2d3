"""The page on quality: what it counts, how it is drawn, and that it stays fast."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from sqlalchemy import insert, text

from appliance.labels import labels
from appliance.schema import Agreement, studies
from appliance.web.box import PackView
from appliance.web.promise import Drift, promise_of
from appliance.web.quality import QualityRequest, QualityView, quality_view
from appliance.web.quality_counts import DAY_S, DAYS, WEEKS, Span, cells, count_days
from appliance.web.quality_drift import drift_words
from models.registry import SHIPPED, Registry
from store_forward.database import reading, writing
from tests.unit.appliance.web.rows import NOW, Rows
from tests.unit.appliance.web.test_promise import COUNTS

PACK: dict[str, Any] = {"pack": "chest", "pack_version": "1.0.0", "lines_set_by": "", "instance_count": 1}
PACKS = (PackView("chest", "1.0.0", "a" * 64, ("x",), "tests", promise_of({"calibration": COUNTS}, 0.02, 0.93)),)


def decided(rows: Rows, uid: str, decision: str, ago_days: float = 0.1, **values: Any) -> None:
    """A study decided some days before NOW."""
    at = NOW - ago_days * DAY_S
    rows.study(uid, decision, ago_s=ago_days * DAY_S, decided_at=at, **(PACK | values))


def view(rows: Rows, span: Span = DAYS, pack: str | None = None, scanner: str | None = None) -> QualityView:
    """What the page shows of this box."""
    with reading(rows.engine) as conn:
        return quality_view(conn, QualityRequest(span, pack, scanner), PACKS, NOW)


def test_each_study_counts_once(rows: Rows) -> None:
    """By its decision, with what the cloud said of it; features alone are no full model's word."""
    decided(rows, "1", "routine", abnormality=0.01)
    decided(rows, "2", "urgent", abnormality=1.0)
    decided(rows, "3", "escalate", abnormality=0.5, agreement=Agreement.AGREES, answer_basis="image")
    decided(rows, "4", "escalate", abnormality=0.5, agreement=Agreement.DISAGREES, answer_basis="image")
    decided(rows, "5", "escalate", abnormality=0.5, agreement=Agreement.AGREES, answer_basis="features")
    decided(rows, "6", "not_triaged", pack=None, pack_version=None, reason="wrong_modality")
    decided(rows, "7", "urgent", calling_ae_title="SOUTH")
    rows.study("8")
    found = view(rows)
    north, none, south = sorted(found.rows, key=lambda row: (row.scanner, row.pack == ""))[0:3]
    assert (north.pack, north.scanner, none.pack, south.scanner) == ("chest 1.0.0", "SCANNER", "", "SOUTH")
    assert (north.tally.routine, north.tally.urgent, north.tally.escalate) == (1, 1, 3)
    assert (north.tally.agreed, north.tally.disagreed) == (1, 1)
    assert none.tally.not_triaged == 1
    assert found.reasons == {"wrong_modality": 1}
    assert found.studies == 7
    assert north.settled is not None
    assert (north.settled.successes, north.settled.trials) == (2, 5)


def test_a_scanner_is_looked_at_alone(rows: Rows) -> None:
    """Its plots, its probabilities and its reasons; an unknown one is read as not said."""
    decided(rows, "1", "routine", abnormality=0.01)
    decided(rows, "2", "urgent", abnormality=0.99, calling_ae_title="SOUTH")
    decided(rows, "3", "not_triaged", pack=None, pack_version=None, reason="too_small", calling_ae_title="SOUTH")
    south = view(rows, scanner="SOUTH")
    assert south.plots[0].drawing.points[-1].share is not None
    assert south.plots[0].drawing.points[-1].share.trials == 1
    assert south.scores is not None
    assert [one.counts for _, one in south.scores.scores] == [(0,) * 9 + (1,)]
    assert south.reasons == {"too_small": 1}
    assert view(rows, scanner="NOWHERE").asked.scanner is None


def test_what_people_say_counts_once_for_each_study(rows: Rows) -> None:
    """The latest word of a study; where the box took no side there is nothing to confirm or to correct."""
    for number, decision in enumerate(("routine", "urgent", "escalate")):
        decided(rows, f"1.{number}", decision)
    words = [("1.0", "urgent", "routine"), ("1.0", "routine", "routine"), ("1.1", "routine", "urgent")]
    for uid, said, box in (*words, ("1.2", "urgent", "escalate")):
        read = {"pack": "chest", "pack_version": "1.0.0", "revision": 1, "said_at": NOW}
        rows.put(labels, study_instance_uid=uid, decision=said, box_decision=box, **read)
    (row,) = view(rows).rows
    assert (row.tally.confirmed, row.tally.corrected) == (1, 1)
    assert row.people is not None
    assert row.people.share == 0.5


@pytest.mark.parametrize("span", [DAYS, WEEKS], ids=lambda span: span.name)
def test_every_step_has_its_place_and_gaps_stay_gaps(rows: Rows, span: Span) -> None:
    """A week begins on Monday, UTC; a step without studies has no share, and no line leads over it."""
    for number, ago in enumerate((0.0, 1.0, 3.0, 4.0)):
        decided(rows, str(number), "routine", ago * span.days)
    decided(rows, "old", "routine", (span.steps + 1) * span.days)
    decided(rows, "ahead", "routine", -2 * span.days)
    drawn = view(rows, span).plots[0].drawing
    assert len(drawn.points) == span.steps
    assert [one.share is not None for one in drawn.points[-5:]] == [True, True, False, True, True]
    assert len(drawn.dots) == 4
    assert len(drawn.lines) == 2
    assert time.gmtime(WEEKS.begins(WEEKS.step_of(NOW))).tm_wday == 0
    assert WEEKS.begins(WEEKS.step_of(NOW)) <= NOW


def test_what_was_counted_at_the_ends_stays_on_the_drawing(rows: Rows) -> None:
    """None and all of them are at the foot and at the top, with intervals inside."""
    decided(rows, "1", "routine")
    decided(rows, "2", "escalate", 1.0)
    drawn = view(rows).plots[0].drawing
    assert [dot.y for dot in drawn.dots] == [164.0, 8.0]
    assert all(8.0 <= dot.y_high <= dot.y_low <= 164.0 for dot in drawn.dots)


def test_a_week_below_the_promise_is_a_problem_for_everybody_to_see(rows: Rows) -> None:
    """Among the notices of the page and at /api/status: pack, scanner, how many, and what was to be expected."""
    for number in range(40):
        decided(rows, f"1.{number}", "escalate" if number % 4 else "routine", number / 10)
        decided(rows, f"2.{number}", "routine" if number % 8 else "escalate", number / 10, calling_ae_title="SOUTH")
    with reading(rows.engine) as conn:
        (said,) = drift_words(conn, PACKS, NOW)
    assert said.startswith("Coverage of chest 1.0.0 at SCANNER has been below what calibration promised for 7 days:")
    assert "10 of 40 studies of one image" in said
    assert {row.scanner: row.drift for row in view(rows).rows} == {"SCANNER": Drift.BELOW, "SOUTH": Drift.FITS}


def test_it_stands_at_the_head_of_the_page_and_at_the_api(rows: Rows) -> None:
    """Held against the manifest of the pack that is in use, as it lies on the disk."""
    chest = Registry([SHIPPED]).in_use["cxr-pneumonia-paediatric"].manifest
    for number in range(40):
        decided(rows, str(number), "escalate", number / 10, pack=chest.name, pack_version=chest.version)
    said = f"Coverage of {chest.name} {chest.version} at SCANNER has been below what calibration promised for 7 days"
    client = rows.client()
    told = client.get("/api/status").json()["notices"]
    assert [one["severity"] for one in told if one["text"].startswith(said)] == ["problem"]
    assert said in client.get("/").text
    assert "fewer settled than promised" in client.get("/quality").text


@pytest.mark.parametrize(
    "values",
    [{"instance_count": 30}, {"lines_set_by": "cloud"}, {"pack_version": "0.9.0"}],
    ids=lambda one: next(iter(one)),
)
def test_what_calibration_does_not_speak_of_breaks_no_promise(rows: Rows, values: dict[str, Any]) -> None:
    """Studies of many images, stricter lines from the cloud, a pack that is not the one in use."""
    for number in range(40):
        decided(rows, str(number), "escalate", number / 10, **values)
    with reading(rows.engine) as conn:
        assert drift_words(conn, PACKS, NOW) == []


def test_the_page_shows_numbers_behind_every_plot(rows: Rows) -> None:
    """A title and a description for whoever does not see the drawing, and the table with the interval."""
    for number in range(6):
        decided(rows, str(number), "urgent" if number else "escalate", abnormality=number / 6, calling_ae_title="<AE>")
    page = rows.client().get("/quality?by=week").text
    assert page.count('<svg class="drawing"') == page.count("<desc id=") == page.count("<title id=") == 5
    assert "83 % (44 % to 97 %)" in page
    assert "&lt;AE&gt;" in page
    assert "<AE>" not in page


def test_a_page_that_is_open_all_day_is_not_counted_anew_each_second(rows: Rows) -> None:
    """The state changes with every image; the count is kept for half a minute, for each request and language."""
    client = rows.client()
    decided(rows, "1", "routine")
    assert 'class="tally">1<' in client.get("/fragments/quality").text
    decided(rows, "2", "routine")
    assert 'class="tally">1<' in client.get("/fragments/quality").text
    rows.now += 31.0
    assert 'class="tally">2<' in client.get("/fragments/quality").text


@pytest.fixture
def years(rows: Rows) -> Rows:
    """A hundred thousand studies, evenly over half a year."""
    rng = random.Random(4)
    kinds = [("routine", 0.01), ("urgent", 0.97), ("escalate", 0.4)]
    made = []
    for number in range(100_000):
        at = NOW - number / 100_000 * 170 * DAY_S
        decision, abnormality = rng.choice(kinds)
        made.append(
            PACK
            | {
                "study_instance_uid": f"1.2.{number}", "state": "settled", "completes_at": at, "first_received_at": at,
                "last_received_at": at, "decided_at": at, "decision": decision, "abnormality": abnormality,
                "calling_ae_title": rng.choice(["NORTH", "SOUTH"]), "study_description": "x" * 60,
            }
        )  # fmt: skip
    with writing(rows.engine) as conn:
        for start in range(0, len(made), 5000):
            conn.execute(insert(studies), made[start : start + 5000])
    return rows


def test_a_hundred_thousand_studies_are_counted_from_an_index(years: Rows) -> None:
    """Neither a row is read nor anything sorted, and it takes a fraction of what the same count takes without."""
    with reading(years.engine) as conn:
        query = count_days(WEEKS, NOW).compile(conn, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
        assert ["USING COVERING INDEX studies_by_decided_day" in one for one in plan] == [True], plan
        assert sum(cell.tally.read for cell in cells(conn, WEEKS, NOW)) == 100_000
        without = text(str(query).replace("FROM studies", "FROM studies NOT INDEXED"))
        quick = min(_seconds(lambda: cells(conn, WEEKS, NOW)) for _ in range(3))
        slow = min(_seconds(lambda: conn.execute(without).all()) for _ in range(3))
    assert quick < slow / 2


def _seconds(work: Any) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
