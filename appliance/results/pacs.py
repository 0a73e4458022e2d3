"""C-STORE of a stored Part 10 file to the archive, in the transfer syntax it lies in (PS3.4 B.2, PS3.7
9.1.1), and the request that it commit to keep it (PS3.4 J.3.2).

To an archive that takes Implicit VR Little Endian alone, the default that everybody takes (PS3.5 10.1), a file in
Explicit VR Little Endian is rewritten on the way."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification

from appliance.errors import ConfigurationInvalid
from appliance.results.commitment_service import REQUEST_COMMITMENT, request_of
from appliance.settings import PacsTls
from appliance.tls import ClientTls, client_context
from store_forward.errors import DeliveryAwaits, DeliveryDeferred, DeliveryRefused
from store_forward.sealing import plain_path

# A file goes out as the bytes it was stored as: pynetdicom reads it in chunks and never decodes it.
_config.STORE_SEND_CHUNKED_DATASET = True

_REJECTED_FOR_NOW = 2
#: PS3.4 table B.2-1: stored, but the far side changed or doubts something.
_STORED_WITH_WARNING = (0xB000, 0xB006, 0xB007)
#: 0xA7xx out of resources; 0x0213 resource limitation (PS3.7 C.5.15).
_RESOURCE_LIMITATION = 0x0213
#: An N-ACTION that failed with one of these may succeed later (PS3.7 C.5); duplicate transaction UID is PS3.3 C.14's.
_ASK_AGAIN = (0x0110, 0x0131, 0x0210, _RESOURCE_LIMITATION)

AnswerReport = Callable[[evt.Event], tuple[int, None]]


class Exchange:
    """One association with the archive, about one file."""

    def __init__(self, association: Association, path: Path, sop_class_uid: UID, transfer_syntax_uid: UID) -> None:
        self._association = association
        self._path = path
        self._sop_class_uid = sop_class_uid
        self._transfer_syntax_uid = transfer_syntax_uid

    @property
    def is_open(self) -> bool:
        """Whether the association still stands."""
        return bool(self._association.is_established)

    @property
    def sop_instance_uid(self) -> str:
        """Of the file."""
        return str(read_file_meta_info(self._path).MediaStorageSOPInstanceUID)

    @property
    def offers_commitment(self) -> bool:
        """Whether the archive takes requests for storage commitment from us."""
        return bool(self._taken(StorageCommitmentPushModel))

    def store(self) -> str:
        """C-STORE the file; returns the archive's words. Raises as :meth:`PacsLink.deliver` does."""
        taken = self._taken(self._sop_class_uid)
        if self._transfer_syntax_uid in taken:
            return _receipt(self._association.send_c_store(self._path))
        if taken:
            return _receipt(self._association.send_c_store(dcmread(self._path)))
        raise DeliveryRefused(
            "pacs_no_presentation_context",
            f"the archive does not take {self._sop_class_uid.name} in {self._transfer_syntax_uid.name}",
        )

    def ask_commitment(self, transaction_uid: str, sop_instance_uid: str) -> None:
        """N-ACTION (PS3.4 J.3.2.1): returns when the archive has taken the request.

        Raises DeliveryDeferred when it stops answering or cannot take it now, DeliveryRefused when it will not.
        """
        if not self.is_open:
            raise DeliveryDeferred("pacs_association_lost", "the archive stored the file and then broke off")
        request = request_of(transaction_uid, self._sop_class_uid, sop_instance_uid)
        answer, _ = self._association.send_n_action(
            request, REQUEST_COMMITMENT, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if "Status" not in answer:
            raise DeliveryDeferred(
                "pacs_association_lost", "the archive stored the file and did not say it will commit"
            )
        status = int(answer.Status)
        words = f"the archive stored the file, but answered {status:#06x} to the request for storage commitment"
        if status in _ASK_AGAIN:
            raise DeliveryDeferred("pacs_commitment_not_taken", words)
        if status != 0x0000:
            raise DeliveryRefused("pacs_commitment_refused", words)

    def _taken(self, sop_class_uid: str) -> list[str]:
        """The transfer syntaxes in which the archive takes a SOP class."""
        accepted = self._association.accepted_contexts
        return [one.transfer_syntax[0] for one in accepted if one.abstract_syntax == sop_class_uid]


class PacsLink:
    """One archive. For use by one thread.

    Every call opens and releases its own association, unless classes are named that it ``keeps`` one for: that serves
    all files of them until :meth:`rest`, or until it breaks.
    """

    def __init__(
        self,
        host: str,
        port: int,
        called_ae_title: str,
        calling_ae_title: str,
        timeout_s: float,
        tls: PacsTls | None = None,
        keeps: Collection[str] = (),
    ) -> None:
        self._keeps = keeps
        self._kept: Association | None = None
        self._host = host
        self._port = port
        self._tls = tls
        self._called_ae_title = called_ae_title
        self._ae = AE(ae_title=calling_ae_title)
        self._ae.connection_timeout = timeout_s
        self._ae.acse_timeout = timeout_s
        self._ae.dimse_timeout = timeout_s
        self._ae.network_timeout = timeout_s

    def deliver(self, path: Path) -> str:
        """Send one Part 10 file and return the archive's receipt: its status and its remark if it made one.

        Raises DeliveryDeferred when the archive cannot be reached, fails in TLS, turns the association away, stops
        answering or is out of resources (0xA7xx), and DeliveryRefused when it accepts no presentation context
        for the file or refuses it with any other failure status. Raises InvalidDicomError when ``path`` is no
        Part 10 file.
        """
        with self.exchange(path) as exchange:
            return exchange.store()

    @contextmanager
    def exchange(self, path: Path, answer_report: AnswerReport | None = None) -> Iterator[Exchange]:
        """An association for one Part 10 file; with ``answer_report``, storage commitment is proposed beside it.

        ``answer_report`` answers what the archive reports on this association, in a thread of its own. Raises as
        :meth:`deliver` does.
        """
        with plain_path(path) as plain, self._exchange(plain, answer_report) as exchange:
            yield exchange

    @contextmanager
    def _exchange(self, path: Path, answer_report: AnswerReport | None) -> Iterator[Exchange]:
        meta = read_file_meta_info(path)
        sop_class_uid, transfer_syntax_uid = meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID
        if sop_class_uid not in self._keeps or transfer_syntax_uid != ExplicitVRLittleEndian:
            with self._association(_contexts(sop_class_uid, transfer_syntax_uid), answer_report) as association:
                yield Exchange(association, path, sop_class_uid, transfer_syntax_uid)
            return
        if self._kept is None or not self._kept.is_established:
            wanted = [one for uid in self._keeps for one in _contexts(uid, ExplicitVRLittleEndian)]
            self._kept = self._open(wanted, answer_report)
        try:
            yield Exchange(self._kept, path, sop_class_uid, transfer_syntax_uid)
        except DeliveryAwaits:  # stored; the archive's word may come on this association, or on another
            raise
        except BaseException:  # whatever it was, the next file gets a new one
            self.rest()
            raise

    def rest(self) -> None:
        """Nothing is to be sent for now: release the association that was kept, if there is one."""
        kept, self._kept = self._kept, None
        if kept is not None and kept.is_established:
            kept.release()

    def echo(self) -> None:
        """C-ECHO (PS3.4 A): returns when the archive answers with success.

        Raises DeliveryDeferred when it does not, DeliveryRefused when it accepts no Verification at all.
        """
        with self._association([build_context(Verification)]) as association:
            if not association.accepted_contexts:
                raise DeliveryRefused("pacs_no_presentation_context", "the archive does not take Verification")
            answer = association.send_c_echo()
        if "Status" not in answer:
            raise DeliveryDeferred("pacs_association_lost", "the archive stopped answering")
        if answer.Status != 0x0000:
            raise DeliveryDeferred("pacs_echo_failed", f"the archive answered {answer.Status:#06x} to an echo")

    @contextmanager
    def _association(
        self, contexts: Sequence[PresentationContext], answer_report: AnswerReport | None = None
    ) -> Iterator[Association]:
        association = self._open(contexts, answer_report)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _open(self, contexts: Sequence[PresentationContext], answer_report: AnswerReport | None) -> Association:
        handlers: list[evt.EventHandlerType] = [(evt.EVT_CONN_OPEN, _send_at_once)]
        if answer_report is not None:
            contexts = [*contexts, build_context(StorageCommitmentPushModel)]
            handlers.append((evt.EVT_N_EVENT_REPORT, answer_report))
        handshake = None if self._tls is None else _handshake(self._tls, self._host)
        association = self._ae.associate(
            self._host,
            self._port,
            list(contexts),
            ae_title=self._called_ae_title,
            evt_handlers=handlers,
            tls_args=None if self._tls is None or handshake is None else (handshake, self._tls.name or self._host),
        )
        if handshake is not None and handshake.failed:
            raise DeliveryDeferred("pacs_tls_failed", f"no TLS with the archive: {handshake.failed}")
        _check_open(association)
        return association


def _contexts(sop_class_uid: str, transfer_syntax_uid: str) -> list[PresentationContext]:
    """One for the file as it is, and one for what it can be rewritten in."""
    also = [ImplicitVRLittleEndian] if transfer_syntax_uid == ExplicitVRLittleEndian else []
    return [build_context(sop_class_uid, syntax) for syntax in (transfer_syntax_uid, *also)]


def _handshake(settings: PacsTls, host: str) -> ClientTls:
    """Read the files anew, so that renewed ones count at once. Raises DeliveryDeferred: they cannot be used."""
    try:
        return client_context(settings, f"pacs {host}")
    except ConfigurationInvalid as invalid:
        raise DeliveryDeferred("pacs_tls_unusable", "; ".join(invalid.problems)) from None


def _send_at_once(event: evt.Event) -> None:
    """TCP_NODELAY: without it a peer that answers in small pieces costs 40 ms for every instance."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _check_open(association: Association) -> None:
    """Raise DeliveryDeferred unless the association stands or failed only for want of a context."""
    if association.is_established:
        return
    answer = association.acceptor.primitive
    if association.is_rejected:
        how = "for now" if getattr(answer, "result", None) == _REJECTED_FOR_NOW else "for good"
        reason = getattr(answer, "reason_str", "no reason given")
        raise DeliveryDeferred("pacs_association_refused", f"the archive turned us away {how}: {reason}")
    if association.rejected_contexts:
        return
    raise DeliveryDeferred("pacs_unreachable", "the archive cannot be reached or broke off")


def _receipt(answer: Dataset) -> str:
    """The receipt for a success or warning status; else the error that says who has to act."""
    if "Status" not in answer:
        raise DeliveryDeferred("pacs_association_lost", "the archive stopped answering before it stored the file")
    status = int(answer.Status)
    words = f"status {status:#06x}"
    if remark := str(answer.get("ErrorComment") or "").strip():
        words = f"{words}: {remark}"
    if status == 0x0000 or status in _STORED_WITH_WARNING:
        return words
    if status >> 8 == 0xA7 or status == _RESOURCE_LIMITATION:
        raise DeliveryDeferred("pacs_out_of_resources", words)
    raise DeliveryRefused("pacs_refused", words)
