"""Which packs this installation uses, and which it refuses and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.activations import Activation, Activations, read_activations
from models.errors import PackRejected
from models.installed import load_installed
from models.manifest import Role
from models.pack import MANIFEST, ModelPack, load_pack

#: The packs that come with the product: ``<name>/manifest.json``, the cloud's in ``<name>-full``.
SHIPPED = Path(__file__).parent / "packs"


class Registry:
    """One pack for each name, verified: the activated one, or else the one under ``folders``.

    Earlier folders win over later ones for the same name; a folder that does not exist holds no packs. ``installed``
    is the folder of installed packs with what was activated among them. An activated pack that is damaged is refused
    and the one before it takes its place, in the end that under ``folders``. ``rejected`` lists everything that was
    refused, for a person to see. ``in_use`` and ``defaults`` are by name.
    """

    def __init__(self, folders: Sequence[Path], installed: Path | None = None) -> None:
        self.rejected: list[PackRejected] = []
        self.defaults: dict[str, ModelPack] = {}
        for folder in folders:
            for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
                self._add(manifest.parent)
        self.in_use = dict(self.defaults)
        self._next: dict[str, Iterator[ModelPack]] = {}
        if installed is not None:
            for name, activation in self._activations(installed).packs.items():
                self._next[name] = self._in_order(installed, name, activation)
                self._step(name)

    def packs(self, role: Role) -> list[ModelPack]:
        """The packs in use for the box or for the cloud, by name."""
        return [pack for _, pack in sorted(self.in_use.items()) if pack.manifest.role == role]

    def instead_of(self, pack: ModelPack) -> ModelPack | None:
        """What reads from now on because ``pack`` cannot be used here; None when there is nothing before it."""
        return self._step(pack.manifest.name)

    def _step(self, name: str) -> ModelPack | None:
        following = next(self._next.get(name, iter(())), None)
        if following is None:
            self.in_use.pop(name, None)
        else:
            self.in_use[name] = following
        return following

    def _in_order(self, installed: Path, name: str, activation: Activation) -> Iterator[ModelPack]:
        """Each once: what was activated, what was in use before it, and at the latest then the one of ``folders``."""
        for digest in dict.fromkeys([*activation.in_order, None]):
            if digest is None:
                yield from [self.defaults[name]] if name in self.defaults else []
                continue
            try:
                yield load_installed(installed, name, digest)
            except PackRejected as rejection:
                self.rejected.append(rejection)

    def _activations(self, installed: Path) -> Activations:
        try:
            return read_activations(installed)
        except PackRejected as rejection:
            self.rejected.append(rejection)
            return Activations()

    def _add(self, folder: Path) -> None:
        try:
            pack = load_pack(folder)
            if pack.manifest.name in self.defaults:
                raise PackRejected(folder.name, f"the name {pack.manifest.name} is taken", "Remove one of the two")
        except PackRejected as rejection:
            self.rejected.append(rejection)
        else:
            self.defaults[pack.manifest.name] = pack
