"""What is written down about users: each change for the users page, and changes and sign-ins in the audit trail."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, insert

from appliance.audit.events import EventType, Outcome, Participant, Subject, alert, signed
from appliance.audit.trail import record
from appliance.people.tables import people_events

#: In the audit trail, who did it where nobody had to sign in, and who tried under a name that there is not.
_CONSOLE: Final = "console"
_UNKNOWN: Final = "unknown"
_ROLES: Final = frozenset({"user_added", "role_changed", "user_removed", "token_added", "token_removed"})


def record_change(connection: Connection, by: str, kind: str, about: str, at: float, detail: str = "") -> None:
    """Write down a change in the caller's transaction; empty ``by``: nobody had to sign in."""
    connection.execute(insert(people_events).values(by=by, kind=kind, about=about, at=at, detail=detail))
    what = EventType.ROLES_CHANGED if kind in _ROLES else EventType.USER_ATTRIBUTES_CHANGED
    who, subjects = (Participant(by or _CONSOLE, requestor=True),), (Subject("user", about, detail),)
    record(connection, alert(what, who, kind.replace("_", " "), subjects), at)


def record_sign_in(connection: Connection, user: str, address: str, at: float, *, done: bool) -> None:
    """Somebody has signed in, or has tried to; empty ``user``: under a name that there is not."""
    outcome = Outcome.SUCCESS if done else Outcome.MINOR_FAILURE
    record(connection, signed(EventType.LOGIN, user or _UNKNOWN, address, outcome), at)


def record_sign_out(connection: Connection, user: str, address: str, at: float) -> None:
    """Somebody has signed out."""
    record(connection, signed(EventType.LOGOUT, user, address), at)
