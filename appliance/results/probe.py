"""Asking a destination or a peer whether it would take what is sent, with the least that answers this.

A PACS and a peer get a C-ECHO (PS3.4 Annex A), over the TLS and by the AE titles that are configured; a DICOMweb
server a search for a study that does not exist (PS3.18 10.6); a webhook a signed event of type ``test``; the cloud a
request for answers, without waiting. No image, no result and nothing of a patient's goes anywhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from appliance.configuration import secret
from appliance.errors import ConfigurationInvalid
from appliance.results.pacs import PacsLink
from appliance.results.stow import StowLink, stow_token
from appliance.results.webhook import TEST_EVENT, WebhookLink, signing_key
from appliance.settings import ANY_AE_TITLE, CallingPeer, Cloud, Pacs, PacsTls, Settings, StowServer, Webhook
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.uplink import CloudLink

#: No exchange of a test waits longer than this, or than what is configured for the destination, s.
LONGEST_S: Final = 5.0
CLOUD: Final = "cloud"
PEER: Final = "peer "
_ABOVE_EVERY_ANSWER: Final = 2**53  # so that none is carried over the link for nothing

#: What to do about a cause; those that stand here under their beginning are meant with every ending.
REPAIRS: Final = {
    "pacs_unreachable": "look at host and port, whether the archive runs, and at the network and firewalls between",
    "pacs_association_refused": "enter our AE title and address at the archive, and look at its ae_title here",
    "pacs_association_lost": "look at the archive's log; it broke off",
    "pacs_echo_failed": "look at the archive's log",
    "pacs_no_presentation_context": "let the archive take Verification, or take it as it is: it can be reached",
    "pacs_tls": "look at ca, name, certificate and private_key of its tls table, and at the certificate it shows",
    "stow_unreachable": "look at its url, at its certificate, and at the network and firewalls between",
    "stow_credentials_refused": "give the token that the server expects, in token_file or token_variable",
    "stow_redirected": "enter the address that it points to; redirects are not followed",
    "stow_refused": "look at the path in its url: /studies is added to it",
    "stow": "look at the server's log",
    "webhook_unreachable": "look at its url, at its certificate, and at the network and firewalls between",
    "webhook_gone": "the receiver wants nothing more; remove it, or enter its new url",
    "webhook_redirected": "enter the address that it points to; redirects are not followed",
    "webhook": "look at the receiver's log, and whether it has the same secret",
    "cloud_unreachable": "look at cloud.url, at its certificate, and at the network and firewalls between",
    "cloud_credentials_refused": "give the token of this endpoint, in cloud.token_file or its variable",
    "cloud": "look whether cloud.url is a Scanside endpoint, and at its log",
    "configuration": "mend what is said here",
}


@dataclass(frozen=True)
class Outcome:
    """``cause`` is empty when it answered as it should; ``words`` are for a person."""

    ok: bool
    cause: str
    words: str
    duration_s: float

    @property
    def repair(self) -> str:
        """What to do about it; empty when nothing has to be done."""
        known = (REPAIRS[one] for one in sorted(REPAIRS, key=len, reverse=True) if self.cause.startswith(one))
        return "" if self.ok else next(known, "look at the log of the other side")


def targets(settings: Settings) -> list[str]:
    """Everybody who can be asked: peers with an address to call, then destinations."""
    return list(_questions(settings))


def can_be_called(name: str, peer: CallingPeer) -> bool:
    """Whether a peer has an address and one AE title."""
    return peer.report_host is not None and (peer.ae_title or name) != ANY_AE_TITLE


def probe(settings: Settings, target: str) -> Outcome:
    """Ask one of :func:`targets`; seconds at the most. Whatever goes wrong is an outcome. Raises KeyError: no such."""
    ask = _questions(settings)[target]
    began = time.monotonic()
    try:
        cause, words = "", ask()
    except (DeliveryDeferred, DeliveryRefused) as failed:
        cause, words = failed.cause, failed.detail or failed.cause.replace("_", " ")
    except ConfigurationInvalid as invalid:
        cause, words = "configuration", "; ".join(invalid.problems)
    return Outcome(not cause, cause, words, time.monotonic() - began)


def _questions(settings: Settings) -> dict[str, Callable[[], str]]:
    own, cloud, title = settings.dicom, settings.cloud, settings.dicom.ae_title
    found: dict[str, Callable[[], str]] = {}
    for name, peer in own.peers.items():
        if can_be_called(name, peer):
            called, tls = peer.ae_title or name, own.tls_towards(peer)
            found[f"{PEER}{name}"] = partial(_echo, peer.report_host, peer.report_port, called, title, LONGEST_S, tls)
    if cloud.url is not None:
        found[CLOUD] = partial(_ask_cloud, cloud, cloud.url)
    found |= {pacs.name: partial(_ask_pacs, pacs, title) for pacs in settings.pacs}
    found |= {server.name: partial(_ask_stow, server) for server in settings.stow}
    found |= {hook.name: partial(_tell_webhook, hook, cloud.box_id) for hook in settings.webhook}
    return found


def _ask_pacs(pacs: Pacs, own_title: str) -> str:
    return _echo(pacs.host, pacs.port, pacs.ae_title, own_title, min(pacs.timeout_s, LONGEST_S), pacs.tls)


def _echo(host: str | None, port: int, called: str, calling: str, timeout_s: float, tls: PacsTls | None) -> str:
    PacsLink(host or "", port, called, calling, timeout_s, tls).echo()
    return f"{called} at {host}:{port} answered the C-ECHO{' over TLS' if tls else ''}"


def _ask_stow(server: StowServer) -> str:
    with closing(StowLink(server.name, server.url, stow_token(server), min(server.timeout_s, LONGEST_S))) as link:
        return link.search_nothing()


def _tell_webhook(webhook: Webhook, box: str) -> str:
    """The event says of itself that it is a test; its id is a new one every time."""
    at = datetime.now(UTC)
    number = f"test_{int(at.timestamp() * 1000)}"
    data = {"event_id": number, "box": box, "test": True, "words": "A person has asked whether this address answers."}
    body = {"type": TEST_EVENT, "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "data": data}
    timeout_s = min(webhook.timeout_s, LONGEST_S)
    with closing(WebhookLink(webhook.name, webhook.url, signing_key(webhook), timeout_s)) as link:
        status = link.post(number, json.dumps(body).encode())
    return f"took the test event with HTTP status {status}"


def _ask_cloud(cloud: Cloud, url: str) -> str:
    token = secret(cloud.token_file, cloud.token_variable) or ""
    with closing(CloudLink(url, token, cloud.box_id, cloud.chunk_bytes, min(cloud.timeout_s, LONGEST_S))) as link:
        link.fetch(_ABOVE_EVERY_ANSWER, 0.0)
    return f"knows us as {cloud.box_id} and takes our token"
