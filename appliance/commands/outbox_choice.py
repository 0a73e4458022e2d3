"""Which deliveries the words on a command line mean; what makes no sense is said, with the repair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from appliance.settings import Settings
from store_forward.database import reading
from store_forward.outbox import DeliveryState
from store_forward.selection import Selection, destination_names

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhdw])")
_STATES: Final = ", ".join(DeliveryState)


class WrongChoice(ValueError):
    """The words do not say which deliveries are meant. The text says what would."""


@dataclass(frozen=True)
class Words:
    """What was given: numbers, filters, or all of them."""

    numbers: Sequence[int] = ()
    destination: str | None = None
    state: str | None = None
    older_than: str | None = None
    cause: str | None = None
    everything: bool = False

    @property
    def narrows(self) -> bool:
        """Whether anything but ``everything`` was given."""
        filters = (self.destination, self.state, self.older_than, self.cause)
        return bool(self.numbers) or any(one is not None for one in filters)


def duration_s(text: str) -> float:
    """Seconds in "90s", "15m", "2h", "3d" or "1w". Raises WrongChoice."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise WrongChoice(f"{text!r} is no duration; write a number and s, m, h, d or w, such as 2h or 3d")
    return float(found[1]) * _SECONDS[found[2]]


def selection_of(words: Words, now: float) -> Selection:
    """The deliveries that are meant; all of them when nothing is said. Raises WrongChoice."""
    if words.everything and words.narrows:
        raise WrongChoice("--all means every delivery; leave it out, or leave out numbers and filters")
    if words.state is not None and words.state not in set(DeliveryState):
        raise WrongChoice(f"{words.state!r} is no state of a delivery; there are {_STATES}")
    age_s = duration_s(words.older_than) if words.older_than is not None else None
    return Selection(
        ids=tuple(words.numbers),
        destination=words.destination,
        state=DeliveryState(words.state) if words.state is not None else None,
        cause=words.cause,
        created_before=now - age_s if age_s is not None else None,
    )


def require_choice(words: Words) -> None:
    """For what changes deliveries: nobody moves all of them by leaving something out. Raises WrongChoice."""
    if not words.narrows and not words.everything:
        raise WrongChoice("say which: delivery numbers, a filter such as --state parked, or --all for every one")


def require_destination(words: Words, settings: Settings, engine: Engine) -> None:
    """A name that is neither configured nor in the outbox is a slip of the pen. Raises WrongChoice."""
    if words.destination is None:
        return
    configured = {peer.name for peer in settings.pacs} | {webhook.name for webhook in settings.webhook}
    configured |= {server.name for server in settings.stow}
    configured |= {"cloud"} if settings.cloud.url is not None else set()
    with reading(engine) as connection:
        known = configured | set(destination_names(connection))
    if words.destination not in known:
        shown = ", ".join(sorted(known)) or "none yet"
        raise WrongChoice(f"there is no destination {words.destination!r}; there are: {shown}")
