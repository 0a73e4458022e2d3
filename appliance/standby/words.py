"""What two boxes say to each other: the standby's word, and the first's pulse in answer to it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from appliance.standby.marks import Mark

PULSE_PATH: Final = "/api/pulse"
LARGEST_WORD_BYTES: Final = 2 * 1024 * 1024
LARGEST_PULSE_BYTES: Final = 16 * 1024 * 1024

Number = Annotated[int, Field(ge=0)]


class Sameness(BaseModel):
    """What should be the same on both boxes, so that they say the same of a study and under the same names."""

    model_config = ConfigDict(frozen=True)

    version: str = ""
    site_key: str = ""
    packs: tuple[str, ...] = ()
    destinations: dict[str, str] = {}


class Word(BaseModel):
    """From the standby.

    ``delivered`` are marks of what it has carried itself. ``told`` repeats a session of the first's uplink: everything
    up to here has been told and nothing is being sent. ``read_*`` is how far it has read the history ``log`` of the
    first. With ``looks_only`` the first writes nothing down.
    """

    model_config = ConfigDict(frozen=True)

    stands_in: bool = False
    looks_only: bool = False
    delivered: Annotated[tuple[Mark, ...], Field(max_length=10_000)] = ()
    told: str = ""
    log: str = ""
    read_deliveries: Number = 0
    read_studies: Number = 0


class Pulse(BaseModel):
    """From the first; that a word was answered says that its marks are durable there.

    ``silent`` are processes that do not report. ``session`` names the present start of its uplink; ``still`` says that
    nothing is being sent from there, because the standby stands in. ``log`` names its history, of which ``settled``
    comes next and ``read_*`` is how far that goes; ``more`` if it goes on.
    """

    model_config = ConfigDict(frozen=True)

    log: str
    silent: tuple[str, ...] = ()
    session: str = ""
    still: bool = False
    same: Sameness
    settled: tuple[Mark, ...] = ()
    read_deliveries: Number = 0
    read_studies: Number = 0
    more: bool = False


class NotTheFirst(BaseModel):
    """In place of a pulse, with status 409: this box cannot be anybody's first, being a standby of ``of``."""

    log: str
    of: str
