"""Who looks at the page, and what a person's role allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from starlette.requests import Request

from appliance.settings import Settings


class Role(IntEnum):
    """Each may do all that those before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMINISTRATOR = 3


@dataclass(frozen=True)
class Person:
    """Who asks. ``name`` is empty where nobody has to sign in; ``sees_patients`` tells whether names are shown."""

    name: str
    role: Role
    sees_patients: bool

    def may(self, role: Role) -> bool:
        """Whether what needs ``role`` is open to this person."""
        return self.role >= role


def person_of(request: Request, settings: Settings) -> Person:  # noqa: ARG001
    """Whoever asks. On a box without users everybody who reaches the page administers it."""
    return Person("", Role.ADMINISTRATOR, settings.page.show_patient)
