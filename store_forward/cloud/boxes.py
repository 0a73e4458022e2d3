"""Which boxes there are: one-time codes that let one in, the certificates it has, and those taken back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Connection, Engine, Float, Table, Text, insert, select, update

from store_forward.cloud.authority import Authority, Issued, read_certificate
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.errors import UploadRefused
from store_forward.database import reading, writing
from store_forward.protocol import Enrolled, Enrolment

_CODE_BYTES: Final = 15  # 120 bits: nobody guesses one
_MOST_FAILURES: Final = 20
_FAILURES_WINDOW_S: Final = 60.0

enrolments: Final = Table(
    "enrolments",
    CLOUD_METADATA,
    Column("code_digest", Text, primary_key=True),
    Column("box", Text, nullable=False, index=True),
    Column("made_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
)

box_certificates: Final = Table(
    "box_certificates",
    CLOUD_METADATA,
    Column("serial", Text, primary_key=True),
    Column("box", Text, nullable=False, index=True),
    Column("issued_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("revoked_at", Float),
)

_codes, _certificates = enrolments.c, box_certificates.c


@dataclass(frozen=True)
class KnownBox:
    """A box with its newest certificate; times in epoch s."""

    box: str
    serial: str
    issued_at: float
    expires_at: float
    revoked_at: float | None


def make_code(connection: Connection, box: str, now: float, hours: float) -> str:
    """A code that lets ``box`` in once within so many hours; those made for it before count no more."""
    unused = update(enrolments).where(_codes.box == box, _codes.used_at.is_(None))
    connection.execute(unused.values(expires_at=now))
    text = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()
    code = "-".join(text[start : start + 6] for start in range(0, len(text), 6))
    row = {"code_digest": _digest(code), "box": box, "made_at": now, "expires_at": now + hours * 3600}
    connection.execute(insert(enrolments).values(row))
    return code


def revoke(connection: Connection, box: str, now: float) -> int:
    """Take back every certificate and unused code of a box; returns how many certificates that were."""
    unused = update(enrolments).where(_codes.box == box, _codes.used_at.is_(None))
    connection.execute(unused.values(expires_at=now))
    good = update(box_certificates).where(_certificates.box == box, _certificates.revoked_at.is_(None))
    return connection.execute(good.values(revoked_at=now)).rowcount


def known_boxes(connection: Connection) -> list[KnownBox]:
    """Every box that has ever had a certificate, by name."""
    rows = connection.execute(select(box_certificates).order_by(_certificates.box, _certificates.issued_at))
    newest = {row.box: KnownBox(row.box, row.serial, row.issued_at, row.expires_at, row.revoked_at) for row in rows}
    return list(newest.values())


class Boxes:
    """Asked by the endpoint who calls; blocking."""

    def __init__(self, engine: Engine, authority: Authority, days: float, clock: Callable[[], float]) -> None:
        """``days``: how long a certificate counts."""
        self._engine = engine
        self._authority = authority
        self._days = days
        self._clock = clock
        self._failures: list[float] = []
        self._lock = threading.Lock()

    def who(self, der: bytes | None) -> str | None:
        """The box behind a verified certificate; None when there is none, or it was taken back."""
        if not der:
            return None
        box, serial = read_certificate(der)
        with reading(self._engine) as connection:
            query = select(_certificates.box).where(_certificates.serial == serial, _certificates.revoked_at.is_(None))
            known = connection.scalar(query)
        return box if known == box else None

    def enrol(self, asked: Enrolment) -> Enrolled:
        """Give a box its first certificate for a one-time code. Raises UploadRefused: 403, or 429 after many tries."""
        now = self._clock()
        self._require_patience(now)
        with writing(self._engine) as connection:
            query = select(_codes.box).where(
                _codes.code_digest == _digest(asked.code), _codes.used_at.is_(None), _codes.expires_at > now
            )
            meant_for = connection.scalar(query) or ""
            if not hmac.compare_digest(meant_for, asked.box):
                self._failures.append(now)
                raise UploadRefused(403, "the code is wrong, used, too old, or for another box")
            issued = self._authority.issue(asked.request, asked.box, now, self._days)
            used = update(enrolments).where(_codes.code_digest == _digest(asked.code))
            connection.execute(used.values(used_at=now))
            _keep(connection, issued, asked.box, now)
        return Enrolled(certificate=issued.certificate, expires_at=issued.expires_at)

    def renew(self, box: str, request: str) -> Enrolled:
        """Give a box that has shown its certificate another one. Raises UploadRefused."""
        now = self._clock()
        issued = self._authority.issue(request, box, now, self._days)
        with writing(self._engine) as connection:
            _keep(connection, issued, box, now)
        return Enrolled(certificate=issued.certificate, expires_at=issued.expires_at)

    def _require_patience(self, now: float) -> None:
        """Guessing is hopeless; that somebody tries must not cost the disk anything."""
        with self._lock:
            self._failures = [at for at in self._failures if now - at < _FAILURES_WINDOW_S]
            if len(self._failures) >= _MOST_FAILURES:
                raise UploadRefused(429, "too many wrong codes; wait a minute", retry_after_s=60)


def _keep(connection: Connection, issued: Issued, box: str, now: float) -> None:
    row = {"serial": issued.serial, "box": box, "issued_at": now, "expires_at": issued.expires_at}
    connection.execute(insert(box_certificates).values(row))


def _digest(code: str) -> str:
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()
