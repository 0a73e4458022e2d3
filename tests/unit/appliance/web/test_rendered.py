"""What is rendered once and shown to many."""

from __future__ import annotations

import threading

import pytest

from appliance.web.rendered import MOST_KEPT, Rendered


def test_one_state_is_rendered_once() -> None:
    """Anew for another state, for another key, and after a failure."""
    made: list[str] = []
    rendered = Rendered()

    def get(key: str, digest: str) -> str:
        def make() -> str:
            made.append(key + digest)
            return key + digest

        return rendered.get(key, digest, make)

    assert [get("a", "1"), get("a", "1"), get("b", "1"), get("a", "2")] == ["a1", "a1", "b1", "a2"]
    assert made == ["a1", "b1", "a2"]
    with pytest.raises(ZeroDivisionError):
        rendered.get("c", "1", lambda: str(1 // 0))
    assert get("c", "1") == "c1"


def test_many_who_ask_at_once_wait_for_one() -> None:
    """A change of the state is not rendered fifty times by fifty threads."""
    began, goes_on = threading.Event(), threading.Event()
    made: list[int] = []
    rendered = Rendered()

    def make() -> str:
        made.append(1)
        began.set()
        assert goes_on.wait(20)
        return "page"

    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(rendered.get("a", "1", make))) for _ in range(20)]
    threads[0].start()
    assert began.wait(20)
    for thread in threads[1:]:
        thread.start()
    goes_on.set()
    for thread in threads:
        thread.join(20)
    assert (found, len(made)) == (["page"] * 20, 1)


def test_no_more_is_kept_than_is_looked_at() -> None:
    """What was asked for longest ago goes first."""
    rendered = Rendered()
    for number in range(MOST_KEPT + 1):
        rendered.get(number, "1", lambda: "old")
    assert rendered.get(0, "1", lambda: "new") == "new"
    assert rendered.get(MOST_KEPT, "1", lambda: "new") == "old"
