"""To a webhook: one POST for each event, signed as Standard Webhooks (standardwebhooks.com) says.

``webhook-id`` is the event's id and never changes; ``webhook-timestamp`` is when this attempt began, in seconds since
1970-01-01 UTC; ``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``, under the
bytes that follow ``whsec_`` in the secret. ``Idempotency-Key`` repeats the id.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import httpx2

from appliance.configuration import secret
from appliance.errors import ConfigurationInvalid
from appliance.results.http import beginning_of, client_for, retry_after_s
from appliance.settings import Webhook
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Delivery

#: The type of an event that a person at the box has sent to see whether the receiver takes events.
TEST_EVENT: Final = "test"
_PREFIX: Final = "whsec_"
_SHORTEST_KEY, _LONGEST_KEY = 24, 64  # bytes, as the convention has it
_MOST_WORDS_BYTES: Final = 2048
_MOST_WORDS: Final = 300
_LATER: Final = frozenset({407, 408, 425, 429})
_A_SECRET: Final = (
    "make one with: python3 -c 'import base64, secrets; "
    'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\''
)


class WebhookLink:
    """One receiver. Redirects are not followed: what is signed for one address goes to no other."""

    def __init__(self, name: str, url: str, key: bytes, timeout_s: float) -> None:
        """``key`` is what follows ``whsec_``, decoded; ``timeout_s`` the longest silence of one request."""
        self.name = name
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._client = client_for(url)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:  # noqa: ARG002
        """POST one event; the receipt is the status of the answer and when it came.

        Raises:
            DeliveryDeferred: no connection, or an answer that may be another one later.
            DeliveryRefused: an answer that says never, with the receiver's words.
        """
        status = self.post(str(delivery.attributes["event_id"]), path.read_bytes())
        return json.dumps({"status": status, "at": time.time()})

    def post(self, number: str, body: bytes) -> int:
        """One signed request about the event of this id; returns the status of its success. Raises as ``carry``."""
        now = time.time()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Scanside",
            "Accept-Encoding": "identity",
            "Idempotency-Key": number,
            "webhook-id": number,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signature(self._key, number, int(now), body),
        }
        try:
            with self._client.stream(
                "POST", self._url, headers=headers, content=body, timeout=self._timeout_s, follow_redirects=False
            ) as answer:
                if answer.is_success:
                    return int(answer.status_code)
                raise _failure(answer, _words(answer, time.monotonic() + self._timeout_s))
        except httpx2.TransportError as error:
            raise DeliveryDeferred("webhook_unreachable", type(error).__name__) from error


def open_webhooks(webhooks: Iterable[Webhook]) -> list[WebhookLink]:
    """A link to each. Raises ConfigurationInvalid: one has no secret, or none that can sign."""
    return [WebhookLink(one.name, one.url, signing_key(one), one.timeout_s) for one in webhooks]


def signing_key(webhook: Webhook) -> bytes:
    """The bytes that sign. Raises ConfigurationInvalid; the secret itself is never in its words."""
    where = f"webhook {webhook.name}"
    found = secret(webhook.secret_file, webhook.secret_variable or "")
    if found is None:
        raise ConfigurationInvalid(where, (f"{webhook.secret_variable} is not in the environment; {_A_SECRET}",))
    try:
        key = base64.b64decode(found.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not found.startswith(_PREFIX) or not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        wanted = f"its secret is not {_PREFIX} and base64 of {_SHORTEST_KEY} to {_LONGEST_KEY} bytes"
        raise ConfigurationInvalid(where, (f"{wanted}; {_A_SECRET}",))
    return key


def signature(key: bytes, number: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and base64 of the HMAC-SHA256 over id, timestamp and body."""
    signed = hmac.digest(key, f"{number}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(signed).decode()


def _failure(answer: httpx2.Response, words: str) -> DeliveryDeferred | DeliveryRefused:
    """What a status that is no success means."""
    status = answer.status_code
    said = f"HTTP status {status}" + (f": {words}" if words else "")
    if status in _LATER or status >= 500:
        pause_s = retry_after_s(answer.headers.get("Retry-After", ""), time.time())
        return DeliveryDeferred("webhook_error" if status >= 500 else "webhook_busy", said, pause_s)
    if status < 400:
        return DeliveryDeferred("webhook_redirected", said)
    if status == 410:
        return DeliveryRefused("webhook_gone", said)
    return DeliveryRefused("webhook_refused", said)


def _words(answer: httpx2.Response, until: float) -> str:
    """The beginning of what the receiver says, in one line without control characters."""
    text = beginning_of(answer, _MOST_WORDS_BYTES, until)[:_MOST_WORDS_BYTES].decode(errors="replace")
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_MOST_WORDS]
