"""Who may use DICOMweb: nobody unless it is switched on, and beyond loopback only who shows the bearer token."""

from __future__ import annotations

import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from appliance.configuration import secret
from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings, is_loopback

SHORTEST_TOKEN: Final = 16


def dicomweb_token(settings: Settings) -> str | None:
    """The token that has to be shown; None where none is asked for.

    Raises:
        ConfigurationInvalid: it cannot be read, is too short, or is missing although the page is beyond loopback.
    """
    own = settings.dicomweb
    if not own.enabled:
        return None
    token = secret(own.token_file, own.token_variable)
    if token is None and not is_loopback(settings.page.host):
        repair = f"set dicomweb.token_file or the environment variable {own.token_variable}"
        raise ConfigurationInvalid("dicomweb", (f"beyond loopback it needs a bearer token; {repair}",))
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise ConfigurationInvalid(
            "dicomweb", (f"its token is shorter than {SHORTEST_TOKEN} characters; make a longer one",)
        )
    return token


class Door:
    """ASGI middleware in front of all routes of this package."""

    def __init__(self, app: ASGIApp, enabled: bool, token: str | None) -> None:
        self._app = app
        self._enabled = enabled
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it."""
        if not self._enabled:
            closed = failed(404, "DICOMweb is closed on this box; dicomweb.enabled = true opens it.")
            await closed(scope, receive, send)
        elif self._token is not None and not self._shown(Headers(scope=scope).get("authorization", "")):
            refusal = failed(401, "Show the box's DICOMweb token: Authorization: Bearer TOKEN.")
            refusal.headers["WWW-Authenticate"] = 'Bearer realm="scanside"'
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _shown(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        assert self._token is not None
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token.encode())


def failed(status: int, sentence: str) -> JSONResponse:
    """An answer in this server's usual form of a failure."""
    return JSONResponse({"status": "failed", "detail": sentence}, status)
