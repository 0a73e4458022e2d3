"""One HTTP request to the cloud and its whole, bounded reply; and what a reply that is no success means."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2

from store_forward import protocol
from store_forward.bandwidth import Bandwidth
from store_forward.errors import DeliveryDeferred, DeliveryRefused

LARGEST_REPLY_BYTES: Final = 65_536
LONGEST_RETRY_AFTER_S: Final = 3600.0

_REFUSALS: Final = {
    400: ("cloud_refused_request", "the endpoint cannot make sense of this payload's description"),
    protocol.TOO_LARGE: ("cloud_refused_size", "the endpoint does not take payloads of this size"),
    protocol.UNSUPPORTED_TYPE: ("cloud_refused_type", "the endpoint does not take this content type"),
}
_DEFERRALS: Final = {
    401: ("cloud_credentials_refused", "the endpoint does not know our token"),
    403: ("cloud_credentials_refused", "the endpoint does not let our token do this"),
    404: ("upload_gone", "the endpoint does not know this upload or this address"),
    protocol.OFFSET_CONFLICT: (
        "offset_conflict",
        "the endpoint has more or less of the upload than we thought",
    ),
    412: ("protocol_mismatch", "the endpoint speaks another version of the protocol"),
    protocol.LOCKED: ("upload_busy", "an earlier connection still holds the upload"),
    protocol.WRONG_DIGEST: ("digest_mismatch", "the bytes changed on the way; the upload starts again"),
    protocol.INSUFFICIENT_STORAGE: ("cloud_full", "the endpoint has no room"),
}


@dataclass(frozen=True)
class Reply:
    """Status, headers (case-insensitive) and body of a reply."""

    status: int
    headers: httpx2.Headers
    body: bytes

    def failure(self) -> DeliveryDeferred | DeliveryRefused:
        """What a status that is no success means. Only our own endpoint's word, marked as such, is final."""
        ours = self.headers.get(protocol.TUS_RESUMABLE) == protocol.TUS_VERSION
        if ours and self.status in _REFUSALS:
            return DeliveryRefused(*_REFUSALS[self.status])
        if self.status in _DEFERRALS:
            return DeliveryDeferred(*_DEFERRALS[self.status], self._retry_after_s())
        if self.status >= 500:
            return DeliveryDeferred("cloud_error", f"HTTP status {self.status}", self._retry_after_s())
        return DeliveryDeferred("cloud_answer_unreadable", f"HTTP status {self.status} makes no sense here")

    def words(self) -> str:
        """What our endpoint says in a refusal, at most 200 characters, without control characters."""
        try:
            said = str(json.loads(self.body)["error"])
        except (ValueError, TypeError, KeyError):
            return "no words of ours"
        return "".join(letter for letter in said[:200] if letter.isprintable())

    def _retry_after_s(self) -> float | None:
        value = self.headers.get("Retry-After", "")
        return min(float(value), LONGEST_RETRY_AFTER_S) if value.isascii() and value.isdigit() else None


class Exchange:
    """Sends requests with our token or certificate, follows no redirect, and reads no more of a reply than told to."""

    def __init__(
        self,
        url: str,
        token: str | None,
        timeout_s: float,
        client: httpx2.Client | None = None,
        bandwidth: Bandwidth | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Without ``client``, proxies from the environment are used unless ``url`` is on this machine.

        ``tls`` says whom to trust and which certificate to show; None: the system's authorities, and none.
        """
        self._bandwidth = bandwidth
        own_machine = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
        self._client = client or httpx2.Client(verify=True if tls is None else tls, trust_env=not own_machine)
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._headers = {
            **shown,
            protocol.TUS_RESUMABLE: protocol.TUS_VERSION,
            "Accept-Encoding": "identity",
        }

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        largest_bytes: int = LARGEST_REPLY_BYTES,
    ) -> Reply:
        """Send one request; ``wait_s`` is time the endpoint was asked to take on top of the time-out.

        Raises DeliveryDeferred when there is no reply, it breaks off, or it is longer than ``largest_bytes``.
        """
        timeout = httpx2.Timeout(self._timeout_s, read=self._timeout_s + wait_s)
        own_headers = {**self._headers, **(headers or {})}
        body: bytes | Iterator[bytes] | None = content
        if content and self._bandwidth is not None:
            own_headers["Content-Length"] = str(len(content))
            body = self._bandwidth.pace(content)
        try:
            with self._client.stream(
                method,
                self._url + path,
                headers=own_headers,
                content=body,
                params=query,
                timeout=timeout,
                follow_redirects=False,
            ) as response:
                return Reply(response.status_code, response.headers, _read(response, largest_bytes))
        except httpx2.TransportError as error:
            raise DeliveryDeferred("cloud_unreachable", type(error).__name__) from error
        except httpx2.DecodingError as error:
            raise DeliveryDeferred("cloud_answer_unreadable", "the reply's encoding is broken") from error


def _read(response: httpx2.Response, largest_bytes: int) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > largest_bytes:
            raise DeliveryDeferred("cloud_answer_unreadable", "the reply is longer than any we understand")
    return bytes(body)
