"""``scanside outbox``: look, make due, set aside, one by one and in bulk."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import time
from pathlib import Path

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
    assert scanside("outbox", "retry", numbers[1], numbers[2]).out == (
        "1 due now, 1 left as they are: delivered, or under way\n"
    )
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


@pytest.fixture
def many(home: Home) -> list[int]:
    """Six waiting deliveries of different ages, places and causes; the third and the fourth are parked."""
    made = []
    now = time.time()
    ages_s = (10.0, 3 * 3600.0, 5 * 86_400.0)
    with writing(home.engine) as connection:
        for number, (destination, age_s) in enumerate(itertools.product(("cloud", "archive"), ages_s)):
            request = DeliveryRequest(str(number), "1.2", 1, "report", destination, 2, "a" * 64, 1, "a/b")
            made.append(outbox.enqueue(connection, request, now - age_s))
        outbox.park(connection, [made[2]], "cloud_refused_size", now)
        outbox.park(connection, [made[3]], "pacs_refused", now)
    return made


FILTERS: list[tuple[list[str], list[int]]] = [
    (["--destination", "cloud"], [0, 1, 2]),
    (["--state", "parked"], [2, 3]),
    (["--cause", "pacs_refused"], [3]),
    (["--older-than", "2h"], [1, 2, 4, 5]),
    (["--older-than", "1.5d", "--destination", "archive"], [5]),
    (["--older-than", "1w"], []),
    (["--state", "parked", "--destination", "cloud", "--cause", "cloud_refused_size"], [2]),
]


@pytest.mark.parametrize(("options", "places"), FILTERS)
def test_filters_mean_the_same_everywhere(
    scanside: Scanside, many: list[int], options: list[str], places: list[int]
) -> None:
    """What list shows is what export writes, and what park sets aside but for what is parked already."""
    wanted = {many[place] for place in places}
    assert {row["id"] for row in scanside("outbox", "list", "--json", *options).rows} == wanted
    assert {row["id"] for row in scanside("outbox", "export", *options).rows} == wanted
    already = wanted & {many[2], many[3]}
    expected = {"parked": len(wanted - already), "left": len(already)}
    assert scanside("outbox", "park", "--json", *options).rows == [expected]


def test_retry_in_bulk(scanside: Scanside, many: list[int]) -> None:
    """By destination, and all of them only when that is said."""
    assert scanside("outbox", "retry", "--state", "parked", "--destination", "archive").out == "1 due now\n"
    assert scanside("outbox", "retry", "--all", "--json").rows == [{"due": 6, "left": 0}]
    assert scanside("outbox", "park", "--all").out == "6 parked\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["retry"], "say which: delivery numbers, a filter such as --state parked, or --all"),
        (["park"], "say which: delivery numbers, a filter such as --state parked, or --all"),
        (["retry", "--all", "--state", "parked"], "--all means every delivery"),
        (["retry", "--parked", "--state", "waiting"], "--parked and --state contradict each other"),
        (["list", "--state", "stuck"], "'stuck' is no state of a delivery; there are waiting, leased, delivered"),
        (["list", "--older-than", "2 hours"], "'2 hours' is no duration; write a number and s, m, h, d or w"),
        (["park", "--older-than", "-1h"], "'-1h' is no duration"),
        (["export", "--older-than", "1e9d"], "'1e9d' is no duration"),
        (["retry", "--destination", "clowd"], "there is no destination 'clowd'; there are: archive, cloud"),
    ],
)
def test_a_choice_that_makes_no_sense(scanside: Scanside, many: list[int], arguments: list[str], told: str) -> None:
    """Wrong use, with what would be right; nothing is moved."""
    before = scanside("outbox", "list", "--json").rows
    ended = scanside("outbox", *arguments)
    assert ended.status == 2
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", ended.err).split())
    assert told in words
    assert scanside("outbox", "list", "--json").rows == before


@pytest.mark.parametrize("command", ["retry", "park", "export"])
def test_a_number_nobody_has(scanside: Scanside, many: list[int], command: str) -> None:
    """The work fails with the number, and the numbers that do exist are left alone too."""
    before = scanside("outbox", "list", "--json").rows
    ended = scanside("outbox", command, many[2], 998, 999)
    assert ended.status == 1
    assert "there is no delivery 998, 999; scanside outbox list shows all" in ended.err
    assert scanside("outbox", "list", "--json").rows == before


def test_export_for_a_ticket(scanside: Scanside, numbers: list[int], tmp_path: Path) -> None:
    """Every delivery with its history; a file is never overwritten; no more than show tells."""
    file = tmp_path / "ticket.jsonl"
    assert scanside("outbox", "export", "--out", file).out == f"3 written to {file}\n"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert rows == scanside("outbox", "export").rows
    picture = next(row for row in rows if row["id"] == numbers[2])
    assert [event["state_to"] for event in picture["events"]] == ["waiting", "leased", "delivered"]
    assert picture["settled_at"] == "2026-05-28T20:26:42.000+00:00"
    (shown,) = scanside("outbox", "show", numbers[2], "--json").rows
    assert set(picture) == set(shown)
    again = scanside("outbox", "export", "--out", file)
    assert (again.status, again.err) == (1, f"{file} is there already; name another file, or move it away\n")
    missing = scanside("outbox", "export", "--out", tmp_path / "nowhere" / "x")
    assert (missing.status, "No such file or directory" in missing.err) == (1, True)


def test_export_as_a_table(scanside: Scanside, home: Home, numbers: list[int]) -> None:
    """A row for every event, and the far side's words are no formula."""
    with writing(home.engine) as connection:
        outbox.park(connection, [numbers[0]], "=1+1", NOW + 3)
    table = list(csv.DictReader(io.StringIO(scanside("outbox", "export", "--csv").out)))
    (events,) = {len(row) for row in table}
    assert events == len(table[0])
    assert [row["event_state_to"] for row in table if row["kind"] == "picture"] == ["waiting", "leased", "delivered"]
    assert {row["cause"] for row in table if row["kind"] == "report"} == {"'=1+1"}
