"""A carrier that does as a test says, and deliveries for it to carry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.lane import Lane
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import Delivery, DeliveryRequest
from tests.small_box import SmallBox

Act = Callable[[Path, Delivery], str]


def going_on() -> bool:
    """Nobody has asked for a stop."""
    return False


class Courier:
    """A carrier that keeps what it was given and then does as a test says."""

    def __init__(self, act: Act = lambda path, delivery: "receipt") -> None:
        self.act = act
        self.carried: list[tuple[str, bytes]] = []

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Note kind and bytes, then act."""
        self.carried.append((delivery.kind, path.read_bytes()))
        return self.act(path, delivery)


def failing(error: Exception) -> Act:
    """A destination that raises."""

    def act(path: Path, delivery: Delivery) -> str:
        raise error

    return act


def lane(box: SmallBox, courier: Courier, name: str = "archive") -> Lane:
    """A lane to ``name``."""
    return Lane(name, "pacs", courier, box.engine, box.spool, cap_s=300.0)


def enqueue(box: SmallBox, kind: str, priority: int = 2, destination: str = "archive", subject: str = "1.2") -> int:
    """Put a small payload into the outbox."""
    stored = box.spool.keep_bytes(kind.encode())
    asked = DeliveryRequest(
        f"{subject}:{kind}:{destination}",
        subject,
        1,
        kind,
        destination,
        priority,
        stored.digest,
        stored.size_bytes,
        "a/b",
    )
    with writing(box.engine) as connection:
        return outbox.enqueue(connection, asked, 0.0)
