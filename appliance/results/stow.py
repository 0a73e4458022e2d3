"""To a DICOMweb server: each result is one STOW-RS request with one instance (PS3.18 10.5)."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import httpx2

from appliance.configuration import secret
from appliance.errors import ConfigurationInvalid
from appliance.results.http import beginning_of, client_for, retry_after_s
from appliance.settings import StowServer
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Delivery

_MOST_ANSWER_BYTES: Final = 1 << 20
_LATER: Final = frozenset({407, 408, 425, 429})
_NO_SEARCH: Final = frozenset({405, 501})
_FAILED, _OTHER_FAILURES, _REASON = "00081198", "0008119A", "00081197"


class StowLink:
    """One server. Redirects are not followed: the token goes to no other address."""

    def __init__(self, name: str, url: str, token: str | None, timeout_s: float) -> None:
        """``timeout_s`` is the longest silence of one request."""
        self.name = name
        self._studies = f"{url.rstrip('/')}/studies"
        self._token = token
        self._timeout_s = timeout_s
        self._client = client_for(url)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:  # noqa: ARG002
        """POST one instance; the receipt is the status of the answer and when it came.

        Raises:
            DeliveryDeferred: no connection, or an answer that may be another one later.
            DeliveryRefused: an answer that says never, with its Failure Reason.
        """
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            "Accept-Encoding": "identity",
            "User-Agent": "Scanside",
            **_authorization(self._token),
        }
        try:
            with self._client.stream(
                "POST", self._studies, headers=headers, content=body, timeout=self._timeout_s, follow_redirects=False
            ) as answer:
                said = _module(answer, time.monotonic() + self._timeout_s)
        except httpx2.TransportError as error:
            raise DeliveryDeferred("stow_unreachable", type(error).__name__) from error
        reasons = _failure_reasons(said)
        if answer.is_success and not reasons:
            return f"stored by STOW-RS, status {answer.status_code} at {time.time():.0f}"
        raise _failure(answer, reasons)

    def search_nothing(self) -> str:
        """QIDO-RS for a study that does not exist (PS3.18 10.6): whether the server answers and takes the token.

        Raises as :meth:`carry` does.
        """
        nowhere = {"StudyInstanceUID": f"2.25.{uuid.uuid4().int}", "limit": "1"}
        headers = {"Accept": "application/dicom+json", "User-Agent": "Scanside", **_authorization(self._token)}
        try:
            with self._client.stream(
                "GET", self._studies, params=nowhere, headers=headers, timeout=self._timeout_s, follow_redirects=False
            ) as answer:
                if answer.is_success:
                    return f"answered a search with HTTP status {answer.status_code}"
                if answer.status_code in _NO_SEARCH:
                    return f"answers, but does not search (HTTP status {answer.status_code}): a result will show more"
                raise _failure(answer, ())
        except httpx2.TransportError as error:
            raise DeliveryDeferred("stow_unreachable", type(error).__name__) from error


def _authorization(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def open_stow_servers(servers: Iterable[StowServer]) -> list[StowLink]:
    """A link to each. Raises ConfigurationInvalid: the token of one cannot be read."""
    return [StowLink(one.name, one.url, stow_token(one), one.timeout_s) for one in servers]


def stow_token(server: StowServer) -> str | None:
    """The token to show; None when none is configured. Raises ConfigurationInvalid: it is configured and not there."""
    found = secret(server.token_file, server.token_variable or "")
    if found is None and server.token_variable is not None:
        problem = f"{server.token_variable} is not in the environment; put the token there, or use token_file"
        raise ConfigurationInvalid(f"stow {server.name}", (problem,))
    return found


def _module(answer: httpx2.Response, until: float) -> dict[str, Any]:
    """The Store Instances Response Module; empty when it is none that can be read."""
    try:
        found = json.loads(beginning_of(answer, _MOST_ANSWER_BYTES + 1, until))
    except ValueError:
        return {}
    if isinstance(found, list) and found:
        found = found[0]  # some servers answer with an array of one
    return found if isinstance(found, dict) else {}


def _failure_reasons(module: dict[str, Any]) -> tuple[int, ...]:
    """The Failure Reasons (0008,1197); 0x0110 for a failure without one."""
    reasons = []
    for key in (_FAILED, _OTHER_FAILURES):
        sequence = module.get(key)
        for item in sequence.get("Value") or [] if isinstance(sequence, dict) else []:
            try:
                reasons.append(int(item[_REASON]["Value"][0]))
            except (KeyError, IndexError, TypeError, ValueError):
                reasons.append(0x0110)
    return tuple(reasons)


def _failure(answer: httpx2.Response, reasons: tuple[int, ...]) -> DeliveryDeferred | DeliveryRefused:
    """What a status that is no success means, or a success that names a failure."""
    status = answer.status_code
    said = f"HTTP status {status}" + "".join(f", Failure Reason 0x{reason:04X}" for reason in reasons)
    pause_s = retry_after_s(answer.headers.get("Retry-After", ""), time.time())
    if status == 507 or any(reason & 0xFF00 == 0xA700 for reason in reasons):
        return DeliveryDeferred("stow_out_of_resources", said, pause_s)
    if status in (401, 403):
        return DeliveryDeferred("stow_credentials_refused", said)
    if status in _LATER or status >= 500:
        return DeliveryDeferred("stow_error", said, pause_s)
    if 300 <= status < 400:
        return DeliveryDeferred("stow_redirected", said)
    return DeliveryRefused("stow_refused", said)
