"""What a reply that is no success means: later, or never."""

from __future__ import annotations

import httpx2
import pytest

from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.exchange import LONGEST_RETRY_AFTER_S, Reply

OURS = {"Tus-Resumable": "1.0.0"}


@pytest.mark.parametrize("status", [400, 413, 415])
def test_only_our_own_endpoint_can_refuse(status: int) -> None:
    """The same status from a proxy on the way parks nothing."""
    assert isinstance(Reply(status, httpx2.Headers(OURS), b"").failure(), DeliveryRefused)
    assert isinstance(Reply(status, httpx2.Headers(), b"").failure(), DeliveryDeferred)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (200, "cloud_answer_unreadable"),
        (302, "cloud_answer_unreadable"),
        (401, "cloud_credentials_refused"),
        (403, "cloud_credentials_refused"),
        (404, "upload_gone"),
        (408, "cloud_answer_unreadable"),
        (409, "offset_conflict"),
        (412, "protocol_mismatch"),
        (418, "cloud_answer_unreadable"),
        (423, "upload_busy"),
        (460, "digest_mismatch"),
        (500, "cloud_error"),
        (503, "cloud_error"),
        (507, "cloud_full"),
    ],
)
def test_everything_else_means_later(status: int, cause: str) -> None:
    """Whoever said it."""
    failure = Reply(status, httpx2.Headers(OURS), b"").failure()
    assert isinstance(failure, DeliveryDeferred)
    assert failure.cause == cause


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [("60", 60.0), ("999999999", LONGEST_RETRY_AFTER_S), ("Fri, 01 Jan 2027 00:00:00 GMT", None), ("-5", None)],
)
def test_the_pause_asked_for_is_followed_within_reason(header: str, pause_s: float | None) -> None:
    """Seconds, up to an hour."""
    failure = Reply(507, httpx2.Headers({"Retry-After": header}), b"").failure()
    assert isinstance(failure, DeliveryDeferred)
    assert failure.retry_after_s == pause_s
