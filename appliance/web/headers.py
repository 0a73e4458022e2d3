"""The answer headers every page carries, and the check of the Host a request was sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.settings import Page, is_loopback

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Where browsers come by https: they never try without for a year from then on.
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}


class GuardedAnswers:
    """ASGI middleware: security headers on every answer; never cached unless the answer says so itself.

    While the page listens on loopback only, a request must also name a loopback host, or the one of the configured
    public address: otherwise a foreign site whose name is pointed at 127.0.0.1 could read the worklist through a
    browser on the box.
    """

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self._app = app
        self._loopback_only = is_loopback(page.host)
        self._public = urlsplit(page.public_url or "").netloc
        self._headers = SECURITY_HEADERS | (TLS_HEADERS if page.is_secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        host = Headers(scope=scope).get("host", "")
        if self._loopback_only and not (_names_loopback(host) or (self._public and host == self._public)):
            refusal = PlainTextResponse("This page is open to this machine only; use http://localhost.\n", 421)
            await refusal(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)


def _names_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)
