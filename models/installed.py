"""The packs in the state home: ``NAME/VERSION+DIGEST``, where the first 12 digits of the digest make each its own.

Only looked at here. They are put there, and taken into use, by ``scanside models``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.errors import PackRejected, PackUnreadable
from models.pack import ModelPack, load_pack

_SHOWN_DIGITS = 12


def installed_folder(installed: Path, pack: ModelPack) -> Path:
    """Where a pack lies, or would lie; the same pack always in the same place."""
    return installed / pack.manifest.name / f"{pack.manifest.version}+{pack.digest[:_SHOWN_DIGITS]}"


def load_installed(installed: Path, name: str, digest: str) -> ModelPack:
    """Read and verify the installed pack of this name and manifest digest.

    Raises:
        PackRejected: it is not there, is damaged, or is not the one it was.
    """
    folders = sorted((installed / name).glob(f"*+{digest[:_SHOWN_DIGITS]}"))
    if not folders:
        why = f"the pack {digest[:_SHOWN_DIGITS]} was activated, but is not there any more"
        raise PackRejected(name, why, "Install it again or activate another")
    pack = _load(folders[0])
    if pack.digest != digest or pack.manifest.name != name:
        raise PackRejected(_label(folders[0]), "its manifest was changed", "Install it again")
    return pack


def installed_packs(installed: Path) -> Iterator[ModelPack | PackRejected]:
    """Every pack that lies there, and why not for each that is damaged."""
    for folder in sorted(installed.glob("[!.]*/[!.]*")):
        try:
            pack = _load(folder)
            if folder != installed_folder(installed, pack):
                raise PackRejected(_label(folder), "its manifest was changed", "Install it again")
        except PackRejected as rejection:
            yield rejection
        else:
            yield pack


def _load(folder: Path) -> ModelPack:
    try:
        return load_pack(folder)
    except PackRejected as rejection:
        if isinstance(rejection, PackUnreadable):
            raise PackUnreadable(_label(folder), rejection.why, rejection.repair) from None
        raise PackRejected(_label(folder), rejection.why, "Install it again or activate another") from None


def _label(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"
