"""The packs of this box: those that came with it, those of its configuration, and those a person installed."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.box_key import home_keys
from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from models.activations import activations_mark
from models.errors import PackRejected
from models.installed import installed_packs
from models.pack import MANIFEST, ModelPack, load_pack
from models.registry import SHIPPED, Registry
from store_forward.keys import is_sealed

#: ``NAME@default`` means the pack that comes with the product or lies in the folder of ``triage.packs``.
DEFAULT = "default"
_LEAST_DIGITS = 6


def installed_folder_of(settings: Settings) -> Path:
    """Where installed packs lie, in the state home."""
    return settings.home / "packs"


def installed_of(settings: Settings) -> Path:
    """The same for those who read or write what is in its files: in a sealed home those are sealed.

    Raises KeyUnusable, OSError.
    """
    return installed_in_new_home(settings) if is_sealed(settings.home) else installed_folder_of(settings)


def installed_in_new_home(settings: Settings) -> Path:
    """As :func:`installed_of`, for who may be the first in a home: a new one gets its keys here.

    Raises KeyUnusable, OSError.
    """
    keys, folder = home_keys(settings), installed_folder_of(settings)
    return folder if keys is None else keys.seal.folder(folder)


def registry_of(settings: Settings) -> Registry:
    """The packs this box uses, each verified now. Raises KeyUnusable, OSError."""
    further = [settings.triage.packs] if settings.triage.packs else []
    return Registry([SHIPPED, *further], installed_of(settings))


def packs_mark(settings: Settings) -> object:
    """Another value whenever somebody has activated another pack; cheap enough to ask for before every study."""
    return activations_mark(installed_folder_of(settings))


def find_pack(reference: str, settings: Settings) -> ModelPack:
    """A pack by its folder, by the name of one in use, or by ``NAME@VERSION`` or ``NAME@DIGEST`` of any.

    Raises:
        ConfigurationInvalid: it is refused, or there is no such pack; says which there are.
    """
    if (Path(reference) / MANIFEST).exists():
        try:
            return load_pack(Path(reference))
        except PackRejected as rejected:
            raise ConfigurationInvalid(reference, (str(rejected),)) from None
    registry = registry_of(settings)
    if reference in registry.in_use:
        return registry.in_use[reference]
    try:
        return choose(reference, registry, installed_of(settings))
    except PackRejected:
        known = ", ".join(sorted(registry.in_use)) or "none"
        raise ConfigurationInvalid("command line", (f"there is no pack {reference!r}; there are {known}",)) from None


def choose(reference: str, registry: Registry, installed: Path) -> ModelPack:
    """The installed or default pack that ``reference`` means.

    ``NAME`` is the highest version installed; ``NAME@VERSION``, ``NAME@DIGEST`` (at least 6 digits) and
    ``NAME@default`` are what they say.

    Raises:
        PackRejected: it means none, more than one, or perhaps one that is damaged.
    """
    name, _, which = reference.partition("@")
    default = registry.defaults.get(name)
    if which == DEFAULT and default is not None:
        return default
    found = list(installed_packs(installed))
    lying = [one for one in found if isinstance(one, ModelPack) and one.manifest.name == name]
    damaged = [one for one in found if isinstance(one, PackRejected) and one.pack.startswith(f"{name}/")]
    fitting = _fitting(lying if default is None or not which else [*lying, default], which)
    if damaged and not (which and fitting):
        raise damaged[0]
    if len(fitting) == 1:
        return fitting[0]
    raise _not_one(reference, fitting or lying, several=bool(fitting))


def _fitting(packs: list[ModelPack], which: str) -> list[ModelPack]:
    if which:
        meant = [one for one in packs if one.manifest.version == which]
        meant += [one for one in packs if len(which) >= _LEAST_DIGITS and one.digest.startswith(which)]
    else:
        highest = max((_order(one) for one in packs), default=None)
        meant = [one for one in packs if _order(one) == highest]
    return list({one.digest: one for one in meant}.values())


def _order(pack: ModelPack) -> tuple[list[int], bool]:
    """Versions by their three numbers, and one with a hyphen, which is not finished, before the same without."""
    version = pack.manifest.version
    return [int(number) for number in re.findall(r"\d+", version)[:3]], "-" not in version


def _not_one(reference: str, candidates: list[ModelPack], *, several: bool) -> PackRejected:
    named = ", ".join(f"{one.manifest.name}@{one.digest[:12]} ({one.manifest.version})" for one in candidates)
    if several:
        return PackRejected(reference, "this means more than one pack", f"Choose one of {named}")
    if named:
        return PackRejected(reference, "no such pack is installed", f"There are {named}")
    return PackRejected(reference, "no such pack is installed", "Install it first, or see scanside models list")
