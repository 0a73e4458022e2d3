"""The worklist's order, pages and contents."""

from __future__ import annotations

from appliance.web.listing import PAGE_ROWS, Place, WorklistRequest
from appliance.web.worklist import Worklist, worklist
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
    assert page.pending_count == 1
    assert page.counts == {
        "urgent": 2,
        "escalate": 1,
        "not_triaged": 1,
        "routine": 1,
        "all": 5,
        "disagrees": 0,
        "provisional": 0,
    }


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


def test_what_a_full_model_has_changed_is_amended(rows: Rows) -> None:
    """Not what it has confirmed, nor what it cannot change."""
    rows.study("1", "escalate", answer_decision="routine", answered_at=1.0)
    rows.study("2", "urgent", answer_decision="urgent", answered_at=1.0, agreement="agrees")
    rows.study("3", "urgent", answer_decision="routine", answered_at=1.0, agreement="disagrees")
    rows.study("4", "routine", answer_decision="escalate", answered_at=1.0, answer_basis="features")
    rows.study("5", "routine")
    found = {row.study_instance_uid: row.amended for row in read(rows).rows}
    assert found == {"1": True, "2": False, "3": False, "4": False, "5": False}


def test_a_long_queue_is_counted_whole_and_shown_in_part(rows: Rows) -> None:
    """What is in progress stands apart, the latest first; all of it has a list of its own."""
    for number in range(PAGE_ROWS + 3):
        rows.study(f"1.{number:02}", ago_s=float(number))
    page = read(rows)
    assert (page.rows, page.pending_count) == ((), PAGE_ROWS + 3)
    assert [row.study_instance_uid for row in page.pending][:2] == ["1.00", "1.01"]
    listed = read(rows, WorklistRequest(show="pending"))
    assert (len(listed.rows), listed.pending) == (PAGE_ROWS, ())
    assert listed.older == Place(4, listed.rows[-1].last_received_at, listed.rows[-1].study_instance_uid)
