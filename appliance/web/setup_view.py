"""What the set-up page shows: who may send, where results go and how the last test went, and the certificates."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from appliance.certificates import CertificateState, certificate_words
from appliance.configuration_shown import masked_url
from appliance.results.probe import CLOUD, PEER, can_be_called
from appliance.results.probe_book import Entry, latest
from appliance.schema import studies
from appliance.settings import ANY_AE_TITLE, CallingPeer, Dicom, PacsTls, Settings

#: How long the counts per sender are believed, s: they need a look at every study.
_HEARD_KEPT_S: Final = 30.0


@dataclass(frozen=True)
class Heard:
    """What came under one calling AE title; the time is that of its newest image, epoch s."""

    last_at: float
    studies: int
    instances: int


@dataclass(frozen=True)
class PeerView:
    """One who may send; ``target`` is what a test asks for, empty when there is no address to call."""

    name: str
    ae_title: str
    called_ae_title: str
    addresses: tuple[str, ...]
    identity: str
    quiet_time_s: float
    report_address: str
    heard: Heard | None
    target: str
    tested: Entry | None


@dataclass(frozen=True)
class TargetView:
    """One destination."""

    name: str
    kind: str
    where: str
    details: tuple[str, ...]
    tested: Entry | None


@dataclass(frozen=True)
class CertificateView:
    """One file, and what to say about it; ``words`` is empty when all is well."""

    state: CertificateState
    days_left: int | None
    severity: str
    words: str


class SendersHeard:
    """Instances by calling AE title, counted again after a while."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[float, dict[str, Heard]] | None = None

    def by_title(self, conn: Connection) -> dict[str, Heard]:
        """As it was at most ``_HEARD_KEPT_S`` ago."""
        with self._lock:
            now = self._clock()
            if self._known is None or not 0 <= now - self._known[0] < _HEARD_KEPT_S:
                self._known = now, _count(conn)
            return self._known[1]


def _count(conn: Connection) -> dict[str, Heard]:
    c = studies.c
    query = select(c.calling_ae_title, func.max(c.last_received_at), func.count(), func.sum(c.instance_count))
    return {title: Heard(*counts) for title, *counts in conn.execute(query.group_by(c.calling_ae_title))}


def peer_views(conn: Connection, settings: Settings, heard: dict[str, Heard]) -> list[PeerView]:
    """The configured peers."""
    tested = latest(conn)
    return [_peer(name, peer, settings.dicom, heard, tested) for name, peer in settings.dicom.peers.items()]


def other_senders(settings: Settings, heard: dict[str, Heard]) -> list[tuple[str, Heard]]:
    """Who has sent and is no peer by name, the latest first."""
    named = {peer.ae_title or name for name, peer in settings.dicom.peers.items()}
    return sorted(((t, h) for t, h in heard.items() if t not in named), key=lambda one: -one[1].last_at)


def _peer(name: str, peer: CallingPeer, own: Dicom, heard: dict[str, Heard], tested: dict[str, Entry]) -> PeerView:
    title, target = peer.ae_title or name, f"{PEER}{name}" if can_be_called(name, peer) else ""
    return PeerView(
        name=name,
        ae_title=title,
        called_ae_title=peer.called_ae_title or "",
        addresses=peer.addresses,
        identity=_identity(peer, own),
        quiet_time_s=own.quiet_time_s if peer.quiet_time_s is None else peer.quiet_time_s,
        report_address=f"{peer.report_host}:{peer.report_port}" if peer.report_host else "",
        heard=None if title == ANY_AE_TITLE else heard.get(title),
        target=target,
        tested=tested.get(target),
    )


def _identity(peer: CallingPeer, own: Dicom) -> str:
    """How it proves who it is: names of its certificate, ``tls``, or ``plain``."""
    if peer.certificates:
        return ", ".join(peer.certificates)
    return "plain" if peer.plain or own.tls is None or own.plain_is_safe else "tls"


def target_views(conn: Connection, settings: Settings) -> list[TargetView]:
    """The cloud, then archives, DICOMweb servers and webhooks."""
    tested, found = latest(conn), list(_targets(settings))
    return [TargetView(name, kind, where, details, tested.get(name)) for name, kind, where, details in found]


def _targets(settings: Settings) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    if settings.cloud.url is not None:
        yield CLOUD, "cloud", masked_url(settings.cloud.url), ()
    for pacs in settings.pacs:
        yield pacs.name, "pacs", f"{pacs.ae_title} · {pacs.host}:{pacs.port}", (_way(pacs.tls), *pacs.results)
    for server in settings.stow:
        yield server.name, "stow", masked_url(server.url), server.results
    for hook in settings.webhook:
        yield hook.name, "webhook", masked_url(hook.url), hook.events


def _way(tls: PacsTls | None) -> str:
    return "TLS" if tls else "plain"


def certificate_views(states: tuple[CertificateState, ...], now: float) -> list[CertificateView]:
    """With the days that are left."""
    found = []
    for state in states:
        severity, words = certificate_words(state, now) or ("", "")
        lasts = not state.trouble and state.valid_until != float("inf")
        found.append(CertificateView(state, state.days_left(now) if lasts else None, severity, words))
    return found
