"""Who may report to the receiver on storage commitment, and who may ask for it.

Reports come from the PACS that are configured, from their own addresses.

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

    def contexts_for(self, association: Association, *, may_ask: bool) -> list[PresentationContext]:
        """What is accepted for this class: a PACS that is known may be SCP, and SCU who ``may_ask`` us to commit.

        Asked before the association is accepted; empty when it is not for this, or may be neither.
        """
        proposed = {context.abstract_syntax for context in association.requestor.requested_contexts}
        if StorageCommitmentPushModel not in proposed:
            return []
        context = build_context(StorageCommitmentPushModel)
        context.scu_role, context.scp_role = may_ask, self.knows(association)
        role = association.requestor.role_selection.get(StorageCommitmentPushModel)
        if not context.scp_role and (not may_ask or (role is not None and role.scp_role)):
            log.warning("commitment.stranger", **caller_of(association).for_the_log())
        return [context] if context.scu_role or context.scp_role else []

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
