"""Names of users and tokens: of any script, one way to write each."""

from __future__ import annotations

import unicodedata
from typing import Final

from appliance.people.errors import NameUnfit

LONGEST_NAME: Final = 64
_BETWEEN: Final = frozenset(" ._-@'’")


def as_written(text: str) -> str:
    """The one way this name is written: composed (NFKC), in small letters, without spaces around it."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def fit_name(text: str) -> str:
    """The name as it is kept. Raises NameUnfit: it is none."""
    name = as_written(text)
    if not name or len(name) > LONGEST_NAME:
        raise NameUnfit(f"a name has 1 to {LONGEST_NAME} characters")
    if not name[0].isalnum() or not all(sign.isalnum() or _is_mark(sign) or sign in _BETWEEN for sign in name):
        raise NameUnfit("a name begins with a letter or digit and has letters, digits, spaces and . _ - @ ' only")
    return name


def _is_mark(sign: str) -> bool:
    """Vowel signs and accents that belong to the letter before them."""
    return unicodedata.category(sign) in ("Mn", "Mc")
