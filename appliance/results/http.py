"""What every destination that is reached by HTTP has in common."""

from __future__ import annotations

import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2

from appliance.settings import is_loopback
from store_forward.outbox import LONGEST_PAUSE_S


def client_for(url: str) -> httpx2.Client:
    """Connections to one address. Proxies from the environment are for what is not on this machine."""
    return httpx2.Client(trust_env=not is_loopback(urlsplit(url).hostname or ""))


def beginning_of(answer: httpx2.Response, enough_bytes: int, until: float) -> bytes:
    """What an answer says: all of it, or what was there with ``enough_bytes``, or at ``until`` (monotonic, s)."""
    body = bytearray()
    with suppress(httpx2.TransportError):  # the status counts, however the words break off
        for piece in answer.iter_raw():
            body += piece
            if len(body) >= enough_bytes or time.monotonic() > until:
                break
    return bytes(body)


def retry_after_s(value: str, now: float) -> float | None:
    """The pause that ``Retry-After`` asks for, as seconds or as a date (RFC 9110 10.2.3); None when it asks for none.

    Never more than LONGEST_PAUSE_S.
    """
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_PAUSE_S)
    try:
        pause_s = parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(pause_s, 0.0), LONGEST_PAUSE_S)
