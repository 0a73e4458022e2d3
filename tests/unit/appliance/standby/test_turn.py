"""Whose turn it is: a standby and a first, the real endpoint, two real databases; only the clock is the test's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from appliance.schema import processes
from appliance.standby.hand_over import HandOver
from appliance.standby.link import NoPulse
from appliance.standby.state import Turn, standing
from appliance.standby.turn import StandbyTurn
from appliance.standby.words import PULSE_PATH, Pulse, Word
from appliance.web.app import build_app
from store_forward.database import writing
from store_forward.durable import write_durably
from store_forward.outbox import deliveries
from tests.small_box import NOW, MakeBox, SmallBox
from tests.unit.appliance.standby.conftest import ask, deliver

TOKEN = "sixteen characters or more"
SILENT_AFTER_S = 60.0


class Pair:
    """Two boxes; ``reachable`` is whether the first answers; ``now`` is the monotonic clock of both keepers."""

    def __init__(self, make_box: MakeBox) -> None:
        of = {"of": "http://127.0.0.1:8080"}
        pacs = [{"name": "archive", "host": "archive", "port": 104, "ae_title": "A"}]
        self.first = make_box("first", pacs=pacs)
        self.standby = make_box("standby", standby=of, pacs=pacs)
        self.now, self.reachable = 1000.0, True
        self.said: list[Word] = []
        app = build_app(self.first.settings, self.first.engine, self.first.spool, lambda: NOW)
        self._client = TestClient(app, base_url="http://127.0.0.1:8080")
        self.beat()
        self.hand_over = self.start_first()
        self.turn = self.start_standby()

    def start_first(self) -> HandOver:
        """As the start of its uplink does."""
        self.hand_over = HandOver(self.first.engine, 15.0, SILENT_AFTER_S, lambda: self.now)
        return self.hand_over

    def start_standby(self) -> StandbyTurn:
        """Likewise."""
        self.turn = StandbyTurn(self.standby.settings, self.standby.engine, self, lambda: self.now)
        return self.turn

    def beat(self, *silent: str) -> None:
        """Every needed process of the first reports, but these."""
        with writing(self.first.engine) as connection:
            connection.execute(processes.delete())
            for name in {"receiver", "triage", "uplink"} - set(silent):
                row = {"name": name, "pid": 1, "state": "running", "started_at": NOW, "beat_at": NOW}
                connection.execute(processes.insert().values(**row))

    def exchange(self, word: Word, own_log: str) -> Pulse:
        """As FirstBox, without the network in between."""
        self.said.append(word)
        if not self.reachable:
            raise NoPulse("http://first cannot be reached (ConnectError)")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = self._client.post(PULSE_PATH, content=word.model_dump_json(), headers=headers)
        assert answer.status_code == 200
        return Pulse.model_validate_json(answer.content)

    def steps(self, number: int = 4) -> None:
        """So many rounds of both."""
        for _ in range(number):
            self.turn.step()
            self.hand_over.step()

    def fall_silent(self) -> None:
        """Let the standby find out that the first has been silent for long enough."""
        self.turn.step()
        self.now += SILENT_AFTER_S
        self.turn.step()


@pytest.fixture
def pair(make_box: MakeBox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Two boxes that have just started."""
    monkeypatch.setenv("SCANSIDE_STANDBY_TOKEN", TOKEN)
    yield Pair(make_box)


def _state(box: SmallBox) -> list[str]:
    return [row.state for row in box.rows(deliveries)]


def test_both_begin_with_their_gates_shut_and_the_first_opens_once_it_is_told(pair: Pair) -> None:
    """Nothing is sent from either before the two have spoken; then from the first alone."""
    assert pair.hand_over.gate.is_still()
    assert pair.turn.gate.is_still()
    pair.steps()
    assert pair.hand_over.gate.is_open()
    assert not pair.turn.gate.is_open()
    assert pair.turn.turn() is Turn.STANDING_BY


def test_a_first_whose_standby_is_not_there_waits_no_longer_than_it_is_told(pair: Pair) -> None:
    """Half a pair is a box like any other."""
    pair.now += 14.0
    pair.hand_over.step()
    assert not pair.hand_over.gate.is_open()
    pair.now += 1.0
    pair.hand_over.step()
    assert pair.hand_over.gate.is_open()


def test_what_the_first_settles_is_settled_on_the_standby(pair: Pair) -> None:
    """By the next exchange, and without an attempt."""
    for box in (pair.first, pair.standby):
        ask(box, "report")
    pair.steps()
    deliver(pair.first)
    pair.steps(1)
    assert _state(pair.standby) == ["delivered"]


