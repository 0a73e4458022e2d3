"""The packs in use, opened: each on the fastest device that agrees with its golden set, or the one before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hardware.errors import BackendUnavailable
from models.errors import PackRejected, PackUnreadable
from models.manifest import Role
from models.opening import OpenedPack, open_runner
from models.pack import ModelPack
from models.registry import Registry


@dataclass(frozen=True, slots=True)
class PacksInUse:
    """What reads here.

    ``unopened`` says of packs why nothing here can run them, so that their images are not read; ``replaced`` says it
    of those in whose place the pack before them reads; ``rejected`` is what was refused.
    """

    opened: list[tuple[ModelPack, OpenedPack]] = field(default_factory=list)
    unopened: list[tuple[ModelPack, str]] = field(default_factory=list)
    replaced: list[tuple[ModelPack, str]] = field(default_factory=list)
    rejected: list[PackRejected] = field(default_factory=list)

    @property
    def unreadable(self) -> list[str]:
        """What the disk did not give, by what it is called in ``rejected``."""
        return [one.pack for one in self.rejected if isinstance(one, PackUnreadable)]


def open_packs(registry: Registry, role: Role, cache: Path | None) -> PacksInUse:
    """Open every pack of one role; what fails is told, and the pack that was in use before it is tried instead.

    ``cache`` remembers the choice of device, see :func:`models.opening.open_runner`.
    """
    found = PacksInUse(rejected=registry.rejected)
    for pack in registry.packs(role):
        _open(found, registry, pack, cache)
    return found


def _open(found: PacksInUse, registry: Registry, pack: ModelPack, cache: Path | None) -> None:
    failed: list[tuple[ModelPack, str]] = []
    trying: ModelPack | None = pack
    while trying is not None:
        try:
            found.opened.append((trying, open_runner(trying, cache)))
            instead = f"{trying.manifest.name} {trying.manifest.version} reads instead"
            found.replaced.extend((one, f"{why}; {instead}") for one, why in failed)
            return
        except BackendUnavailable as unavailable:
            failed.append((trying, str(unavailable)))
        except PackRejected as rejection:
            registry.rejected.append(rejection)
        trying = registry.instead_of(trying)
    found.unopened.extend(failed)
