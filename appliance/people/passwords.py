"""Passwords, kept as Argon2id (RFC 9106) and compared in the same time whether or not there is such a user."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.people.errors import PasswordUnfit

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
_FEWEST_SIGNS: Final = 5
#: 64 MiB and 3 passes: the second recommendation of RFC 9106, for a machine whose memory is wanted elsewhere.
_HASHER: Final = PasswordHasher()


def password_hash(password: str, name: str) -> str:
    """What is kept of a new password of the user ``name``. Raises PasswordUnfit."""
    text = _as_written(password)
    if len(text) < SHORTEST_PASSWORD:
        raise PasswordUnfit(f"a password has at least {SHORTEST_PASSWORD} characters; several words are good")
    if len(text) > LONGEST_PASSWORD:
        raise PasswordUnfit(f"a password has at most {LONGEST_PASSWORD} characters")
    if len(set(text)) < _FEWEST_SIGNS or text.casefold().replace(name, "").strip(" .-_0123456789") == "":
        raise PasswordUnfit("this password is among the first to be guessed; take several words")
    return _HASHER.hash(text)


def is_password(kept: str | None, password: str) -> bool:
    """Whether ``password`` is the one that was kept; takes as long when there is nothing to compare with."""
    text = _as_written(password[:LONGEST_PASSWORD])
    try:
        return _HASHER.verify(kept or _nobodys_hash(), text) and kept is not None and len(password) <= LONGEST_PASSWORD
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than new ones are."""
    return _HASHER.check_needs_rehash(kept)


def rehashed(password: str) -> str:
    """A password that was accepted once, with today's parameters."""
    return _HASHER.hash(_as_written(password))


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("nobody has this password")


def _as_written(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
