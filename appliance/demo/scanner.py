"""A scanner: a storage SCU that sends many files over one association, as a modality does."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from store_forward.errors import DeliveryDeferred


def send_all(paths: Sequence[Path], host: str, port: int, called_ae_title: str) -> Iterator[int]:
    """Send each file in its own transfer syntax over one association; yields the status of each (PS3.7 9.1.1).

    Raises:
        DeliveryDeferred: the association is refused or breaks.
    """
    kinds = {_context_of(path) for path in paths}
    ae = AE(ae_title="SCANNER")
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(kinds)]
    association = ae.associate(
        host, port, contexts, ae_title=called_ae_title, evt_handlers=[(evt.EVT_CONN_OPEN, _no_delay)]
    )
    if not association.is_established:
        raise DeliveryDeferred("association_refused", f"{host}:{port} takes no association")
    try:
        for path in paths:
            answer = association.send_c_store(path)
            if "Status" not in answer:
                raise DeliveryDeferred("association_lost", "the box stopped answering")
            yield int(answer.Status)
    finally:
        association.release()


def _context_of(path: Path) -> tuple[str, str]:
    meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _no_delay(event: evt.Event) -> None:
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
