"""What has been settled on one box, said in words that mean the same on the other."""

from __future__ import annotations

from appliance.schema import studies
from appliance.standby import marks
from appliance.standby.marks import delivered_since, keep_marks, settled_since
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import deliveries, delivery_events
from tests.small_box import NOW, MakeBox, SmallBox
from tests.unit.appliance.standby.conftest import IMAGES, STUDY, ask, decide, deliver, mark, settle


def _keep(box: SmallBox, *told: marks.Mark) -> int:
    with writing(box.engine) as connection:
        return keep_marks(connection, told, NOW)


def test_what_was_delivered_is_told_once_with_the_receipt(box: SmallBox) -> None:
    """A mark for each delivery that arrived, none for what waits; from the last number on there is nothing more."""
    ask(box, "report")
    ask(box, "picture")
    deliver(box)
    with reading(box.engine) as connection:
        page = delivered_since(connection, 0, "the first box")
        after = delivered_since(connection, page.read_to, "the first box")
    assert page.marks == (mark("report"),)
    assert (page.more, after.marks, after.read_to) == (False, (), page.read_to)


def test_a_long_history_is_told_page_by_page(box: SmallBox) -> None:
    """Every mark comes, however many rows lie between, and none comes twice."""
    number = marks.PAGE_ROWS // 2
    for place in range(number):
        ask(box, f"kind {place}")
        deliver(box)
    told: list[marks.Mark] = []
    after, more = 0, True
    with reading(box.engine) as connection:
        while more:
            page = delivered_since(connection, after, "the first box")
            assert page.read_to > after
            told += page.marks
            after, more = page.read_to, page.more
    assert [one.kind for one in told] == [f"kind {place}" for place in range(number)]


def test_what_the_other_box_settled_is_not_sent_from_here(box: SmallBox) -> None:
    """Waiting, parked or being carried: delivered, with the other's receipt and an event; others stay."""
    ask(box, "report")
    parked = ask(box, "picture")
    ask(box, "report", "other")
    with writing(box.engine) as connection:
        outbox.park(connection, [parked], "pacs_refused", NOW)
        held = outbox.lease(connection, "archive", "lane", NOW, 60.0)
    assert held is not None
    assert _keep(box, mark("report"), mark("picture")) == 2
    states = {(row.kind, row.destination): (row.state, row.cause) for row in box.rows(deliveries)}
    assert states[("report", "archive")] == states[("picture", "archive")] == ("delivered", "settled_elsewhere")
    assert states[("report", "other")] == ("waiting", None)
    assert box.rows(deliveries)[0].receipt == "by the first box: status 0x0000"
    assert [row.cause for row in box.rows(delivery_events)][-2:] == ["settled_elsewhere"] * 2


def test_a_mark_about_other_images_settles_nothing(box: SmallBox) -> None:
    """What was said of a study before a late image came is not what is to be said now."""
    ask(box, "report")
    assert _keep(box, mark("report", images="c" * 64)) == 0
    assert box.rows(deliveries)[0].state == "waiting"


def test_the_revision_does_not_matter(box: SmallBox) -> None:
    """One box may have been reopened by a late image where the other got all at once: the images are what counts."""
    ask(box, "report", revision=3)
    assert _keep(box, mark("report")) == 1


def test_a_study_settled_by_the_first_settles_what_its_decision_did_not_cause(make_box: MakeBox) -> None:
    """The first decided routine; the standby wanted to escalate: nothing goes, and its study is settled as well."""
    first, standby = make_box("first"), make_box("standby")
    for one, escalated in ((first, False), (standby, True)):
        decide(one, escalated=escalated)
        ask(one, "report")
    ask(standby, "escalation", "cloud")
    deliver(first)
    settle(first)
    with reading(first.engine) as connection:
        page = settled_since(connection, 0, ("archive", "cloud"), "the first box")
    assert {(one.kind, one.destination) for one in page.marks} == {("", "archive"), ("", "cloud")}
    assert _keep(standby, *page.marks) == 2
    assert standby.study(STUDY).state == "settled"
    assert {row.state for row in standby.rows(deliveries)} == {"delivered"}


def test_a_study_settled_by_the_first_says_nothing_of_a_destination_it_does_not_know(make_box: MakeBox) -> None:
    """What only the standby can reach stays to be sent, and keeps its study open."""
    box = make_box()
    decide(box)
    ask(box, "report")
    ask(box, "report", "second-archive")
    assert _keep(box, mark("")) == 1
    assert {row.destination: row.state for row in box.rows(deliveries)}["second-archive"] == "waiting"
    assert box.study(STUDY).state == "decided"


def test_a_study_that_was_reopened_since_is_not_told_as_settled(box: SmallBox) -> None:
    """The event says settled, the row says no more: what a late image leads to is still to come."""
    decide(box)
    settle(box)
    with writing(box.engine) as connection:
        connection.execute(studies.update().values(state="receiving"))
    with reading(box.engine) as connection:
        assert settled_since(connection, 0, ("archive",), "the first box").marks == ()


def test_marks_that_come_before_the_decision_hold_for_it(box: SmallBox) -> None:
    """What is asked for later, and is settled already, is settled in the transaction that asks for it."""
    _keep(box, mark("report"))
    ask(box, "report")
    with writing(box.engine) as connection:
        assert marks.apply_marks(connection, STUDY, NOW) == 1
    assert box.rows(deliveries)[0].attributes["images"] == IMAGES
