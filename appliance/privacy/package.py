"""The archive of a study that goes to the cloud: de-identified, compressed, the same bytes every time.

Sameness is what makes a repeated escalation harmless: equal bytes have an equal digest, and the far side
already holds that.
"""

from __future__ import annotations

import io
import secrets
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from appliance.privacy.compress import compressed
from appliance.privacy.deidentify import deidentify, pseudonymous_uid, read_instance
from appliance.privacy.errors import CannotDeidentify, SiteKeyUnusable
from appliance.privacy.identifiers import Identifiers, identifiers_of
from appliance.privacy.outgoing import require_nothing_in_archive, require_nothing_of
from appliance.privacy.policy import DEFAULT_POLICY, Policy
from store_forward.durable import make_folder, open_new, write_durably
from store_forward.sealing import Seal

KEY_BYTES = 32
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that could not be made safe, and why (a fixed word of CannotDeidentify)."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class Package:
    """The archive at ``path``; ``instances`` are the names inside it, pseudonymous SOP Instance UIDs."""

    path: Path
    instances: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def site_key(path: Path, seal: Seal | None = None) -> bytes:
    """The 32 random bytes behind every pseudonym of this site, made durably on first use with mode 0600.

    In a sealed home the file is sealed; one that was put there as it is, such as another box's, is sealed when it is
    first read. Raises SiteKeyUnusable when the file has another length or others may read it; OSError when the disk
    fails. A new key would give every patient a new pseudonym, so a damaged one is never replaced here.
    """
    if not path.exists():
        make_folder(path.parent)
        _write_key(path, secrets.token_bytes(KEY_BYTES), seal)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SiteKeyUnusable("the site key can be read by others", f"chmod 600 {path}")
    lies_open = path.stat().st_size == KEY_BYTES
    key = path.read_bytes() if seal is None or lies_open else seal.file(path).read_bytes()
    if len(key) != KEY_BYTES:
        raise SiteKeyUnusable(f"the site key has {len(key)} bytes, not {KEY_BYTES}", f"restore {path} from a copy")
    if seal is not None and lies_open:
        _write_key(path, key, seal)
    return key


def _write_key(path: Path, key: bytes, seal: Seal | None) -> None:
    write_durably(path, key if seal is None else seal.sealed(key))


def package_study(paths: Iterable[Path], key: bytes, target: Path, policy: Policy = DEFAULT_POLICY) -> Package:
    """De-identify and compress the instances at ``paths`` into a zip archive at ``target``.

    Entries are stored (they are compressed already), sorted by name, with a fixed time: the same instances
    and key give the same bytes, in whatever order the paths come. The file is not made durable here; the
    spool does that.

    Instances that cannot be made safe are left out and named in the result: the caller decides whether what
    is left still answers the question. Each is searched, as it will leave, for what the originals of the whole study
    say about the patient. Raises CannotDeidentify when none is left (``nothing_safe``) or the archive itself says
    something (``identifier_left``), and OSError.
    """
    made: list[str] = []
    left_out: list[LeftOut] = []
    ordered = _in_order_of_names(paths, key)
    patient = identifiers_in(ordered, policy)
    with _open_archive(target) as archive:
        for path in ordered:
            try:
                clean = deidentify(read_instance(path), key, policy)
                name = f"{clean.SOPInstanceUID}.dcm"
                if name in made:
                    continue
                leaving = compressed(clean)
                require_nothing_of(patient, leaving)
            except CannotDeidentify as refusal:
                left_out.append(LeftOut(path, refusal.why))
                continue
            archive.writestr(_entry(name), leaving)
            made.append(name)
    if not made:
        target.unlink()
        raise CannotDeidentify("nothing_safe", _why_nothing(left_out))
    require_nothing_in_archive(patient, target)
    return Package(target, tuple(made), tuple(left_out))


def identifiers_in(paths: Iterable[Path], policy: Policy = DEFAULT_POLICY) -> Identifiers:
    """What the originals at ``paths`` say about the patient, together; a file that is none says nothing."""
    found = Identifiers()
    for path in paths:
        with suppress(CannotDeidentify):
            found.add(identifiers_of(read_instance(path, pixels=False), policy))
    return found


def _why_nothing(left_out: list[LeftOut]) -> str:
    words = ", ".join(sorted({one.why for one in left_out}))
    return f"no instance of the study can be made safe to leave the box ({words})"


def _in_order_of_names(paths: Iterable[Path], key: bytes) -> list[Path]:
    """The paths sorted by the name each instance will have, so that no instance need be held meanwhile."""
    return sorted(paths, key=lambda path: (_name_to_be(path, key), path.name))


def _name_to_be(path: Path, key: bytes) -> str:
    """The pseudonymous UID from the header alone; empty for a file that is refused later anyway."""
    try:
        original = read_instance(path, pixels=False)
    except CannotDeidentify:
        return ""
    return pseudonymous_uid(str(original.get("SOPInstanceUID") or ""), key)


@contextmanager
def _open_archive(target: Path) -> Iterator[zipfile.ZipFile]:
    if not target.exists():
        open_new(target).close()
    with target.open("wb") as file, zipfile.ZipFile(_OneWay(file), "w", zipfile.ZIP_STORED) as archive:
        yield archive


class _OneWay(io.RawIOBase):
    """Written from start to end, so that an archive has the same bytes in a sealed home and in another."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _FIXED_TIME)
    entry.create_system = _UNIX
    entry.external_attr = 0o600 << 16
    return entry
