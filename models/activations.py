"""Which pack of each name reads, as a value: what is in use, and what it took the place of.

It lies as ``active.json`` beside the installed packs and is always replaced whole. A name that is not in it is read
by the pack that came with the product, if there is one; so is ``None``, wherever a digest could stand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import PackRejected, not_read
from models.manifest import Sha256

ACTIVE = "active.json"
_MOST_PREVIOUS = 20
_MAX_BYTES = 1 << 20

PackName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class Activation(BaseModel):
    """``active`` is the digest of the pack in use; ``previous`` are those before it, the latest last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    active: Sha256 | None = None
    previous: tuple[Sha256 | None, ...] = ()

    @property
    def in_order(self) -> tuple[str | None, ...]:
        """What is to read, then what is to take its place should it be damaged, and so on."""
        return self.active, *reversed(self.previous)


class Activations(BaseModel):
    """All names that a person has ever activated a pack for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    packs: dict[PackName, Activation] = Field(default_factory=dict)

    def of(self, name: str) -> Activation:
        """What holds for one name."""
        return self.packs.get(name, Activation())

    def activated(self, name: str, digest: str | None) -> Activations:
        """The same with the pack of this digest in use; the one before it is remembered."""
        now = self.of(name)
        if now.active == digest:
            return self
        kept = (*now.previous, now.active)[-_MOST_PREVIOUS:]
        return self._with(name, Activation(active=digest, previous=kept))

    def rolled_back(self, name: str) -> Activations:
        """The same with the pack before the present one in use, which is forgotten.

        Raises:
            PackRejected: there is none before it.
        """
        previous = self.of(name).previous
        if not previous:
            raise PackRejected(name, "nothing was in use before", "Activate the one you want by its version")
        return self._with(name, Activation(active=previous[-1], previous=previous[:-1]))

    def _with(self, name: str, one: Activation) -> Activations:
        others = {other: value for other, value in self.packs.items() if other != name}
        return Activations(packs=others if one == Activation() else others | {name: one})


def read_activations(installed: Path) -> Activations:
    """What is in use according to the folder of installed packs; nothing was activated when the file is missing.

    Raises:
        PackUnreadable: the disk did not give it.
        PackRejected: the file is damaged or of another schema version.
    """
    path = installed / ACTIVE
    try:
        with path.open("rb") as stream:
            return Activations.model_validate_json(stream.read(_MAX_BYTES))
    except FileNotFoundError:
        return Activations()
    except OSError as error:
        raise not_read("all activated", ACTIVE, error, "Activate them again") from None
    except ValidationError as error:
        why = f"{ACTIVE} cannot be read ({type(error).__name__}), so which packs were activated is not known"
        raise PackRejected("all activated", why, "Activate them again") from None


def activations_mark(installed: Path) -> tuple[int, int, int] | None:
    """Something that is another whenever an activation has changed what is in use; costs one look at the disk."""
    try:
        found = (installed / ACTIVE).stat()
    except FileNotFoundError:
        return None
    except OSError:
        return 0, 0, 0  # it is there, and reading it will tell what is wrong with it
    return found.st_ino, found.st_mtime_ns, found.st_size
