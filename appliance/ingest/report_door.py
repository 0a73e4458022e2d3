"""Who may report to the receiver on storage commitment: the PACS that are configured, from their own addresses.

A PACS that reports on an association of its own proposes the SCP role for the class (PS3.4 J.3.3.1.3, PS3.7 D.3.3.4).
Anybody else finds that presentation context refused.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

import structlog
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StorageCommitmentPushModel
from sqlalchemy import Engine

from appliance.ingest.callers import Caller, caller_of, plain_address
from appliance.results.commitment_service import answer_report
from appliance.settings import Pacs

log = structlog.get_logger()


class ReportDoor:
    """For one receiver; ``peers`` that are never asked for commitment have nothing to report."""

    def __init__(self, peers: Iterable[Pacs], engine: Engine) -> None:
        self._peers = tuple(peer for peer in peers if peer.commitment != "never")
        self._engine = engine

    @property
    def comes_plain(self) -> bool:
        """Whether any that may report does so without TLS."""
        return any(peer.tls is None for peer in self._peers)

    @property
    def context(self) -> PresentationContext:
        """What is accepted from them: they may be SCP, and never SCU, for we commit to nothing."""
        context = build_context(StorageCommitmentPushModel)
        context.scu_role, context.scp_role = False, True
        return context

    def is_open_for(self, association: Association) -> bool:
        """Whether the association is from one of them, and for this; asked before it is accepted."""
        proposed = {context.abstract_syntax for context in association.requestor.requested_contexts}
        if StorageCommitmentPushModel not in proposed:
            return False
        if self.knows(association):
            return True
        log.warning("commitment.stranger", **caller_of(association).for_the_log())
        return False

    def knows(self, association: Association) -> bool:
        """Whether the association is from one of them."""
        return bool(self._names(association))

    def answer(self, event: evt.Event) -> tuple[int, None]:
        """Write a report down and then answer it."""
        return answer_report(self._engine, self._names(event.assoc), event)

    def _names(self, association: Association) -> set[str]:
        """The names, in our configuration, of the PACS that has asked for this association."""
        caller = caller_of(association)
        return {peer.name for peer in self._peers if peer.ae_title == caller.calling_ae_title and _is(peer, caller)}


def _is(peer: Pacs, caller: Caller) -> bool:
    """Whether it comes from an address of the PACS, and by TLS if we go there by TLS."""
    return (peer.tls is None or caller.certificate is not None) and caller.address in _addresses(peer)


def _addresses(peer: Pacs) -> set[str]:
    found = set()
    for host in (peer.host, *peer.report_hosts):
        try:
            found |= {plain_address(str(one[4][0])) for one in socket.getaddrinfo(host, None)}
        except OSError:
            log.warning("commitment.host_unknown", destination=peer.name)
    return found
