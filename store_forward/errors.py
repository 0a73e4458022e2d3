"""Everything store-and-forward raises; the class says who reacts."""

from __future__ import annotations


class DeliveryDeferred(Exception):
    """This attempt failed and a later one may not: the delivery waits.

    ``cause`` is a fixed word for statistics, ``detail`` a sentence for a person, ``retry_after_s`` the
    pause the other side asked for, if it did.
    """

    def __init__(self, cause: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.retry_after_s = retry_after_s


class DeliveryRefused(Exception):
    """The other side will not take this delivery however often it is offered: it is parked for a person."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class DeliveryAwaits(Exception):
    """It has arrived, and the other side's word that it will keep it is still to come: no failure, the delivery waits.

    When it is due again if nothing comes, its carrier has said by ``outbox.due_again_at``.
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class LeaseLost(Exception):
    """A delivery or case is no longer held under our lease; what we learned about it must not be written."""


class SpoolFull(Exception):
    """Writing would leave less free disk than the floor. Nothing was written."""

    def __init__(self, free_bytes: int, floor_bytes: int) -> None:
        super().__init__(f"{free_bytes} bytes of disk are free, the floor is {floor_bytes}")
        self.free_bytes = free_bytes
        self.floor_bytes = floor_bytes


class ObjectDamaged(Exception):
    """A spooled file is missing or its bytes no longer have the digest it is filed under."""


class DatabaseUnusable(Exception):
    """The database must not be used as it is; ``repair`` says what a person can do."""

    def __init__(self, why: str, repair: str) -> None:
        super().__init__(f"{why}. {repair}")
        self.why = why
        self.repair = repair


class KeyUnusable(DatabaseUnusable):
    """The home is sealed, and there is no key that opens it."""
