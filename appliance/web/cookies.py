"""The cookies of the page: HttpOnly, SameSite=Strict but for one, and with TLS bound to this host by their name."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response

from appliance.settings import Page

SESSION: Final = "scanside_session"
#: Of a browser in which nobody has signed in: what its forms are bound to.
VISITOR: Final = "scanside_visitor"
#: Of a browser that is away to sign in elsewhere.
PROVIDER: Final = "scanside_provider"


def cookie_of(request: HTTPConnection, page: Page, name: str) -> str:
    """The value the browser sent; empty when it sent none."""
    return request.cookies.get(_name(page, name), "")


def set_cookie(
    response: Response,
    page: Page,
    name: str,
    value: str,
    max_age_s: int | None = None,
    *,
    from_elsewhere: bool = False,
) -> None:
    """Give the browser a cookie, without ``max_age_s`` until it is closed.

    It is brought along ``from_elsewhere`` only when it is said to be: when another site sends the browser here.
    """
    response.set_cookie(
        _name(page, name),
        value,
        max_age=max_age_s,
        path="/",
        secure=page.is_secure,
        httponly=True,
        samesite="lax" if from_elsewhere else "strict",
    )


def set_cookie_header(headers: MutableHeaders, page: Page, name: str, value: str) -> None:
    """The same for an answer that is on its way already; until the browser is closed."""
    carrier = Response()
    set_cookie(carrier, page, name, value)
    headers.append("set-cookie", carrier.headers["set-cookie"])


def drop_cookie(response: Response, page: Page, name: str) -> None:
    """Take the cookie back."""
    response.delete_cookie(_name(page, name), path="/", secure=page.is_secure, httponly=True, samesite="strict")


def _name(page: Page, name: str) -> str:
    return f"__Host-{name}" if page.is_secure else name
