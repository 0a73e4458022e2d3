"""Audit messages to a syslog server over TLS (RFC 5425), in order, nothing left out."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audit.events import EventType, signed
from appliance.audit.syslog import SyslogTeller
from appliance.audit.trail import audit_told, record
from appliance.settings import AuditSyslog
from store_forward.database import reading, writing
from tests.certificates import Authority, Identity
from tests.listening_box import wait_until
from tests.small_box import NOW, MakeBox, SmallBox


class SyslogServer:
    """Takes octet-counted messages over TLS; ``most`` closes each connection after so many."""

    def __init__(self, own: Identity, most: int | None = None) -> None:
        self.numbers: list[int] = []
        self._most = most
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(own.certificate, own.private_key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as line:
                    self._read(line)
            except OSError:
                plain.close()

    def _read(self, line: ssl.SSLSocket) -> None:
        reader, taken = line.makefile("rb"), 0
        with reader:
            while self._most is None or taken < self._most:
                length = b""
                while not length.endswith(b" "):
                    letter = reader.read(1)
                    if not letter:
                        return
                    length += letter
                message = reader.read(int(length))
                matched = re.search(rb'sequenceId="(\d+)"', message)
                assert matched is not None
                self.numbers.append(int(matched[1]))
                taken += 1

    def close(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5.0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom the box trusts."""
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[SyslogServer]:
    """A syslog server of the right name."""
    server = SyslogServer(authority.vouch("localhost"))
    yield server
    server.close()


@pytest.fixture
def box(make_box: MakeBox) -> SmallBox:
    """A box with thirty events."""
    box = make_box()
    add(box, 30)
    return box


def add(box: SmallBox, number: int) -> None:
    """So many more."""
    with writing(box.engine) as connection:
        for _ in range(number):
            record(connection, signed(EventType.LOGIN, "ada", ""), NOW)


def teller(box: SmallBox, port: int, authority: Authority) -> SyslogTeller:
    """One that trusts ``authority``."""
    settings = AuditSyslog.model_validate({"host": "localhost", "port": port, "tls": {"ca": authority.ca}})
    return SyslogTeller(settings, "box-1", box.engine)


def told(box: SmallBox) -> tuple[int, str]:
    """Up to where, and what the trouble is."""
    with reading(box.engine) as connection:
        row = connection.execute(audit_told.select()).one()
    return row.seq, row.trouble


def test_every_event_comes_once_and_in_order(box: SmallBox, server: SyslogServer, authority: Authority) -> None:
    """Also those that are added while the connection is open."""
    telling = teller(box, server.port, authority)
    assert telling.step()
    add(box, 5)
    assert telling.step()
    wait_until(lambda: len(server.numbers) >= 35, "the messages")
    assert server.numbers == list(range(1, 36))
    assert told(box) == (35, "")
    telling.hang_up()


def test_after_a_new_start_the_last_ones_come_again(box: SmallBox, server: SyslogServer, authority: Authority) -> None:
    """They may have been lost with the old connection; nothing is left out."""
    first = teller(box, server.port, authority)
    assert first.step()
    first.hang_up()
    add(box, 1)
    second = teller(box, server.port, authority)
    assert second.step()
    wait_until(lambda: server.numbers[-1:] == [31], "the new one")
    assert set(server.numbers) == set(range(1, 32))
    assert server.numbers[30:] == list(range(11, 32))
    second.hang_up()


def test_a_server_that_is_away_or_false_is_told_nothing(box: SmallBox, authority: Authority, tmp_path: Path) -> None:
    """The trouble is noted, the events wait."""
    false = SyslogServer(Authority(tmp_path, "others").vouch("localhost"))
    try:
        assert not teller(box, false.port, authority).step()
        assert told(box) == (0, "unable to get local issuer certificate")
        assert false.numbers == []
    finally:
        false.close()
    assert not teller(box, false.port, authority).step()
