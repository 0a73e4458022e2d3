"""The standby's question over real HTTP: every way the two can be set up wrongly has a sentence with its repair."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn

from appliance.commands.check_pair import pair_results
from appliance.commands.status import status_of, status_text
from appliance.demo.stage import free_port, listening
from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from appliance.standby.keeper import keeper_of, standby_token
from appliance.standby.link import FirstBox, NoPulse, look
from appliance.standby.state import Turn, ensure_standing, remember
from appliance.standby.words import LARGEST_WORD_BYTES, Word
from appliance.web.app import build_app
from store_forward.database import writing
from store_forward.outbox import deliveries
from tests.listening_box import wait_until
from tests.small_box import MakeBox, SmallBox
from tests.unit.appliance.standby.conftest import ask, mark

TOKEN = "sixteen characters or more"
Serve = Callable[[SmallBox], str]


@contextmanager
def _served(box: SmallBox, port: int) -> Iterator[str]:
    app = build_app(box.settings, box.engine, box.spool)
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: listening(port), "the page to listen")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves the page of a box; returns its address."""
    with ExitStack() as stack:
        yield lambda box: stack.enter_context(_served(box, free_port()))


@pytest.fixture
def token(tmp_path: Path) -> str:
    """The path of a file with the token, as the configuration has it."""
    (tmp_path / "token").write_text(TOKEN)
    return str(tmp_path / "token")


def _log(box: SmallBox) -> str:
    with writing(box.engine) as connection:
        return str(ensure_standing(connection).log)


def _said(url: str, box: SmallBox, token: str = TOKEN) -> str:
    with pytest.raises(NoPulse) as raised:
        look(url, token, _log(box), 5.0)
    return str(raised.value)


def _checked(box: SmallBox) -> str:
    (found,) = pair_results(box.home, box.settings)
    return ("ok " if found.ok else "BAD ") + found.detail


def test_what_the_standby_settled_is_durable_before_it_is_answered(make_box: MakeBox, serve: Serve, token: str) -> None:
    """Over the wire and into the first's database; telling it again changes nothing."""
    first = make_box("first", standby={"token_file": token})
    ask(first, "report")
    link = FirstBox(serve(first), TOKEN, 5.0)
    for _ in range(2):
        pulse = link.exchange(Word(delivered=(mark("report"),)), "other")
    link.close()
    assert [row.state for row in first.rows(deliveries)] == ["delivered"]
    assert pulse.silent == ("receiver", "triage", "uplink")


def test_looking_changes_nothing(make_box: MakeBox, serve: Serve, token: str) -> None:
    """``scanside check`` must not make the first believe that a standby is there."""
    first = make_box("first", standby={"token_file": token})
    look(serve(first), TOKEN, "other", 5.0)
    with writing(first.engine) as connection:
        assert ensure_standing(connection).heard_at is None


def test_each_wrong_set_up_is_told_with_its_repair(make_box: MakeBox, serve: Serve, token: str) -> None:
    """Wrong token, no token there, another standby, this box itself, nobody there at all."""
    own = make_box("own", standby={"of": "http://127.0.0.1:1", "token_file": token})
    first = make_box("first", standby={"token_file": token})
    assert "same token into both" in _said(serve(first), own, "another sixteen characters")
    assert "expects no standby" in _said(serve(make_box("alone")), own)
    other = make_box("other", standby={"of": "http://127.0.0.1:9", "token_file": token})
    assert "is itself a standby, of http://127.0.0.1:9" in _said(serve(other), own)
    assert "is this box itself" in _said(serve(own), own)
    assert "is this box itself" in _said(serve(first), first)
    assert "cannot be reached (ConnectError)" in _said(f"http://127.0.0.1:{free_port()}", own)


def test_a_word_that_is_none_and_one_that_is_too_long_are_refused(
    make_box: MakeBox, serve: Serve, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is read to its end nor changes anything."""
    url = serve(make_box("first", standby={"token_file": token}))
    for content, status in ((b"{", "HTTP status 400"), (b" " * (LARGEST_WORD_BYTES + 1), "too long for it")):
        monkeypatch.setattr(Word, "model_dump_json", lambda self, content=content: content.decode())
        with pytest.raises(NoPulse, match=status):
            look(url, TOKEN, "other", 5.0)


def test_check_says_how_the_two_boxes_stand(make_box: MakeBox, serve: Serve, token: str) -> None:
    """Nothing of a box that is alone; of a standby whether its first is heard and like it."""
    first = make_box("first", standby={"token_file": token})
    assert _checked(first) == "ok this box is the first of two"
    alone = make_box("alone")
    assert not list(pair_results(alone.home, alone.settings))
    standby = make_box("standby", standby={"of": serve(first), "token_file": token})
    assert "its triage process does not report" in _checked(standby)
    lost = make_box("lost", standby={"of": "http://127.0.0.1:1", "token_file": token})
    assert _checked(lost).startswith("BAD http://127.0.0.1:1 cannot be reached")
    bare = make_box("bare", standby={"of": "http://127.0.0.1:1"})
    assert _checked(bare).startswith("BAD there is no token to show to http://127.0.0.1:1; set standby.token_file")


def test_a_standby_without_a_token_does_not_start(box: SmallBox, tmp_path: Path) -> None:
    """Said at the start of ``scanside serve``, not at night."""
    of = {"of": "http://127.0.0.1:1"}
    with pytest.raises(ConfigurationInvalid, match="there is no token"):
        standby_token(Settings.model_validate({"standby": of}))
    (tmp_path / "short").write_text("short")
    with pytest.raises(ConfigurationInvalid, match="shorter than 16"):
        standby_token(Settings.model_validate({"standby": of | {"token_file": tmp_path / "short"}}))
    with pytest.raises(ValueError, match="must look like http"):
        Settings.model_validate({"standby": {"of": "first:8080"}})


def test_a_box_that_is_alone_again_holds_nothing(box: SmallBox) -> None:
    """Once standby.of has been taken out of the configuration, what was held is an outbox like any other."""
    with writing(box.engine) as connection:
        remember(connection, turn=Turn.STANDING_BY.value)
    assert keeper_of(box.settings, box.engine) is None
    assert status_of(box.settings)["standby"] is None


def test_status_says_whose_turn_it_is(make_box: MakeBox, token: str) -> None:
    """Standing by with what is held, and standing in with the reason, as a problem."""
    box = make_box("standby", standby={"of": "http://127.0.0.1:1", "token_file": token})
    ask(box, "report")
    with writing(box.engine) as connection:
        remember(connection, turn=Turn.STANDING_BY.value, since=1.0)
    text = status_text(status_of(box.settings))
    assert "two boxes    standing by of http://127.0.0.1:1, 1 held" in text
    assert "1 delivery is held while the first is heard" in text
    with writing(box.engine) as connection:
        remember(connection, turn=Turn.STANDING_IN.value, trouble="it burns", differences="Other keys.")
    text = status_text(status_of(box.settings))
    assert "! This box stands in for the first, which is silent: it burns." in text
    assert "! Other keys." in text
