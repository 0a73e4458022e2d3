"""An OpenID provider on this machine that knows one person, and can be told to lie about them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

CLIENT, SECRET = "scanside", "s3cret: of the client"
Claims = dict[str, Any]


@dataclass
class OpenIdProvider:
    """``claims`` are what it says of the person; ``tells`` may change the whole token's claims before it is signed."""

    issuer: str
    claims: Claims = field(
        default_factory=lambda: {"sub": "7", "preferred_username": "Zoë@ward", "groups": ["radiology"]}
    )
    tells: Callable[[Claims], Claims] = lambda claims: claims
    signs: Callable[[Claims], str] | None = None
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    key_id: str = "one"
    published: Claims = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def metadata(self) -> Claims:
        """As OpenID Connect Discovery has it."""
        places = {
            name: f"{self.issuer}/{path}"
            for name, path in (
                ("authorization_endpoint", "authorize"),
                ("token_endpoint", "token"),
                ("jwks_uri", "keys"),
            )
        }
        return {"issuer": self.issuer, **places, **self.published}

    def keys(self) -> Claims:
        """The key that it signs with."""
        one = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**one, "kid": self.key_id, "use": "sig", "alg": "ES256"}]}

    def authorized(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to: the person is known already and agrees."""
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def token(self, asked: dict[str, str], authorization: str) -> tuple[int, Claims]:
        """The answer of the token endpoint; a code counts once."""
        kept = self.codes.pop(asked.get("code", ""), None)
        client = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if client != f"{CLIENT}:s3cret%3A%20of%20the%20client":
            return 401, {"error": "invalid_client"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(asked["code_verifier"].encode()).digest())
        if kept is None or challenge.rstrip(b"=").decode() != kept["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if asked["redirect_uri"] != kept["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        claims = self.tells({"iss": self.issuer, "aud": CLIENT, **times, "nonce": kept["nonce"], **self.claims})
        signed = self.signs or (
            lambda told: jwt.encode(told, self.key, algorithm="ES256", headers={"kid": self.key_id})
        )
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": signed(claims)}


@contextmanager
def openid_provider(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[OpenIdProvider]:
    """One that listens until the end of the block, over TLS if it is given."""
    provider = OpenIdProvider("")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, provider)) as server:
        provider.issuer = f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield provider
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, provider: OpenIdProvider, *arguments: Any) -> None:
        self._provider = provider
        super().__init__(*arguments)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._provider.asked.append(parts.path)
        if parts.path == "/authorize":
            asked = {name: value for name, (value,) in parse_qs(parts.query).items()}
            self.send_response(303)
            self.send_header("Location", self._provider.authorized(asked))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif parts.path == "/keys":
            self._answer(200, self._provider.keys())
        else:
            self._answer(200, self._provider.metadata())

    def do_POST(self) -> None:
        self._provider.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: value for name, (value,) in parse_qs(body).items()}
        self._answer(*self._provider.token(asked, self.headers.get("Authorization", "")))

    def _answer(self, status: int, found: Claims) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
