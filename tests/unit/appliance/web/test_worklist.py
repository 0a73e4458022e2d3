"""The worklist's order, pages and contents."""

from __future__ import annotations

from sqlalchemy import text

from appliance.web.worklist import PAGE_ROWS, WINDOW, Worklist, WorklistRequest, worklist
from store_forward.database import reading
from tests.unit.appliance.web.rows import Rows


def read(rows: Rows, request: WorklistRequest | None = None, show_patient: bool = True) -> Worklist:
    """One page."""
    with reading(rows.engine) as conn:
        return worklist(conn, request or WorklistRequest(), show_patient)


def uids(page: Worklist) -> list[str]:
    """What is on the page, in order."""
    return [row.study_instance_uid for row in page.rows]


def test_urgency_comes_before_time_and_the_latest_first(rows: Rows) -> None:
    """Urgent, escalated, not triaged, routine; studies without a decision stand apart."""
    for uid, decision, ago in [
        ("1", "routine", 1), ("2", "urgent", 500), ("3", "not_triaged", 3),
        ("4", "escalate", 4), ("5", "urgent", 100), ("6", None, 0),
    ]:  # fmt: skip
        rows.study(uid, decision, ago_s=float(ago))
    page = read(rows)
    assert uids(page) == ["5", "2", "4", "3", "1"]
    assert [row.study_instance_uid for row in page.pending] == ["6"]
    assert page.counts == {"urgent": 2, "escalate": 1, "not_triaged": 1, "routine": 1, "all": 5, "disagrees": 0}


def test_an_answer_moves_a_study(rows: Rows) -> None:
    """What the full model calls urgent is on top, whatever the box could not say."""
    rows.study("1", "urgent", ago_s=50)
    rows.study("2", "escalate", ago_s=10, answer_decision="urgent", answered_at=1.0, agreement="agrees")
    assert uids(read(rows)) == ["2", "1"]


def test_one_kind_only(rows: Rows) -> None:
    """The filter for disagreements finds them under whatever decision stands."""
    rows.study("1", "urgent", answer_decision="routine", agreement="disagrees")
    rows.study("2", "urgent")
    rows.study("3", "routine")
    assert uids(read(rows, WorklistRequest(show="disagrees"))) == ["1"]
    assert uids(read(rows, WorklistRequest(show="routine"))) == ["3"]


def test_pages_hold_every_study_once(rows: Rows) -> None:
    """Walking through the pages loses and repeats nothing, and a page too far shows the last."""
    for number in range(2 * PAGE_ROWS + 1):
        rows.study(f"1.{number}", "routine", ago_s=float(number))
    pages = [read(rows, WorklistRequest(page=page)) for page in (1, 2, 3)]
    assert [len(page.rows) for page in pages] == [PAGE_ROWS, PAGE_ROWS, 1]
    assert len({uid for page in pages for uid in uids(page)}) == 2 * PAGE_ROWS + 1
    assert uids(read(rows, WorklistRequest(page=99))) == uids(pages[2])


def test_the_list_by_arrival_goes_on_where_it_stopped(rows: Rows) -> None:
    """Also when more studies than a page holds arrived in one instant."""
    for number in range(PAGE_ROWS + 5):
        rows.study(f"1.{number:03}", "routine", ago_s=10.0)
    first = read(rows, WorklistRequest(order="arrival"))
    assert first.older is not None
    second = read(rows, WorklistRequest("arrival", before=first.older[0], before_uid=first.older[1]))
    assert second.older is None
    assert sorted(uids(first) + uids(second)) == [f"1.{number:03}" for number in range(PAGE_ROWS + 5)]


def test_only_present_findings_count_and_the_highest_per_name(rows: Rows) -> None:
    """A finding of an earlier revision is history."""
    rows.study("1", "urgent", revision=2)
    rows.finding("1", "pneumonia", 0.99, revision=1)
    rows.finding("1", "pneumonia", 0.2, revision=2)
    rows.finding("1", "pneumonia", 0.7, revision=2)
    rows.finding("1", "nodule", 0.9, revision=2)
    rows.finding("1", "pneumonia", 0.6, source="cloud", revision=2)
    (row,) = read(rows).rows
    found = [(one.source, one.name, one.probability) for one in row.findings]
    assert found == [("box", "nodule", 0.9), ("box", "pneumonia", 0.7), ("cloud", "pneumonia", 0.6)]


def test_patient_fields_are_not_even_read_when_hidden(rows: Rows) -> None:
    """Identifiers are empty in the value, so no template can show them."""
    rows.study("1", "urgent", patient_name="DOE^JANE", patient_id="77", accession_number="A1", patient_age="004Y")
    (hidden,) = read(rows, show_patient=False).rows
    assert (hidden.patient_name, hidden.patient_id, hidden.accession_number) == ("", "", "")
    assert hidden.patient_age == "004Y"
    (shown,) = read(rows).rows
    assert (shown.patient_name, shown.patient_id, shown.accession_number) == ("DOE^JANE", "77", "A1")


def test_the_window_is_searched_by_its_index(rows: Rows) -> None:
    """A full scan of an encrypted database is slow; both orders go through studies_by_arrival."""
    columns = "study_instance_uid, last_received_at FROM studies"
    order = f"ORDER BY last_received_at DESC, study_instance_uid DESC LIMIT {WINDOW}"
    for where in ("", "WHERE last_received_at <= 5 AND (last_received_at < 5 OR study_instance_uid < '1')"):
        with reading(rows.engine) as conn:
            plan = conn.execute(text(f"EXPLAIN QUERY PLAN SELECT {columns} {where} {order}")).all()
        assert "studies_by_arrival" in str(plan)
