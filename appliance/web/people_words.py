"""Words about users, roles, tokens and what goes wrong with them."""

from __future__ import annotations

from typing import Final

from appliance.people.errors import PeopleError
from appliance.people.passwords import SHORTEST_PASSWORD
from appliance.people.roles import Role
from appliance.people.tokens import Scope
from appliance.web.language import gettext as _
from appliance.web.language import later

ROLE_WORDS: Final = {
    Role.VIEWER: later("Viewer"),
    Role.OPERATOR: later("Operator"),
    Role.ADMINISTRATOR: later("Administrator"),
}

SCOPE_WORDS: Final = {
    Scope.STATUS: later("read how the box is, no study"),
    Scope.STUDIES: later("read studies"),
    Scope.OPERATE: later("read and operate"),
    Scope.ADMINISTER: later("administer"),
}

PROBLEM_WORDS: Final = {
    "name_unfit": later(
        "A name begins with a letter or digit and has at most 64 letters, digits, spaces and . _ - @ '"
    ),
    "name_taken": later("This name is taken. Choose another one."),
    "no_such_user": later("There is no user of this name any more."),
    "no_such_token": later("There is no token of this name any more."),
    "user_locked": later("This user is locked. An administrator can unlock it."),
    "password_unfit": later("The password needs %(least)d characters or more and must not be easily guessed."),
    "first_administrator": later("The first user has to be an administrator."),
    "last_administrator": later("This is the last administrator. Make another one first."),
}

CHANGE_WORDS: Final = {
    "user_added": later("user added"),
    "role_changed": later("role changed"),
    "password_changed": later("password changed"),
    "user_locked": later("user locked"),
    "user_unlocked": later("user unlocked"),
    "user_removed": later("user removed"),
    "token_added": later("token added"),
    "token_removed": later("token removed"),
}

#: What a page says after something was done; the word stands in its address.
DONE_WORDS: Final = {
    "added": later("The user is added."),
    "changed": later("Role and names are changed. Who was signed in has to sign in again."),
    "password": later("The password is changed. All other sessions have ended."),
    "locked": later("The user is locked, and all sessions have ended."),
    "unlocked": later("The user may sign in again."),
    "removed": later("The user is removed."),
    "token_removed": later("The token opens nothing any more."),
    "others_ended": later("All other sessions have ended."),
}


def problem_words(error: PeopleError) -> str:
    """What is wrong and what to do, in the language of the page."""
    return _(PROBLEM_WORDS[error.code]) % {"least": SHORTEST_PASSWORD}


def done_words(word: str) -> str:
    """What was done, or nothing."""
    return _(DONE_WORDS[word]) if word in DONE_WORDS else ""
