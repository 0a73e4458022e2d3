"""What may happen to a case, and which answers a box gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from store_forward.cloud import cases
from store_forward.cloud.cases import CLOUD_METADATA, Case
from store_forward.database import create_schema, open_database, writing
from store_forward.errors import LeaseLost
from store_forward.protocol import UploadMetadata, Verdict, upload_id

VERDICT = Verdict(decision="urgent", pack="full", device="cpu")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A transaction on an empty cloud database."""
    engine = open_database(tmp_path / "cloud.sqlite")
    create_schema(engine, CLOUD_METADATA)
    with writing(engine) as opened:
        yield opened
    engine.dispose()


def described(digit: str, box: str = "box-1", priority: int = 1) -> UploadMetadata:
    """An upload whose digest is 64 times ``digit``."""
    return UploadMetadata(sha256=digit * 64, content_type="application/zip", box=box, priority=priority)


def leased(connection: Connection) -> Case:
    """The next case, which must exist."""
    case = cases.lease(connection)
    assert case is not None
    return case


def test_a_case_goes_from_receiving_to_answered(connection: Connection) -> None:
    """Each state is counted while it lasts."""

    def state() -> str:
        return next(state for state, count in cases.count_by_state(connection).items() if count)

    cases.begin(connection, described("a"), 10)
    assert state() == "receiving"
    assert cases.size_of(connection, "a" * 64) is None
    receipt = cases.store(connection, described("a"), 10, 5.0)
    assert (state(), receipt.stored_at) == ("stored", 5.0)
    case = leased(connection)
    assert (state(), case.attempts) == ("analysing", 1)
    cases.answer(connection, case, VERDICT, 6.0)
    assert state() == "answered"
    assert cases.lease(connection) is None


def test_storing_again_changes_nothing(connection: Connection) -> None:
    """The same payload gets the same receipt, whatever state its case is in."""
    first = cases.store(connection, described("a"), 10, 5.0)
    leased(connection)
    assert cases.store(connection, described("a", box="box-2"), 10, 9.0) == first
    cases.begin(connection, described("a"), 10)
    cases.give_up(connection, "a" * 64)
    assert cases.count_by_state(connection)["analysing"] == 1


def test_only_an_unfinished_case_is_given_up(connection: Connection) -> None:
    """A discarded upload leaves nothing; one by another box that did finish stays."""
    cases.begin(connection, described("a"), 10)
    assert cases.in_state(connection, cases.CaseState.RECEIVING) == ["a" * 64]
    cases.give_up(connection, "a" * 64)
    assert sum(cases.count_by_state(connection).values()) == 0


def test_the_receipt_is_found_by_the_upload(connection: Connection) -> None:
    """Only for a box that sent it."""
    receipt = cases.store(connection, described("a"), 10, 5.0)
    assert cases.receipt_of(connection, upload_id(described("a"))) == receipt
    assert cases.receipt_of(connection, upload_id(described("a", box="box-2"))) is None


def test_urgent_cases_go_first(connection: Connection) -> None:
    """By priority number, then by age."""
    for digit, priority, now in [("a", 1, 1.0), ("b", 0, 2.0), ("c", 1, 0.5)]:
        cases.store(connection, described(digit, priority=priority), 10, now)
    assert [leased(connection).digest[0] for _ in range(3)] == ["b", "c", "a"]
    assert not cases.any_stored(connection)


def test_answers_are_numbered_when_given_and_once_per_box(connection: Connection) -> None:
    """A case stored first and answered last comes last: nobody who asks by number misses it."""
    for digit in "ab":
        cases.store(connection, described(digit), 10, 1.0)
    cases.store(connection, described("a", box="box-2"), 10, 1.0)
    first, second = leased(connection), leased(connection)
    cases.answer(connection, second, VERDICT, 2.0)
    [known] = cases.answers_after(connection, "box-1", 0, 10)
    cases.answer(connection, first, VERDICT, 3.0)
    [later] = cases.answers_after(connection, "box-1", known.seq, 10)
    assert (known.case, later.case) == (second.digest, first.digest)
    assert later.decision == "urgent"
    assert len(cases.answers_after(connection, "box-2", 0, 10)) == 1
    assert len(cases.answers_after(connection, "box-1", 0, 1)) == 1


def test_a_late_box_gets_the_old_answer_once(connection: Connection) -> None:
    """It sends what was answered long ago, even twice."""
    cases.store(connection, described("a"), 10, 1.0)
    cases.answer(connection, leased(connection), VERDICT, 2.0)
    for now in (3.0, 4.0):
        cases.store(connection, described("a", box="box-2"), 10, now)
    assert [answer.answered_at for answer in cases.answers_after(connection, "box-2", 0, 10)] == [2.0]
    assert connection.execute(select(func.count()).select_from(cases.answer_feed)).scalar_one() == 2


def test_an_answer_from_an_earlier_attempt_is_not_written(connection: Connection) -> None:
    """The process was thought dead and another took over: one answer, from the one who holds the case."""
    cases.store(connection, described("a"), 10, 1.0)
    first = leased(connection)
    assert cases.reclaim(connection) == 1
    second = leased(connection)
    assert second.attempts == 2
    with pytest.raises(LeaseLost):
        cases.answer(connection, first, VERDICT, 2.0)
    cases.answer(connection, second, VERDICT, 3.0)
    with pytest.raises(LeaseLost):
        cases.answer(connection, second, VERDICT, 4.0)
