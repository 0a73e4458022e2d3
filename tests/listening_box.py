"""A box's receiver on a loopback port, and a scanner that sends to it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, _config, dimse_messages
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from appliance.ingest.receiver import Receiver, storage_sop_classes
from appliance.ingest.services import open_services
from tests.small_box import SCANNER, SmallBox

DEADLINE_S = 20.0

Listen = Callable[[SmallBox], "Scanner"]


def wait_until(done: Callable[[], bool], what: str) -> None:
    """Poll until ``done``; a test that gets no further fails by its deadline."""
    give_up = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.01)


@dataclass
class Scanner:
    """A storage SCU that knows one receiver."""

    port: int
    ae_title: str = SCANNER
    tls_port: int | None = None
    #: Set, it comes over TLS.
    tls: ssl.SSLContext | None = None

    def open(
        self, *datasets: Dataset, called: str = "SCANSIDE", contexts: Sequence[tuple[str, str]] = ()
    ) -> Association:
        """An association with a context for Verification, for each data set, and for each (class, syntax)."""
        ae = AE(ae_title=self.ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
        own = {(str(d.SOPClassUID), str(d.file_meta.TransferSyntaxUID)) for d in datasets}
        wanted = [build_context(*one) for one in sorted(own | set(contexts))]
        verification = build_context(Verification, ExplicitVRLittleEndian)
        port = self.port if self.tls is None or self.tls_port is None else self.tls_port
        tls = None if self.tls is None else (self.tls, "localhost")
        return ae.associate("127.0.0.1", port, [verification, *wanted], ae_title=called, tls_args=tls)

    def gets_through(self) -> bool:
        """Whether an association is accepted now."""
        association = self.open()
        established = bool(association.is_established)
        if established:
            association.release()
        return established

    def send(self, *datasets: Dataset) -> list[Dataset]:
        """C-STORE each over one association; the answers, empty where the association broke."""
        association = self.open(*datasets)
        assert association.is_established
        try:
            return [association.send_c_store(dataset) for dataset in datasets]
        finally:
            association.release()


@contextmanager
def listening_boxes() -> Iterator[Listen]:
    """A starter of receivers; all are stopped at the end, and what they set process-wide is undone."""
    before = (_config.STORE_RECV_CHUNKED_DATASET, _config.LOG_HANDLER_LEVEL, dimse_messages.NamedTemporaryFile)
    receivers: list[tuple[Receiver, int]] = []

    def listen(box: SmallBox) -> Scanner:
        services = open_services(
            box.settings, box.engine, box.spool, storage_sop_classes(box.settings.dicom.private_sop_classes)
        )
        receiver = Receiver(box.settings.dicom, box.admission, box.spool, services)
        receivers.append((receiver, receiver.start()))
        return Scanner(receivers[-1][1], tls_port=receiver.tls_port)

    try:
        yield listen
    finally:
        for receiver, port in receivers:
            _stop(receiver, port)
        _config.STORE_RECV_CHUNKED_DATASET, _config.LOG_HANDLER_LEVEL, dimse_messages.NamedTemporaryFile = before


def _stop(receiver: Receiver, port: int) -> None:
    """The library's server looks every half second whether it should end; a knock at its door wakes it at once."""
    stopping = threading.Thread(target=receiver.stop)
    stopping.start()
    stopping.join(0.01)
    while stopping.is_alive():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        stopping.join(0.02)
