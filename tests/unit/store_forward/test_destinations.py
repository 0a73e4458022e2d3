"""What is known about each peer."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from store_forward.database import reading, writing
from store_forward.destinations import (
    Contact,
    advance_cursor,
    contact_of,
    destinations,
    read_cursor,
    record_contact,
)


def test_since_moves_only_when_the_state_changes(engine: Engine) -> None:
    """Down at 10, still down at 20, up at 30, down at 40: down since 40, last heard of at 30."""
    with writing(engine) as connection:
        for state, now in [("down", 10.0), ("down", 20.0), ("up", 30.0), ("down", 40.0), ("down", 50.0)]:
            record_contact(connection, "cloud", "cloud", state, f"at {now}", now)
    with reading(engine) as connection:
        row = connection.execute(select(destinations)).one()
        assert contact_of(connection, "cloud") is Contact.DOWN
        assert contact_of(connection, "never met") is Contact.UNKNOWN
    assert (row.state, row.since, row.last_ok_at, row.detail) == ("down", 40.0, 30.0, "at 50.0")


def test_an_unknown_state_is_no_state(engine: Engine) -> None:
    """The set is closed."""
    with pytest.raises(ValueError, match="sideways"), writing(engine) as connection:
        record_contact(connection, "cloud", "cloud", "sideways", "", 1.0)


def test_the_cursor_never_goes_back(engine: Engine) -> None:
    """Not by a late answer and not by contact."""
    with writing(engine) as connection:
        assert read_cursor(connection, "cloud") == 0
        record_contact(connection, "cloud", "cloud", "up", "", 1.0)
        advance_cursor(connection, "cloud", 7)
        advance_cursor(connection, "cloud", 3)
        record_contact(connection, "cloud", "cloud", "up", "", 2.0)
        assert read_cursor(connection, "cloud") == 7
