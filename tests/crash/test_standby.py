"""Two boxes, one answer: while the first is heard, when it is killed, when it is back, and when both think they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.standby.state import Turn
from store_forward.outbox import deliveries
from tests.crash.pair import pairs, send
from tests.crash.small_site import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(400)]


def test_while_the_first_is_heard_the_standby_sends_nothing(tmp_path: Path) -> None:
    """Both read every study; the first answers; the standby's deliveries are settled by what the first has settled."""
    with pairs(tmp_path) as pair:
        send(pair.studies(4, "one"), pair.first, pair.standby)
        pair.settle(pair.first, 4)
        pair.settle(pair.standby, 4)
        assert pair.standby.attempts() == []
        assert {row.cause for row in pair.standby.rows(deliveries)} == {"settled_elsewhere"}
        assert all(row.receipt.startswith("by the first box: ") for row in pair.standby.rows(deliveries))
        assert set(pair.archive.came.values()) == {1}
        pair.expect_each_result_once(4, escalated=2)


def test_a_first_that_is_killed_while_it_delivers_and_comes_back(tmp_path: Path) -> None:
    """Every result arrives, once for every study; the first, when it is back, sends none of it again."""
    with pairs(tmp_path) as pair:
        send(pair.studies(6, "before"), pair.first, pair.standby)
        wait_until(lambda: len(pair.archive.came) >= 3, 60.0, "the first to deliver")
        pair.first.kill()
        send(pair.studies(4, "meanwhile"), pair.standby)
        wait_until(lambda: pair.stands(Turn.STANDING_IN), 60.0, "the standby to stand in")
        pair.settle(pair.standby, 10)
        pair.expect_each_result_once(10, escalated=5)
        again = [uid for uid, times in pair.archive.came.items() if times > 1]
        assert len(again) <= pair.sent_and_not_told()
        came, attempts = dict(pair.archive.came), len(pair.first.attempts())

        pair.first.start()
        wait_until(lambda: pair.stands(Turn.STANDING_BY), 60.0, "the standby to step back")
        send(pair.studies(4, "meanwhile"), pair.first)  # whatever the modality could not send before
        pair.settle(pair.first, 10)
        assert dict(pair.archive.came) == came
        assert len(pair.first.attempts()) == attempts

        held = len(pair.standby.attempts())
        send(pair.studies(2, "after"), pair.first, pair.standby)
        pair.settle(pair.first, 12)
        pair.settle(pair.standby, 12)
        assert len(pair.standby.attempts()) == held
        pair.expect_each_result_once(12, escalated=6)


def test_a_process_of_the_first_that_does_not_come_back_counts_as_silence(tmp_path: Path) -> None:
    """Without its triage the first says so itself; the standby announces itself, and the first stops sending."""
    with pairs(tmp_path) as pair:
        pair.first.kill_one("triage")
        send(pair.studies(2, "one"), pair.first, pair.standby)
        wait_until(lambda: pair.stands(Turn.STANDING_IN), 90.0, "the standby to stand in")
        pair.settle(pair.standby, 2)
        assert pair.first.attempts() == []
        pair.expect_each_result_once(2, escalated=1)


def test_both_send_when_neither_hears_the_other_and_it_is_one_answer_all_the_same(tmp_path: Path) -> None:
    """The same SOP Instance UIDs at the PACS, the same upload at the cloud; afterwards one box answers again."""
    with pairs(tmp_path) as pair:
        pair.link.cut()
        wait_until(lambda: pair.stands(Turn.STANDING_IN), 60.0, "the standby to stand in")
        send(pair.studies(4, "both"), pair.first, pair.standby)
        pair.settle(pair.first, 4)
        pair.settle(pair.standby, 4)
        assert pair.first.attempts()
        assert pair.standby.attempts()
        assert min(pair.archive.came.values()) >= 2
        pair.expect_each_result_once(4, escalated=2)

        pair.link.restore()
        wait_until(lambda: pair.stands(Turn.STANDING_BY), 60.0, "the standby to step back")
        held = len(pair.standby.attempts())
        send(pair.studies(2, "after"), pair.first, pair.standby)
        pair.settle(pair.first, 6)
        pair.settle(pair.standby, 6)
        assert len(pair.standby.attempts()) == held
        pair.expect_each_result_once(6, escalated=3)
