"""Associations that wait for something to happen. The library's look a thousand times a second whether it has.

Each association has a thread that reads and writes the line and one that works on what came. As shipped, both sleep a
millisecond between two looks, which a C-STORE pays for several times over and fifty idle associations with a core.
"""

from __future__ import annotations

import os
import queue
import select
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

#: For what nobody rings: timers that run out, a thread that has ended.
_LOOK_S = 0.05


def let_wait(association: Association, line: WaitingLine) -> None:
    """Put a new association, whose threads have not started, on this line and let both threads wait."""
    checkpoint = _Checkpoint()
    association.dul.socket = line
    association.dul.to_provider_queue = _RingingQueue(line.ring)
    association.dul.to_user_queue = checkpoint.queue()
    association.dul._run_loop_delay = 0.0  # the line itself waits
    association.dimse.msg_queue = messages = checkpoint.messages()
    association._serve_request = messages.dealt_with(association._serve_request)
    association._reactor_checkpoint = checkpoint


def is_held(association: Association) -> bool:
    """Whether its own thread stands at the closed checkpoint, with nothing half said. The library's own mark for that
    is also set while the thread answers a request."""
    checkpoint = association._reactor_checkpoint
    return isinstance(checkpoint, _Checkpoint) and checkpoint.holds


def is_at_rest(association: Association) -> bool:
    """Whether each message that the line has given its own thread is answered."""
    messages = association.dimse.msg_queue
    return isinstance(messages, _Messages) and messages.is_at_rest


class _RingingQueue(queue.Queue[Any]):
    """A queue that wakes whoever waits for it and for something else."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self._ring = ring

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._ring()


class _Messages(_RingingQueue):
    """Knows whether what was taken out of it has been dealt with."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__(ring)
        self._in_hand = False

    @property
    def is_at_rest(self) -> bool:
        """Nothing is in it, and nothing that was is being answered."""
        with self.mutex:
            return not self.queue and not self._in_hand

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._in_hand = False  # who asks for more is done with the last
        return super().get(block, timeout)

    def _get(self) -> Any:
        """With the mutex held."""
        self._in_hand = True
        return super()._get()

    def dealt_with(self, answer: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
        """``answer``, and then it is."""

        def then(message: Any, context_id: int) -> None:
            answer(message, context_id)
            self._in_hand = False

        return then


_AnyQueue = TypeVar("_AnyQueue", bound=_RingingQueue)


class WaitingLine(AssociationSocket):  # type: ignore[misc]
    """Asked whether there is something to read, it waits for that, or for something to send."""

    def __init__(self, association: Association, connection: Any) -> None:
        super().__init__(association, client_socket=connection)
        self._bell: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()  # a number that was closed may belong to another file by now

    def ring(self) -> None:
        """There is something to send."""
        with self._lock:
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def _shutdown_socket(self) -> None:
        """The end of the line; the library leaves open what the other side has reset."""
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()
        with self._lock:
            if self._bell is not None:
                os.close(self._bell)
                self._bell = None

    @property
    def is_here(self) -> bool:
        """Whether there are bytes that the kernel has given out already; TLS may hold some."""
        return isinstance(self.socket, ssl.SSLSocket) and bool(self.socket.pending())

    @property
    def ready(self) -> bool:
        """Whether there is something to read, after a short wait for it; False at once when there is to send."""
        connection, bell = self.socket, self._bell
        if connection is None or bell is None or not self._is_connected:
            time.sleep(0.001)  # closed; the threads end on their own
            return False
        if self.is_here:
            return True
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
            poll.register(bell, select.POLLIN)
            found = {descriptor for descriptor, _ in poll.poll(_LOOK_S * 1000)}
        except (OSError, ValueError):  # closed meanwhile
            self.event_queue.put("Evt17")
            return False
        if bell in found:
            os.eventfd_read(bell)
        return bool(found - {bell})

    def recv(self, nr_bytes: int) -> bytearray:
        """Read ``nr_bytes``, or fewer when the line ends before. Raises OSError, TimeoutError."""
        assert self.socket is not None
        received = bytearray(nr_bytes)
        left = memoryview(received)
        while left:
            count = self.socket.recv_into(left)
            if not count:
                break
            left = left[count:]
        missing = len(left)
        left.release()
        if missing:
            del received[nr_bytes - missing :]
        return received


class _Checkpoint(threading.Event):
    """Where the working thread may be held before each look; it also waits there until there is something to see."""

    def __init__(self) -> None:
        super().__init__()
        self._news = threading.Event()
        self._queues: list[_RingingQueue] = []
        self.holds = False
        self.set()

    def queue(self) -> _RingingQueue:
        """A queue whose content is worth a look."""
        return self._watched(_RingingQueue(self._news.set))

    def messages(self) -> _Messages:
        """The one of messages."""
        return self._watched(_Messages(self._news.set))

    def _watched(self, made: _AnyQueue) -> _AnyQueue:
        self._queues.append(made)
        return made

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for news, a short while, and then to be let past."""
        if all(waiting.empty() for waiting in self._queues) and self._news.wait(_LOOK_S):
            self._news.clear()
        if self.is_set():
            return True
        self.holds = True
        passed = super().wait(timeout)
        self.holds = False
        return passed

    def clear(self) -> None:
        """Hold whoever comes, and call it here."""
        super().clear()
        self._news.set()
