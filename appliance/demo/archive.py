"""A PACS stand-in: a storage SCP that keeps in memory what it was sent, so that it can be counted."""

from __future__ import annotations

import threading
from collections import Counter

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification


class Archive:
    """Stores by SOP Instance UID, as a PACS does: the same UID again replaces, it does not double."""

    def __init__(self, ae_title: str = "ARCHIVE") -> None:
        self.ae_title = ae_title
        self.studies: Counter[str] = Counter()  # StudyInstanceUID → distinct instances
        self.classes: dict[str, str] = {}  # SOPInstanceUID → SOPClassUID
        self._lock = threading.Lock()
        ae = AE(ae_title=ae_title)
        ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(str(context.abstract_syntax), list(AllTransferSyntaxes))
        self._server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._on_store)])
        assert self._server is not None
        self.port = int(self._server.server_address[1])

    def _on_store(self, event: evt.Event) -> int:
        study = str(event.dataset.StudyInstanceUID)
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._lock:
            if uid not in self.classes:
                self.studies[study] += 1
            self.classes[uid] = str(event.request.AffectedSOPClassUID)
        return 0x0000

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
