"""``scanside outbox``: look, make due, set aside."""

from __future__ import annotations

import pytest

from appliance.home import Home
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import DeliveryRequest
from tests.small_box import NOW
from tests.unit.appliance.commands.conftest import Scanside

KINDS = (("report", "archive", 2), ("escalation", "cloud", 0), ("picture", "archive", 2))


@pytest.fixture
def numbers(home: Home) -> list[int]:
    """Three deliveries: a waiting report, a parked escalation, a delivered picture."""
    made = []
    with writing(home.engine) as connection:
        for kind, destination, priority in KINDS:
            request = DeliveryRequest(kind, "1.2", 1, kind, destination, priority, "a" * 64, 2_000_000, "a/b")
            made.append(outbox.enqueue(connection, request, NOW))
        outbox.park(connection, [made[1]], "cloud_refused_size", NOW + 1)
        outbox.park(connection, [made[0]], "held", NOW)
        leased = outbox.lease(connection, "archive", "test", NOW + 1, 60)
        assert leased is not None
        outbox.delivered(connection, leased, "status 0x0000", NOW + 2)
        outbox.retry(connection, [made[0]], NOW + 2)
    return made


def test_list(scanside: Scanside, numbers: list[int]) -> None:
    """The next to go first, with what a script needs."""
    ended = scanside("outbox", "list", "--json")
    assert ended.status == 0
    assert [row["kind"] for row in ended.rows] == ["escalation", "report", "picture"]
    row = ended.rows[0]
    assert (row["id"], row["state"], row["cause"]) == (numbers[1], "parked", "cloud_refused_size")
    assert {"subject", "revision", "payload", "attempts", "next_at", "receipt"} <= set(row)


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["--state", "parked"], ["escalation"]),
        (["--destination", "archive"], ["report", "picture"]),
        (["--state", "delivered", "--destination", "archive"], ["picture"]),
        (["--limit", "1"], ["escalation"]),
        (["--state", "leased"], []),
    ],
)
def test_list_can_be_narrowed(scanside: Scanside, numbers: list[int], options: list[str], kinds: list[str]) -> None:
    """By state, destination and number."""
    assert [row["kind"] for row in scanside("outbox", "list", "--json", *options).rows] == kinds


def test_list_for_a_person(scanside: Scanside, numbers: list[int]) -> None:
    """One line each."""
    first = scanside("outbox", "list").out.splitlines()[0].split()
    assert first == [str(numbers[1]), "parked", "p0", "escalation", "cloud", "2.00", "MB", "cloud_refused_size"]


def test_show(scanside: Scanside, numbers: list[int]) -> None:
    """One delivery with every transition."""
    (row,) = scanside("outbox", "show", numbers[2], "--json").rows
    assert (row["kind"], row["receipt"]) == ("picture", "status 0x0000")
    assert [event["state_to"] for event in row["events"]] == ["waiting", "leased", "delivered"]
    text = scanside("outbox", "show", numbers[2]).out
    assert "2026-05-28T20:26:41+00:00  waiting → leased" in text


def test_show_what_is_not_there(scanside: Scanside, numbers: list[int]) -> None:
    """Exit status 1, with where to look."""
    ended = scanside("outbox", "show", 999)
    assert ended.status == 1
    assert ended.err == "there is no delivery 999; scanside outbox list shows all\n"


def test_retry_by_number(scanside: Scanside, numbers: list[int]) -> None:
    """A delivered one is not sent again."""
    assert scanside("outbox", "retry", numbers[1], numbers[2]).out == "1 due now\n"
    states = {row["kind"]: row["state"] for row in scanside("outbox", "list", "--json").rows}
    assert states == {"report": "waiting", "escalation": "waiting", "picture": "delivered"}


def test_retry_all_that_is_parked(scanside: Scanside, numbers: list[int]) -> None:
    """Without numbers."""
    assert scanside("outbox", "retry", "--parked").out == "1 due now\n"
    assert scanside("outbox", "retry", "--parked").out == "0 due now\n"


def test_park(scanside: Scanside, numbers: list[int]) -> None:
    """Until a person asks again."""
    assert scanside("outbox", "park", numbers[0]).out == "1 parked\n"
    assert scanside("outbox", "list", "--state", "parked", "--json").rows[1]["cause"] == "parked_by_person"
