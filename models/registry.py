"""Which packs this installation has, and which it refused and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.errors import PackRejected
from models.manifest import Role
from models.pack import MANIFEST, ModelPack, load_pack

#: The packs that come with the product: ``<name>/manifest.json``, the cloud's in ``<name>-full``.
SHIPPED = Path(__file__).parent / "packs"


class Registry:
    """The packs under ``folders``, each verified once. Earlier folders win over later ones for the same name.

    A folder that does not exist holds no packs. ``rejected`` lists what was refused, for a person to see.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.rejected: list[PackRejected] = []
        self._packs: dict[str, ModelPack] = {}
        for folder in folders:
            for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
                self._add(manifest.parent)

    def packs(self, role: Role) -> list[ModelPack]:
        """The packs for the box or for the cloud, by name."""
        return [pack for _, pack in sorted(self._packs.items()) if pack.manifest.role == role]

    def _add(self, folder: Path) -> None:
        try:
            pack = load_pack(folder)
            if pack.manifest.name in self._packs:
                raise PackRejected(folder.name, f"the name {pack.manifest.name} is taken", "Remove one of the two")
        except PackRejected as rejection:
            self.rejected.append(rejection)
        else:
            self._packs[pack.manifest.name] = pack
