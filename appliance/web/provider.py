"""The box as a relying party of OpenID Connect Core 1.0: the authorization code flow (3.1), with PKCE (RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import httpx2
import jwt

from appliance.configuration import secret
from appliance.people.roles import Role
from appliance.people.secrets import new_secret
from appliance.people.vouched import Vouched
from appliance.settings import Oidc, Settings, is_loopback
from appliance.tls import https_context

_TIMEOUT_S: Final = 10.0
_KNOWN_S: Final = 3600.0
_ASKED_AGAIN_S: Final = 60.0
_AWAY_S: Final = 5.0
_MOST_ASKING: Final = 4
_LEEWAY_S: Final = 60.0
_MOST_BYTES: Final = 1_048_576
#: Signatures that only the provider can make.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")


class ProviderUnreachable(Exception):
    """It does not answer, or not as a provider does; the message has the cause."""


class NotVouchedFor(Exception):
    """It answers, and what it says is not that this is a user here; the message has the cause."""


@dataclass(frozen=True)
class Begun:
    """What the browser keeps between leaving for the provider and coming back."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Known:
    """Who came back, and what they may here."""

    who: Vouched
    role: Role
    sees_patients: bool


def oidc_client(settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> Provider | None:
    """The provider that is configured; None where there is none. Raises ConfigurationInvalid: a file is missing."""
    return None if settings.oidc.issuer is None else Provider(settings.oidc, monotonic)


class Provider:
    """One provider, asked from any thread. What it publishes of itself is known for an hour."""

    def __init__(self, own: Oidc, monotonic: Callable[[], float]) -> None:
        """Raises ConfigurationInvalid."""
        assert own.issuer is not None
        self._own, self._issuer, self._monotonic = own, own.issuer, monotonic
        self._secret = secret(own.client_secret_file, own.client_secret_variable)
        local = is_loopback(urlsplit(own.issuer).hostname or "")
        self._client = httpx2.Client(verify=https_context(own.ca, "oidc.ca"), trust_env=not local, timeout=_TIMEOUT_S)
        self._lock, self._asking = threading.Lock(), threading.BoundedSemaphore(_MOST_ASKING)
        self._away_until = -math.inf
        self._about: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, jwt.PyJWKSet] | None = None

    def begin(self, back: str) -> tuple[str, Begun]:
        """Where the browser goes; ``back`` is where it is sent afterwards. Raises ProviderUnreachable."""
        begun = Begun(new_secret(), new_secret(), new_secret())
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._own.client_id,
            "redirect_uri": back,
            "scope": " ".join(self._own.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        place = self._endpoint("authorization_endpoint")
        return f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}", begun

    def finish(self, code: str, begun: Begun, back: str) -> Known:
        """Who came back with ``code``. Raises ProviderUnreachable, NotVouchedFor."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": begun.verifier,
            "client_id": self._own.client_id,
        }
        headers = {"Accept": "application/json"}
        if self._secret is not None:  # client_secret_basic, RFC 6749 2.3.1
            both = f"{quote(self._own.client_id, safe='')}:{quote(self._secret, safe='')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"
        status, answer = self._asked("POST", self._endpoint("token_endpoint"), data=asked, headers=headers)
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise NotVouchedFor(f"the token endpoint answered {status}, {_plain(answer.get('error'))}")
        return self._known(self._claims(token, begun.nonce))

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """Of a token that is signed by the provider, for us, now, and for this very sign-in (OIDC Core 3.1.3.7)."""
        try:
            key = self._key(jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self._own.client_id,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": list(_REQUIRED)},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise NotVouchedFor(f"its token does not hold: {error}") from error
        if claims["nonce"] != nonce:
            raise NotVouchedFor("its token is for another sign-in")
        if claims.get("azp", self._own.client_id) != self._own.client_id:
            raise NotVouchedFor("its token is for another client")
        return claims

    def _known(self, claims: dict[str, Any]) -> Known:
        own, groups = self._own, _listed(claims.get(self._own.groups_claim))
        wanted = {Role.ADMINISTRATOR: own.administrator, Role.OPERATOR: own.operator, Role.VIEWER: own.viewer}
        role = next((role for role, those in wanted.items() if groups & set(those)), None)
        if role is None:
            raise NotVouchedFor(f"none of the {len(groups)} groups in {own.groups_claim} has a role here")
        name = claims.get(own.name_claim)
        if not isinstance(name, str) or not name.strip():
            raise NotVouchedFor(f"its token has no {own.name_claim}")
        who = Vouched(self._issuer, str(claims["sub"]), name)
        return Known(who, role, bool(groups & set(own.names)))

    def _key(self, header: dict[str, Any]) -> jwt.PyJWK:
        """The key that a token says it is signed with; asked for anew when it is not among those known."""
        if header.get("alg") not in _ALGORITHMS:
            raise NotVouchedFor("its token is not signed in a way that only the provider can")
        for again in (False, True):
            fitting = [one for one in self._known_keys(again).keys if header.get("kid") in (None, one.key_id)]
            if fitting:
                return fitting[0]
        raise NotVouchedFor("its token is signed with a key that it does not publish")

    def _known_keys(self, again: bool) -> jwt.PyJWKSet:
        with self._lock:
            age = None if self._keys is None else self._monotonic() - self._keys[0]
            if self._keys is not None and age is not None and age < (_ASKED_AGAIN_S if again else _KNOWN_S):
                return self._keys[1]
        status, answer = self._asked("GET", self._endpoint("jwks_uri"))
        try:
            found = jwt.PyJWKSet.from_dict(answer)
        except jwt.PyJWTError as error:
            raise ProviderUnreachable(f"its keys cannot be read ({status}: {error})") from error
        with self._lock:
            self._keys = (self._monotonic(), found)
        return found

    def _endpoint(self, name: str) -> str:
        place = self._published().get(name)
        parts = urlsplit(place) if isinstance(place, str) else None
        if parts is None or not (parts.scheme == "https" or is_loopback(parts.hostname or "")):
            raise ProviderUnreachable(f"it publishes no {name} that is safe to use")
        return str(place)

    def _published(self) -> dict[str, Any]:
        """Its metadata (OpenID Connect Discovery 1.0, 4)."""
        with self._lock:
            if self._about is not None and self._monotonic() - self._about[0] < _KNOWN_S:
                return self._about[1]
        status, answer = self._asked("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if answer.get("issuer") != self._issuer:
            raise ProviderUnreachable(f"it answered {status} and does not say that it is {self._issuer}")
        with self._lock:
            self._about = (self._monotonic(), answer)
        return answer

    def _asked(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of the answer, empty when it is none; redirects are not followed.

        Strangers make us ask. While it does not answer, few of them wait here, and those after them are told at once.
        """
        if self._monotonic() < self._away_until or not self._asking.acquire(blocking=False):
            raise ProviderUnreachable("it did not answer a moment ago, or many sign in at once")
        try:
            return self._answer(method, url, **more)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            self._away_until = self._monotonic() + _AWAY_S
            raise ProviderUnreachable(type(error).__name__) from error
        finally:
            self._asking.release()

    def _answer(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        until, body = self._monotonic() + _TIMEOUT_S, b""
        with self._client.stream(method, url, **more) as answer:
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > _MOST_BYTES or self._monotonic() > until:
                    raise ProviderUnreachable("its answer is too long, or too slow")
        found = _json(body)
        return answer.status_code, found if isinstance(found, dict) else {}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _listed(value: Any) -> set[str]:
    """A claim of one or several values."""
    return {str(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}


def _plain(value: Any) -> str:
    """An error code (RFC 6749 5.2) for the log; anything else is not quoted."""
    known = isinstance(value, str) and value.isascii() and value.replace("_", "").isalpha() and len(value) < 40
    return value if known else "no error code"
