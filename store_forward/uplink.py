"""The box's side of the wire: carries one spooled object to the cloud and brings answers back.

Every way an exchange can go ends in a receipt, in DeliveryDeferred or in DeliveryRefused. Refused is only
what our own endpoint says about this payload; whatever a proxy, a captive portal or a broken server says
means *later*.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from typing import Final

import httpx2
from pydantic import ValidationError

from store_forward import protocol
from store_forward.bandwidth import Bandwidth
from store_forward.chunking import ChunkSize
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.exchange import Exchange, Reply
from store_forward.protocol import Answer, Answers, Outcome, Outcomes, Receipt, UploadMetadata
from store_forward.spool import file_digest

LARGEST_ANSWERS_BYTES: Final = 16 * 1024 * 1024


class CloudLink:
    """A connection to one cloud endpoint for one box. Several threads may use one."""

    def __init__(
        self,
        url: str,
        token: str | None,
        box_id: str,
        chunk_bytes: int,
        timeout_s: float,
        client: httpx2.Client | None = None,
        bandwidth: Bandwidth | None = None,
        largest_chunk_bytes: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``timeout_s`` is the longest silence on one request.

        ``chunk_bytes`` is the first chunk's size; it adapts to the link, up to ``largest_chunk_bytes``, which
        is the same unless given.
        ``client`` brings TLS and proxy settings of its own. ``bandwidth`` caps what uploads send, together
        with every other link that has the same. ``tls`` as for :class:`Exchange`.
        """
        self._exchange = Exchange(url, token, timeout_s, client, bandwidth, tls)
        self._box_id = box_id
        self._chunk = ChunkSize(chunk_bytes, largest_chunk_bytes or chunk_bytes)

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def deliver(
        self,
        path: Path,
        digest: str,
        size_bytes: int,
        content_type: str,
        priority: int,
        stop: Callable[[], bool],
    ) -> Receipt:
        """Upload the file, going on from where an earlier attempt was cut, and return the cloud's receipt.

        ``stop`` is asked before every chunk. A cut is mended at once for as long as the upload gets further
        between two cuts. Raises DeliveryDeferred, and DeliveryRefused when the endpoint will not have this
        payload or the spooled file is missing or damaged.
        """
        metadata = UploadMetadata(sha256=digest, content_type=content_type, box=self._box_id, priority=priority)
        try:
            with path.open("rb") as file:
                return _Upload(self._exchange, metadata, file, size_bytes, self._chunk).run(stop)
        except FileNotFoundError as error:
            raise DeliveryRefused("spool_object_missing", "the spooled file is gone") from error

    def answers(self, after: int, wait_s: float) -> list[Answer]:
        """Only the answers of :meth:`fetch`."""
        return self.fetch(after, wait_s).answers

    def fetch(self, after: int, wait_s: float) -> Answers:
        """What has a number above ``after``, in order; waits up to ``wait_s`` at the cloud for the first.

        Raises DeliveryDeferred: also for a reply that makes no sense, of which nothing is then taken over.
        """
        query = {"box": self._box_id, "after": str(after), "wait_s": str(wait_s)}
        reply = self._exchange.ask(
            "GET", protocol.ANSWERS_PATH, query=query, wait_s=wait_s, largest_bytes=LARGEST_ANSWERS_BYTES
        )
        if reply.status != 200:
            raise reply.failure()
        try:
            found = Answers.model_validate_json(reply.body)
        except ValidationError as error:
            raise DeliveryDeferred("cloud_answer_unreadable", f"{error.error_count()} errors in answers") from None
        for numbers in ([one.seq for one in found.answers], [one.seq for one in found.messages], found.numbers):
            if any(later <= earlier for earlier, later in pairwise([after, *numbers])):
                raise DeliveryDeferred("cloud_answer_unreadable", "answers are not numbered upward")
        return found

    def tell(self, outcomes: list[Outcome]) -> None:
        """Say what became of messages; when this returns, the cloud has it durably.

        Raises DeliveryDeferred, DeliveryRefused.
        """
        body = Outcomes(box=self._box_id, outcomes=outcomes).model_dump_json().encode()
        reply = self._exchange.ask("POST", protocol.OUTCOMES_PATH, {"Content-Type": "application/json"}, body)
        if reply.status != 204:
            raise reply.failure()


