"""In which language a page speaks: the catalogues of messages, and the language of the request being answered."""

from __future__ import annotations

import io
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

#: The languages of the page; the first is the one its messages are written in.
LANGUAGES = ("en", "es", "fr", "pt", "ar")
COOKIE = "scanside_language"
CATALOGUES = Path(__file__).parent / "catalogues"

_language: ContextVar[str] = ContextVar("language", default=LANGUAGES[0])


def language() -> str:
    """The language of the request that is being answered; English outside of one."""
    return _language.get()


def locale() -> Locale:
    """Its locale: plural rules, names, numbers, and in which direction it is written."""
    return Locale.parse(language())


def gettext(message: str) -> str:
    """``message`` in the language of the request; as it is where the catalogue lacks it."""
    return _catalogue(language()).gettext(message)


def ngettext(one: str, many: str, number: int) -> str:
    """As :func:`gettext`, in the plural form ``number`` takes."""
    return _catalogue(language()).ngettext(one, many, number)


def later(message: str) -> str:
    """Mark a message that stands in a table and is translated where it is shown."""
    return message


@cache
def _catalogue(code: str) -> Translations:
    """The messages of one language. Raises OSError when its file is missing."""
    if code == LANGUAGES[0]:
        return Translations()
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        messages = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return Translations(compiled)


class Speaking:
    """ASGI middleware: the language a person has chosen, else the first that the browser asks for and we have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request in its language."""
        if scope["type"] == "http":
            _language.set(_asked_for(HTTPConnection(scope)))
        await self._app(scope, receive, send)


def _asked_for(connection: HTTPConnection) -> str:
    chosen = connection.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return str(chosen)
    ranges = (one.partition(";")[0].strip() for one in connection.headers.get("accept-language", "").split(","))
    wanted = [one for one in ranges if one.replace("-", "").isalnum()]
    return negotiate_locale(wanted, LANGUAGES, sep="-") or LANGUAGES[0]
