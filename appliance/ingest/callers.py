"""Who may have an association: the configured peers, and on a loopback address with none configured, anybody.

A decision over values, so that every row of it can be tested; :mod:`appliance.ingest.receiver` asks and answers.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pynetdicom.association import Association

from appliance.settings import CallingPeer, Dicom
from appliance.tls import identities

#: PS3.7 A.2.1; the only one there is.
APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"


class Refusal(Enum):
    """Why an association is refused: result, source and reason of its A-ASSOCIATE-RJ (PS3.8 table 9-21), what to do."""

    APPLICATION_CONTEXT_UNKNOWN = (1, 1, 2, "the caller does not speak DICOM's application context; look at the caller")
    CALLING_AE_TITLE_UNKNOWN = (1, 1, 3, "no peer has this calling AE title; add [dicom.peers.NAME] for it")
    ADDRESS_NOT_ALLOWED = (1, 1, 3, "the peer may not come from this address; add it to the peer's addresses")
    TLS_REQUIRED = (1, 1, 1, "the peer may come over TLS only; use dicom.tls.port, or set the peer's plain = true")
    CERTIFICATE_NOT_ALLOWED = (1, 1, 3, "the certificate is not this peer's; add a name or digest of it to the peer's")
    CALLED_AE_TITLE_UNKNOWN = (1, 1, 7, "the caller calls another AE title than ours; correct it at the caller")
    TOO_MANY_ASSOCIATIONS = (2, 3, 2, "dicom.max_associations are open; the caller may try again")

    def __init__(self, result: int, source: int, reason: int, repair: str) -> None:
        self.result = result
        self.source = source
        self.reason = reason
        self.repair = repair

    @property
    def cause(self) -> str:
        """The word in the log."""
        return self.name.lower()


@dataclass(frozen=True)
class Caller:
    """Who asks for an association, and how it came."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    #: ``None`` without TLS; else what its certificate says, which is nothing if it showed none.
    certificate: frozenset[str] | None = None
    application_context: str = APPLICATION_CONTEXT

    def for_the_log(self) -> dict[str, object]:
        """What an operator needs to let it in."""
        shown = {} if self.certificate is None else {"certificate": sorted(self.certificate)}
        return {
            "calling_ae_title": self.calling_ae_title,
            "called_ae_title": self.called_ae_title,
            "address": self.address,
            **shown,
        }


def caller_of(association: Association) -> Caller:
    """Known as soon as it has asked."""
    asked = association.requestor.primitive
    line = association.dul.socket
    connection = None if line is None else line.socket
    return Caller(
        str(asked.calling_ae_title).strip(),
        str(asked.called_ae_title).strip(),
        plain_address(str(association.requestor.address)),
        identities(connection) if isinstance(connection, ssl.SSLSocket) else None,
        str(asked.application_context_name),
    )


def refusal_of(caller: Caller, settings: Dicom) -> Refusal | None:
    """Why this caller gets no association; ``None``: it may have one."""
    if caller.application_context != APPLICATION_CONTEXT:
        return Refusal.APPLICATION_CONTEXT_UNKNOWN
    if settings.is_open:
        return None if calls_us(caller, settings) else Refusal.CALLED_AE_TITLE_UNKNOWN
    peers = [peer for _, peer in settings.peers_titled(caller.calling_ae_title)]
    if not peers:
        return Refusal.CALLING_AE_TITLE_UNKNOWN
    if not (peers := [peer for peer in peers if _comes_from(caller, peer)]):
        return Refusal.ADDRESS_NOT_ALLOWED
    if not (peers := [peer for peer in peers if caller.certificate is not None or _may_be_plain(peer, settings)]):
        return Refusal.TLS_REQUIRED
    if not (peers := [peer for peer in peers if _has_shown(caller, peer)]):
        return Refusal.CERTIFICATE_NOT_ALLOWED
    titles = {peer.called_ae_title for peer in peers}
    if caller.called_ae_title in titles or (None in titles and calls_us(caller, settings)):
        return None
    return Refusal.CALLED_AE_TITLE_UNKNOWN


def calls_us(caller: Caller, settings: Dicom) -> bool:
    """Whether it calls a title that is ours, where that matters."""
    return not settings.require_called_ae_title or caller.called_ae_title == settings.ae_title


def plain_address(address: str) -> str:
    """An IPv4 address that came in the clothes of IPv6 as itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def plain_port_is_needed(settings: Dicom) -> bool:
    """Whether anybody may come without TLS. Without TLS there is no other port to be refused at, with a word of why."""
    peers = settings.peers.values()
    return settings.tls is None or settings.is_open or any(_may_be_plain(one, settings) for one in peers)


def _comes_from(caller: Caller, peer: CallingPeer) -> bool:
    try:
        address = ipaddress.ip_address(caller.address)
    except ValueError:
        return not peer.addresses
    return not peer.addresses or any(address in ipaddress.ip_network(one) for one in peer.addresses)


def _may_be_plain(peer: CallingPeer, settings: Dicom) -> bool:
    return peer.plain or (settings.plain_is_safe and not peer.certificates)


def _has_shown(caller: Caller, peer: CallingPeer) -> bool:
    return not peer.certificates or not (caller.certificate or frozenset()).isdisjoint(peer.certificates)
