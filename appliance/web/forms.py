"""Forms that only the page itself can have sent: by the Origin header, and by a token bound to session or browser."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.types import Message, Receive

from appliance.people.secrets import new_secret
from appliance.settings import Page
from appliance.web.cookies import SESSION, VISITOR, cookie_of
from appliance.web.language import gettext as _
from appliance.web.people import visit_of

#: The field of a form, and the header of a script's request, that carries the token.
FIELD: Final = "form_token"
HEADER: Final = "X-Scanside-Form"
LARGEST_FORM_BYTES: Final = 8_388_608
_MOST_FIELDS: Final = 1000
_URLENCODED: Final = "application/x-www-form-urlencoded"
_POST_FORM: Final = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')
_FORM_KEY, _NEW_VISITOR = "scanside.form", "scanside.visitor"


def token_for(secret: str) -> str:
    """What a form carries for the cookie ``secret``; who knows it cannot tell the cookie."""
    return hmac.new(secret.encode(), b"scanside form", hashlib.sha256).hexdigest()


def form_token(request: HTTPConnection, page: Page) -> str:
    """The token of this request's forms: of its session, or of its browser where nobody has signed in."""
    if visit_of(request).session is not None:
        return token_for(cookie_of(request, page, SESSION))
    known = cookie_of(request, page, VISITOR) or request.scope.setdefault(_NEW_VISITOR, new_secret())
    return token_for(known)


def new_visitor(request: HTTPConnection) -> str | None:
    """The cookie that this answer has to give the browser, so that its forms are known again."""
    found = request.scope.get(_NEW_VISITOR)
    return None if found is None else str(found)


def with_tokens(html: str, token: str) -> str:
    """Put the token into every form that posts. Text that is shown is escaped, so no text is taken for a form."""
    return _POST_FORM.sub(lambda form: f'{form[0]}<input type="hidden" name="{FIELD}" value="{token}">', html)


def form_of(request: HTTPConnection) -> Mapping[str, str]:
    """The fields of a form that has been checked; of one sent in another way than forms are, nothing."""
    found: Mapping[str, str] = request.scope.get(_FORM_KEY, {})
    return found


async def checked(request: Request, receive: Receive, page: Page) -> Receive:
    """Check that the page itself sent this request, and return what gives its body to whoever answers it.

    Raises HTTPException: 403 a foreign page or no token, 411 and 413 a body without or beyond a size, 400 unreadable.
    """
    if not _is_own(request, page):
        raise HTTPException(403, _("This form is sent from the status page itself."))
    body = await _whole(request, receive)
    fields = _fields(request, body)
    shown = request.headers.get(HEADER) or fields.get(FIELD, "")
    known = cookie_of(request, page, SESSION if visit_of(request).session is not None else VISITOR)
    if not known or not hmac.compare_digest(shown.encode(), token_for(known).encode()):
        raise HTTPException(403, _("This form is too old or not from this browser. Reload the page and send it again."))
    request.scope[_FORM_KEY] = fields
    return _again(body, receive)


def _is_own(request: Request, page: Page) -> bool:
    origin = request.headers.get("origin", "")
    if page.public_url is not None and origin == page.public_url:
        return True
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host")


async def _whole(request: Request, receive: Receive) -> bytes:
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal():
        raise HTTPException(411, _("Say how long the request is: Content-Length."))
    if int(length) > LARGEST_FORM_BYTES:
        raise HTTPException(413, _("This is more than a form may be."))
    body = b""
    async for piece in Request(request.scope, receive).stream():
        body += piece
    return body


def _fields(request: Request, body: bytes) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _first_field(body)
    if kind != _URLENCODED:
        return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise HTTPException(400, _("This form cannot be read.")) from None


def _first_field(body: bytes) -> dict[str, str]:
    """Of a form with files only the token, which stands first; whoever answers it reads the rest."""
    head, _blank, rest = body[:1024].partition(b"\r\n\r\n")
    if f'name="{FIELD}"'.encode() not in head:
        return {}
    return {FIELD: rest.partition(b"\r\n")[0].decode("ascii", "replace")}


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
