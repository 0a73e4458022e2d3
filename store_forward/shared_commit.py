"""One commit for several threads that each want a write transaction at the same moment.

A commit waits for the disk, and SQLite lets one in after the other, asleep in between. So whoever's turn it is does the
work of all who wait for theirs, and one wait for the disk makes it all durable.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from store_forward.database import transaction

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Wish(Generic[T]):
    work: Callable[[Connection], T]
    tried: bool = False
    done: bool = False
    result: T | None = None
    failed: OperationalError | None = None


class SharedCommit:
    """For the threads of one process; ``undone_by`` is what a work may raise to say that nothing of it is to stay."""

    def __init__(self, engine: Engine, undone_by: tuple[type[Exception], ...]) -> None:
        self._engine = engine
        self._held: Connection | None = None
        self._undone_by = undone_by
        self._disposed = False
        self._turn = threading.Lock()
        self._wishes: deque[_Wish[object]] = deque()

    def run(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, after the transaction in which it was called is durable.

        It may be called twice, the first time in a transaction that is undone with all that is in it. Raises what it
        raises, and what :func:`writing` does; then nothing of it stays.
        """
        wish: _Wish[T] = _Wish(work)
        self._wishes.append(wish)  # type: ignore[arg-type]
        with self._turn:
            if not wish.tried:
                self._try_all()
            if not wish.done:
                with self._writing() as connection:
                    wish.result = work(connection)
        if wish.failed is not None:
            raise wish.failed
        return wish.result  # type: ignore[return-value]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """As :func:`writing`, on a connection that stays open; called by whoever's turn it is."""
        if self._held is None:
            self._held = self._engine.connect()
            if not event.contains(self._engine, "engine_disposed", self._end):
                event.listen(self._engine, "engine_disposed", self._end)
        try:
            with transaction(self._held):
                yield self._held
        except BaseException:
            self._let_go()
            raise
        if self._disposed:
            self._let_go()

    def _end(self, *_: object) -> None:
        """The engine is disposed of, by any thread: a connection that is at work is closed when it is done."""
        self._disposed = True
        with self._turn:
            self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.invalidate()  # closes the file; given back, it would stay open in a pool that is disposed of
            held.close()

    def _try_all(self) -> None:
        """If one cannot be done, none is, and each is tried again alone, in its own thread and its own transaction.

        A database that takes nothing now is nobody's own: all are told, or each would wait for it in turn.
        """
        wishes = [self._wishes.popleft() for _ in range(len(self._wishes))]
        for wish in wishes:
            wish.tried = True
        if len(wishes) == 1:
            return
        try:
            with self._writing() as connection:
                results = [wish.work(connection) for wish in wishes]
        except OperationalError as error:
            for wish in wishes:
                wish.failed, wish.done = error, True
        except self._undone_by:
            pass
        else:
            for wish, result in zip(wishes, results, strict=True):
                wish.result, wish.done = result, True
