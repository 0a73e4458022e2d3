"""Passwords: kept as Argon2id, and compared in the same time whether or not there is anything to compare with."""

from __future__ import annotations

import statistics
import time

import pytest

from appliance.people.errors import PasswordUnfit
from appliance.people.passwords import is_outdated, is_password, password_hash

GOOD = "correct horse battery"


def test_only_an_argon2id_hash_is_kept() -> None:
    """Salted: the same password twice is not the same hash; nothing of it can be read there."""
    first, second = password_hash(GOOD, "anna"), password_hash(GOOD, "anna")
    assert first.startswith("$argon2id$")
    assert first != second
    assert GOOD not in first
    assert is_password(first, GOOD)
    assert not is_password(first, GOOD + " ")
    assert not is_outdated(first)


@pytest.mark.parametrize(
    "password", ["", "short", "eleven char", "a" * 257, "aaaaaaaaaaaaaaa", "123123123123", "anna.annaanna1"]
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    """With the repair in the message."""
    with pytest.raises(PasswordUnfit, match=r"characters|several words"):
        password_hash(password, "anna")


def test_one_password_however_it_is_composed() -> None:
    """An é typed on another keyboard is the same é."""
    assert is_password(password_hash("caf\u00e9 with two spoons", "anna"), "cafe\u0301 with two spoons")


@pytest.mark.parametrize("kept", ["", "rubbish", "$argon2id$v=19$m=65536,t=3,p=4$"])
def test_a_damaged_hash_opens_nothing(kept: str) -> None:
    """It is not an error either: the user gets another password."""
    assert not is_password(kept, GOOD)


def test_nobodys_password_is_never_right() -> None:
    """Not even the one that is compared with."""
    assert not is_password(None, "nobody has this password")


def test_an_unknown_name_takes_as_long() -> None:
    """The median of each, taken in turns so that a busy machine slows both."""
    kept = password_hash(GOOD, "anna")
    times: dict[bool, list[float]] = {True: [], False: []}
    is_password(None, "warm")
    for _ in range(7):
        for known in (True, False):
            begun = time.process_time()
            is_password(kept if known else None, "another horse battery")
            times[known].append(time.process_time() - begun)
    ratio = statistics.median(times[False]) / statistics.median(times[True])
    assert 0.5 < ratio < 2.0
