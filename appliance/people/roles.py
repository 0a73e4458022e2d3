"""What a person or a program may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Role(IntEnum):
    """Each may do all that those before it may. Nobody has signed in; a monitor reads how the box is, no study."""

    NOBODY = 0
    MONITOR = 1
    VIEWER = 2
    OPERATOR = 3
    ADMINISTRATOR = 4

    @property
    def word(self) -> str:
        """Its name in the database, on the command line and in URLs."""
        return self.name.lower()


#: The roles of people; a monitor is always a program.
USER_ROLES: Final = (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)


@dataclass(frozen=True)
class Person:
    """Who asks. ``name`` is empty where nobody has to sign in; ``sees_patients`` tells whether names are shown."""

    name: str
    role: Role
    sees_patients: bool

    def may(self, role: Role) -> bool:
        """Whether what needs ``role`` is open to this person."""
        return self.role >= role


#: Whoever has not signed in where one has to.
STRANGER: Final = Person("", Role.NOBODY, False)