def test_a_standby_stands_in_only_after_the_whole_silence(pair: Pair) -> None:
    """A pulse in between begins it anew; the reason is kept for the page."""
    pair.steps()
    pair.reachable = False
    pair.now += SILENT_AFTER_S - 1
    pair.turn.step()
    assert not pair.turn.gate.is_open()
    pair.reachable = True
    pair.turn.step()
    pair.reachable = False
    pair.now += SILENT_AFTER_S - 1
    pair.turn.step()
    assert not pair.turn.gate.is_open()
    pair.now += 1.0
    pair.turn.step()
    assert pair.turn.gate.is_open()
    row = pair.standby.rows(standing)[0]
    assert (row.turn, row.trouble) == ("standing_in", "http://first cannot be reached (ConnectError)")


def test_a_standby_that_starts_while_the_first_is_dead_waits_as_long(pair: Pair) -> None:
    """Its own start is where the silence begins, whatever it did before."""
    pair.reachable = False
    pair.fall_silent()
    assert pair.turn.gate.is_open()
    again = pair.start_standby()
    again.step()
    assert not again.gate.is_open()
    pair.now += SILENT_AFTER_S
    again.step()
    assert again.gate.is_open()


def test_a_first_that_is_back_sends_only_after_it_is_told(pair: Pair) -> None:
    """What was settled meanwhile is settled there too, before its gate opens; the standby's is shut by then."""
    for box in (pair.first, pair.standby):
        ask(box, "report")
        ask(box, "picture")
    pair.reachable = False
    pair.fall_silent()
    deliver(pair.standby)
    pair.start_first()
    pair.reachable = True
    while not pair.hand_over.gate.is_open():
        assert _state(pair.first) == ["waiting", "waiting"] or not pair.turn.gate.is_open()
        pair.steps(1)
    assert _state(pair.first) == ["delivered", "waiting"]
    assert pair.turn.gate.is_still()
    assert pair.turn.turn() is Turn.STANDING_BY


def test_the_standby_does_not_step_back_in_the_middle_of_sending(pair: Pair) -> None:
    """As long as a lane is within, the first is told that the standby stands in, and waits."""
    pair.reachable = False
    pair.fall_silent()
    with pair.turn.gate.passing() as passes:
        assert passes
        pair.start_first()
        pair.reachable = True
        pair.steps()
        assert pair.turn.turn() is Turn.STANDING_IN
        assert not pair.hand_over.gate.is_open()
    pair.steps()
    assert pair.turn.turn() is Turn.STANDING_BY
    assert pair.hand_over.gate.is_open()


def test_a_first_that_can_be_reached_stops_before_the_standby_begins(pair: Pair) -> None:
    """Its triage is silent, its uplink is not: never are both gates open."""
    pair.steps()
    pair.beat("triage")
    pair.now += SILENT_AFTER_S
    pair.turn.step()
    assert not pair.turn.gate.is_open()
    with pair.hand_over.gate.passing() as passes:
        assert passes
        pair.steps()
        assert not pair.turn.gate.is_open()
    pair.steps()
    assert pair.turn.gate.is_open()
    assert pair.hand_over.gate.is_still()
    assert "triage" in pair.standby.rows(standing)[0].trouble
    pair.beat()
    pair.steps(6)
    assert pair.hand_over.gate.is_open()
    assert pair.turn.gate.is_still()


def test_a_first_that_never_comes_to_rest_is_not_waited_for(pair: Pair) -> None:
    """An uplink that hangs cannot stop; the standby begins all the same."""
    pair.steps()
    pair.beat("uplink")
    pair.now += SILENT_AFTER_S
    pair.turn.step()
    assert not pair.turn.gate.is_open()
    pair.now += 11.0
    pair.turn.step()
    assert pair.turn.gate.is_open()


def test_a_beat_ahead_of_the_clock_counts_as_none(pair: Pair) -> None:
    """A clock that was set back must not make a dead process look alive."""
    with writing(pair.first.engine) as connection:
        connection.execute(update(processes).values(beat_at=NOW + 3600.0))
    pulse = pair.exchange(Word(looks_only=True), "")
    assert set(pulse.silent) == {"receiver", "triage", "uplink"}


def test_a_first_with_a_new_database_is_told_everything_again(pair: Pair) -> None:
    """Its history has another name: both sides are read from the beginning."""
    ask(pair.standby, "report")
    pair.reachable = False
    pair.fall_silent()
    deliver(pair.standby)
    pair.reachable = True
    pair.steps(6)
    with writing(pair.first.engine) as connection:
        connection.execute(update(standing).values(log="another"))
        connection.execute(deliveries.delete())
    pair.said.clear()
    pair.steps()
    assert sum(len(word.delivered) for word in pair.said) == 1
    assert pair.standby.rows(standing)[0].first_log == "another"


def test_differences_are_kept_for_the_page(pair: Pair) -> None:
    """Another site key makes other pseudonyms; another address is another archive."""
    write_durably(pair.first.home.site_key_path, b"1" * 32)
    write_durably(pair.standby.home.site_key_path, b"2" * 32)
    pair.steps()
    said = pair.standby.rows(standing)[0].differences
    assert "different site keys" in said
    write_durably(pair.standby.home.site_key_path, b"1" * 32)
    pair.steps()
    assert pair.standby.rows(standing)[0].differences == ""
