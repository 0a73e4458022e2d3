"""What can be wrong with a wish about users and tokens; shown to the person who has it."""

from __future__ import annotations


class PeopleError(Exception):
    """The wish is not carried out and nothing has changed. ``code`` names the cause, the message has the repair."""

    code = "refused"


class NameUnfit(PeopleError):
    """It is empty, too long, or has signs that no name needs."""

    code = "name_unfit"


class NameTaken(PeopleError):
    """A user or token of this name is there."""

    code = "name_taken"


class NoSuchUser(PeopleError):
    """Nobody has this name."""

    code = "no_such_user"


class NoSuchToken(PeopleError):
    """No token has this name."""

    code = "no_such_token"


class UserLocked(PeopleError):
    """This user may not sign in."""

    code = "user_locked"


class PasswordUnfit(PeopleError):
    """It is too short, too long, or too easily guessed."""

    code = "password_unfit"


class FirstAdministrator(PeopleError):
    """With the first user the page asks everybody to sign in: it has to be one who may add others."""

    code = "first_administrator"


class LastAdministrator(PeopleError):
    """Nobody would be left who may change users."""

    code = "last_administrator"