class _Upload:
    """One file on its way; ``offset`` is how much of it the cloud says it has, bytes."""

    def __init__(
        self, exchange: Exchange, metadata: UploadMetadata, file: BufferedReader, size_bytes: int, chunk: ChunkSize
    ) -> None:
        self._exchange = exchange
        self._metadata = metadata
        self._file = file
        self._size_bytes = size_bytes
        self._chunk = chunk
        self._location = f"{protocol.UPLOADS_PATH}/{protocol.upload_id(metadata)}"
        self._offset = 0

    def run(self, stop: Callable[[], bool]) -> Receipt:
        receipt = self._begin()
        cut_at = -1
        while receipt is None:
            if stop():
                raise DeliveryDeferred("stopped", "the box is shutting down")
            try:
                receipt = self._send_chunk()
            except DeliveryDeferred as cut:
                if cut.cause not in ("cloud_unreachable", "offset_conflict"):
                    raise
                if cut.cause == "cloud_unreachable":
                    self._chunk.cut()
                receipt = self._look()
                if receipt is None and self._offset <= cut_at:
                    raise
                cut_at = self._offset
        return receipt

    def _begin(self) -> Receipt | None:
        headers = {
            protocol.UPLOAD_LENGTH: str(self._size_bytes),
            protocol.UPLOAD_METADATA: protocol.encode_metadata(self._metadata),
        }
        return self._take(self._exchange.ask("POST", protocol.UPLOADS_PATH, headers), 201)

    def _look(self) -> Receipt | None:
        return self._take(self._exchange.ask("HEAD", self._location), 200)

    def _send_chunk(self) -> Receipt | None:
        self._file.seek(self._offset)
        chunk = self._file.read(min(self._chunk.bytes, self._size_bytes - self._offset))
        if not chunk and self._offset < self._size_bytes:
            raise DeliveryRefused("spool_object_damaged", "the spooled file is shorter than it was")
        headers = {
            protocol.UPLOAD_OFFSET: str(self._offset),
            "Content-Type": protocol.CHUNK_CONTENT_TYPE,
        }
        sent_to = self._offset + len(chunk)
        began = time.monotonic()
        receipt = self._take(self._exchange.ask("PATCH", self._location, headers, chunk), 204)
        self._chunk.sent(len(chunk), time.monotonic() - began)
        if receipt is None and (self._offset != sent_to or sent_to == self._size_bytes):
            raise DeliveryDeferred("cloud_answer_unreadable", "a chunk was taken, but not to its end")
        return receipt

    def _take(self, reply: Reply, expected: int) -> Receipt | None:
        """Read offset or receipt out of a reply; raise what any other reply means."""
        if reply.status == protocol.WRONG_DIGEST and not self._file_is_whole():
            raise DeliveryRefused("spool_object_damaged", "the spooled file no longer has its digest")
        if reply.status not in (200, expected):
            raise reply.failure()
        if protocol.RECEIPT in reply.headers:
            return self._check(reply.headers[protocol.RECEIPT])
        offset = reply.headers.get(protocol.UPLOAD_OFFSET, "")
        if not (offset.isascii() and offset.isdigit()) or int(offset) > self._size_bytes:
            raise DeliveryDeferred("cloud_answer_unreadable", f"{reply.status} without offset or receipt")
        self._offset = int(offset)
        return None

    def _check(self, header: str) -> Receipt:
        try:
            receipt = Receipt.model_validate_json(header)
        except ValidationError:
            raise DeliveryDeferred("cloud_answer_unreadable", "the receipt cannot be read") from None
        if (receipt.digest, receipt.size_bytes) != (self._metadata.sha256, self._size_bytes):
            raise DeliveryDeferred("receipt_mismatch", "the receipt is for something else")
        return receipt

    def _file_is_whole(self) -> bool:
        self._file.seek(0)
        return file_digest(self._file) == self._metadata.sha256
