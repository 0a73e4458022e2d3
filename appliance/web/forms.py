"""Forms that only the page itself can have sent: by the Origin header, and by a token bound to session or browser."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.people.secrets import new_secret
from appliance.settings import Page
from appliance.web.cookies import SESSION, VISITOR, cookie_of, set_cookie_header
from appliance.web.language import gettext as _
from appliance.web.people import visit_of

#: The field of a form, and the header of a script's request, that carries the token.
FIELD: Final = "form_token"
HEADER: Final = "X-Scanside-Form"
LARGEST_FORM_BYTES: Final = 8_388_608
_MOST_FIELDS: Final = 1000
_URLENCODED: Final = "application/x-www-form-urlencoded"
_POST_FORM: Final = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')
_HEAD: Final = '<meta name="form-token">'
_FORM_KEY: Final = "scanside.form"
#: Of a form with files: the token is its first field.
_BEGINNING_BYTES: Final = 1024


def token_for(secret: str) -> str:
    """What a form carries for the cookie ``secret``; who knows it cannot tell the cookie."""
    return hmac.new(secret.encode(), b"scanside form", hashlib.sha256).hexdigest()


class TokensInForms:
    """ASGI middleware: puts the token into every form of every page, so that no page can forget it.

    Text that is shown is escaped, so no text is taken for a form. It stands outside of what finds out who asks, and of
    whatever keeps pages for several browsers.
    """

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self._app, self._page = app, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        html = b""

        async def put(message: Message) -> None:
            nonlocal start, html
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is None:
                await send(message)
            else:
                html += message.get("body", b"")
                if not message.get("more_body", False):
                    whole, start = self._finished(HTTPConnection(scope), start, html), None
                    for part in whole:
                        await send(part)

        await self._app(scope, receive, put)

    def _finished(self, request: HTTPConnection, start: Message, html: bytes) -> tuple[Message, Message]:
        secret, new = self._secret(request)
        headers = MutableHeaders(scope=start)
        if new:
            set_cookie_header(headers, self._page, VISITOR, secret)
        whole = with_tokens(html.decode(), token_for(secret)).encode()
        headers["Content-Length"] = str(len(whole))
        return start, {"type": "http.response.body", "body": whole}

    def _secret(self, request: HTTPConnection) -> tuple[str, bool]:
        """What forms are bound to: the session, or the browser where nobody has signed in; and whether it is new."""
        if visit_of(request).session is not None:
            return cookie_of(request, self._page, SESSION), False
        known = cookie_of(request, self._page, VISITOR)
        return known or new_secret(), not known


def _is_page(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")


def with_tokens(html: str, token: str) -> str:
    """The page with the token in every form that posts, and at its head for scripts."""
    html = html.replace(_HEAD, f'<meta name="form-token" content="{token}">', 1)
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
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        begun = await _beginning(receive)
        fields = _first_field(b"".join(one.get("body", b"") for one in begun))
    else:
        begun = [{"type": "http.request", "body": await _whole(request, receive), "more_body": False}]
        fields = _fields(begun[0]["body"]) if kind == _URLENCODED else {}
    shown = request.headers.get(HEADER) or fields.get(FIELD, "")
    known = cookie_of(request, page, SESSION if visit_of(request).session is not None else VISITOR)
    if not known or not hmac.compare_digest(shown.encode(), token_for(known).encode()):
        raise HTTPException(403, _("This form is too old or not from this browser. Reload the page and send it again."))
    request.scope[_FORM_KEY] = fields
    return _again(begun, receive)


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


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise HTTPException(400, _("This form cannot be read.")) from None


async def _beginning(receive: Receive) -> list[Message]:
    """What has come until the first field is there; how much there may be is for whoever answers."""
    begun: list[Message] = []
    while sum(len(one.get("body", b"")) for one in begun) < _BEGINNING_BYTES:
        begun.append(await receive())
        if not begun[-1].get("more_body", False):
            break
    return begun


def _first_field(begun: bytes) -> dict[str, str]:
    """The token, if it is the first field; whoever answers reads the rest."""
    head, _blank, rest = begun[:_BEGINNING_BYTES].partition(b"\r\n\r\n")
    if f'name="{FIELD}"'.encode() not in head:
        return {}
    return {FIELD: rest.partition(b"\r\n")[0].decode("ascii", "replace")}


def _again(begun: list[Message], receive: Receive) -> Receive:
    """Gives what was received already, then what comes."""
    waiting = iter(begun)

    async def replay() -> Message:
        return next(waiting, None) or await receive()

    return replay
