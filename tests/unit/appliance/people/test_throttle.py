"""Guessing is slowed down for whoever guesses, and for nobody else."""

from __future__ import annotations

import pytest

from appliance.people.throttle import (
    FORGOTTEN_AFTER_S,
    FREE_FOR_ACCOUNT,
    FREE_FOR_ADDRESS,
    LONGEST_PAUSE_S,
    MOST_REMEMBERED,
    Throttle,
)

EVIL, GOOD = "192.0.2.66", "192.0.2.7"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """At zero."""
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    """One that has seen nothing yet."""
    return Throttle(clock)


def tries_within(throttle: Throttle, clock: Clock, seconds: float, address: str = EVIL) -> int:
    """How many guesses at one account one address gets in."""
    end, count = clock.now + seconds, 0
    while clock.now < end:
        pause = throttle.attempt(address, "anna")
        count += pause == 0
        clock.now += max(pause, 0.001)
    return count


def test_a_day_of_guessing_is_a_few_hundred_guesses(throttle: Throttle, clock: Clock) -> None:
    """Pauses double up to the longest."""
    assert tries_within(throttle, clock, 86_400.0) <= FREE_FOR_ACCOUNT + 10 + 86_400 / LONGEST_PAUSE_S


def test_the_right_person_elsewhere_meets_no_pause(throttle: Throttle, clock: Clock) -> None:
    """However long somebody guesses at the account."""
    tries_within(throttle, clock, 3600.0)
    clock.now -= 1.0
    assert throttle.attempt(EVIL, "anna") > 0
    assert throttle.attempt(GOOD, "anna") == 0


def test_trying_many_names_is_slowed_as_well(throttle: Throttle) -> None:
    """One address, another account each time: the address is counted."""
    pauses = [throttle.attempt(EVIL, f"user {number}") for number in range(FREE_FOR_ADDRESS + 1)]
    assert pauses[:-1] == [0.0] * FREE_FOR_ADDRESS
    assert pauses[-1] > 0


def test_success_begins_anew_for_the_account_but_pardons_no_other_failure(throttle: Throttle) -> None:
    """A guesser with an account of its own cannot wash its address clean with it."""
    for number in range(200):
        if throttle.attempt(EVIL, f"user {number}") > 0 or throttle.attempt(EVIL, "own") > 0:
            break
        throttle.succeeded(EVIL, "own")
    assert number <= FREE_FOR_ADDRESS


def test_a_typing_error_costs_nothing(throttle: Throttle, clock: Clock) -> None:
    """Neither the next morning nor the next try."""
    assert [throttle.attempt(GOOD, "anna") for _ in range(FREE_FOR_ACCOUNT)] == [0.0] * FREE_FOR_ACCOUNT
    clock.now = 0.5
    assert throttle.attempt(GOOD, "anna") == pytest.approx(0.5)
    clock.now = 1.0
    assert throttle.attempt(GOOD, "anna") == 0
    clock.now = 2 * FORGOTTEN_AFTER_S
    assert [throttle.attempt(GOOD, "anna") for _ in range(2)] == [0.0, 0.0]
    clock.now = 4 * FORGOTTEN_AFTER_S
    free = [throttle.attempt(GOOD, "anna") for _ in range(FREE_FOR_ACCOUNT + 1)]
    assert free == [0.0] * FREE_FOR_ACCOUNT + [1.0], "the few before count no more, either"


def test_waiting_is_not_failing(throttle: Throttle) -> None:
    """Who asks again too early is told again how long, and it does not grow."""
    for _ in range(FREE_FOR_ACCOUNT):
        throttle.attempt(EVIL, "anna")
    assert [throttle.attempt(EVIL, "anna") for _ in range(50)] == [1.0] * 50


def test_an_ipv6_network_is_one_address(throttle: Throttle, clock: Clock) -> None:
    """Whoever has one has 2⁶⁴; an IPv4 address in IPv6's clothes is what it is."""
    tries_within(throttle, clock, 100.0, "2001:db8::1")
    clock.now -= 1.0
    assert throttle.attempt("2001:db8::ffff:1", "anna") > 0
    assert throttle.attempt("2001:db8:0:1::1", "anna") == 0
    tries_within(throttle, clock, 100.0, "::ffff:192.0.2.1")
    clock.now -= 1.0
    assert throttle.attempt("192.0.2.1", "anna") > 0


def test_memory_has_an_end(throttle: Throttle) -> None:
    """What tried longest ago is forgotten first."""
    for number in range(MOST_REMEMBERED + 10):
        throttle.attempt(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "anna")
    assert len(throttle._tries) <= MOST_REMEMBERED
