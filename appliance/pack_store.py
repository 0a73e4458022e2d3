"""Installs packs and takes them into use, so that whatever fails, the pack in use stays.

A pack gets its name only when all of its files are verified and durable, and is used only when its golden set came
out right on this very machine. What is in use is one small file that is replaced whole: at any moment, also after a
power cut, it says either the old or the new.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from appliance.home import DEVICES_CACHE
from appliance.packs import choose, installed_folder_of, installed_in_new_home, installed_of, registry_of
from appliance.settings import Settings
from hardware.errors import BackendUnavailable
from models.activations import ACTIVE, Activations, read_activations
from models.archive import archive_name, unpack_archive, write_archive
from models.errors import PackRejected
from models.installed import installed_folder, load_installed
from models.opening import OpenedPack, open_runner
from models.pack import ModelPack, load_pack
from models.registry import Registry
from store_forward.durable import FOLDER_MODE, make_folder, open_new, publish, sync_file, write_durably
from store_forward.sealing import SealedFile, lying

_UNFINISHED, _DAMAGED = ".incoming-", ".damaged-"


@dataclass(frozen=True, slots=True)
class Installed:
    """A pack that lies in the state home now; ``new`` when it did not before."""

    pack: ModelPack
    new: bool


@dataclass(frozen=True, slots=True)
class TakenIntoUse:
    """A pack that passed its golden set here and is in use now; ``before`` is what was, None for nothing."""

    pack: ModelPack
    opened: OpenedPack
    before: ModelPack | None


def install(archive: Path, settings: Settings) -> Installed:
    """Put the pack of an archive into the state home; it is not used yet. The same pack twice is the same as once.

    Raises:
        PackRejected: the archive or the pack in it is refused, or the disk does not take it; nothing has changed.
    """
    root = installed_folder_of(settings)
    try:
        with _alone(root), _scratch(root) as folder:
            installed = installed_in_new_home(settings)
            files = unpack_archive(archive, installed / folder.name, _most_bytes(archive, root, settings))
            pack = verified_in(installed / folder.name, archive)
            # Whoever made the pack would be asked for here: after this, it has its name.
            return Installed(*_put_in_place(pack, files, installed))
    except OSError as error:
        raise PackRejected(
            archive.name, f"it cannot be kept ({error.strerror})", "Repair the disk or free it"
        ) from None


def activate(reference: str, settings: Settings) -> TakenIntoUse:
    """Run the golden set of an installed pack here and, if it comes out right, take the pack into use.

    Raises:
        PackRejected: there is no such pack, or it must not be used here; the one in use stays.
        OSError: the disk fails while the choice is written; the old or the new is in use, and whole.
    """
    with _alone(installed_folder_of(settings)):
        registry, installed = registry_of(settings), installed_of(settings)
        pack = choose(reference, registry, installed)
        digest = None if pack is registry.defaults.get(pack.manifest.name) else pack.digest
        return _take_into_use(pack, registry, _known(installed).activated(pack.manifest.name, digest), settings)


def rollback(name: str, settings: Settings) -> TakenIntoUse:
    """Take the pack of this name that was in use before into use again, after its golden set came out right here.

    Raises:
        PackRejected: none was in use before, or it must not be used any more; the one in use stays.
        OSError: as with :func:`activate`.
    """
    with _alone(installed_folder_of(settings)):
        registry, installed = registry_of(settings), installed_of(settings)
        activations = read_activations(installed).rolled_back(name)
        digest = activations.of(name).active
        pack = registry.defaults.get(name) if digest is None else load_installed(installed, name, digest)
        if pack is None:
            raise PackRejected(name, "nothing was in use before", "Activate the one you want by its version")
        return _take_into_use(pack, registry, activations, settings)


def export(reference: str, target: Path | None, settings: Settings) -> Path:
    """Write a pack as one archive: to ``target``, into it when it is a folder, or here. Returns where it lies.

    Raises:
        PackRejected: there is no such pack, or the file exists or cannot be written.
    """
    registry = registry_of(settings)
    pack = registry.in_use.get(reference) or choose(reference, registry, installed_of(settings))
    path = target or Path()
    path = path / archive_name(pack) if path.is_dir() else path
    try:
        with open_new(path) as stream:
            _write_all(pack, path, stream)
        path.chmod(0o644)
    except OSError as error:
        raise PackRejected(pack.manifest.name, f"{path} cannot be written ({error.strerror})", "Name another") from None
    return path


def _write_all(pack: ModelPack, path: Path, stream: BinaryIO) -> None:
    """Write the archive, or leave nothing behind that could be taken for one."""
    try:
        write_archive(pack, stream)
        stream.flush()
    except BaseException:
        path.unlink()
        raise


def verified_in(folder: Path, archive: Path) -> ModelPack:
    """The pack in a folder that an archive was unpacked to. Raises PackRejected, which names the archive."""
    try:
        return load_pack(folder)
    except PackRejected as rejection:
        raise PackRejected(archive.name, rejection.why, rejection.repair) from None


def _take_into_use(pack: ModelPack, registry: Registry, after: Activations, settings: Settings) -> TakenIntoUse:
    own = pack.manifest
    before = registry.in_use.get(own.name)
    if before is not None and before.manifest.role != own.role:
        why = f"it is for the {own.role}, and the one of this name in use is for the {before.manifest.role}"
        raise PackRejected(f"{own.name} {own.version}", why, "Make it again under a name of its own")
    try:
        opened = open_runner(pack, settings.home / DEVICES_CACHE)
    except BackendUnavailable as unavailable:
        repair = "Install one that was made for this machine; scanside models selftest shows its devices"
        raise PackRejected(f"{own.name} {own.version}", str(unavailable), repair) from None
    active, said = installed_of(settings) / ACTIVE, after.model_dump_json(indent=1).encode()
    write_durably(lying(active), active.seal.sealed(said) if isinstance(active, SealedFile) else said)
    return TakenIntoUse(pack, opened, before)


def _known(installed: Path) -> Activations:
    """What was activated; nothing when that cannot be read any more, which activating again is the repair for."""
    try:
        return read_activations(installed)
    except PackRejected:
        return Activations()


def _put_in_place(pack: ModelPack, files: list[Path], installed: Path) -> tuple[ModelPack, bool]:
    final = installed_folder(installed, pack)
    place = lying(final)
    if place.exists():
        if _is_whole(final, pack):
            return load_pack(final), False
        place.replace(lying(installed) / f"{_DAMAGED}{secrets.token_hex(8)}")
    for file in files:
        sync_file(lying(file))
    make_folder(place.parent)
    publish(lying(pack.folder), place)
    return ModelPack(final, pack.manifest, pack.digest), True


def _is_whole(folder: Path, pack: ModelPack) -> bool:
    try:
        return load_pack(folder).digest == pack.digest
    except PackRejected:
        return False


def _most_bytes(archive: Path, root: Path, settings: Settings) -> int:
    """How much the archive may unpack to: the limit, and what the disk has above its floor."""
    room = shutil.disk_usage(root).free - settings.limits.free_disk_floor_bytes
    if room <= 0:
        raise PackRejected(archive.name, "the disk is full down to limits.free_disk_floor_bytes", "Free some disk")
    return min(room, settings.limits.max_pack_bytes)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A folder for unfinished work on the same file system; what an earlier, killed command left goes first."""
    _sweep(root)
    folder = root / f"{_UNFINISHED}{secrets.token_hex(8)}"
    folder.mkdir(mode=FOLDER_MODE)
    try:
        yield folder
    finally:
        _sweep(root)


def _sweep(root: Path) -> None:
    for pattern in (_UNFINISHED, _DAMAGED):
        for left_over in root.glob(f"{pattern}*"):
            shutil.rmtree(left_over)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of the folder of installed packs; the kernel lets go of it however the process ends.

    Raises PackRejected when somebody else holds it, or when the box runs as another user, who could not read what
    this one writes.
    """
    home = root.parent
    if home.exists() and home.stat().st_uid != os.geteuid():
        raise PackRejected("all", f"{home} belongs to another user", "Run this as the user that the box runs as")
    make_folder(root)
    with (root / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PackRejected("all", "another command changes the packs now", "Wait until it is done") from None
        yield
