"""The key that opens the box's home: from the configuration, the service manager or, failing both, the home itself."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from appliance.disk.database_file import DATABASE
from appliance.settings import Settings
from store_forward.durable import make_folder, write_first
from store_forward.errors import KeyUnusable
from store_forward.keys import HomeKeys, is_sealed, make_keys, new_key, open_keys

CREDENTIAL: Final = "scanside-box-key"
#: In the home, beside what it opens: good against a disk or copy without it, of no use against theft of the whole.
BESIDE: Final = "box.key"
_KEY: Final = re.compile(rb"[0-9a-fA-F]{64}\s*")


@dataclass(frozen=True)
class KeyPlace:
    """Where the box's key is, and who put it there."""

    path: Path
    kind: Literal["configured", "credential", "beside"]


def key_place(settings: Settings) -> KeyPlace:
    """The first of the three that applies. Nothing is read."""
    if settings.at_rest.key_file is not None:
        return KeyPlace(settings.at_rest.key_file, "configured")
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / CREDENTIAL).exists():
        return KeyPlace(Path(credentials) / CREDENTIAL, "credential")
    return KeyPlace(settings.home / BESIDE, "beside")


def read_key(path: Path) -> bytes:
    """The 32 bytes that a key file holds as 64 hexadecimal digits.

    Raises KeyUnusable when it is missing, others may read it or it holds anything else, OSError.
    """
    try:
        mode, content = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
    except FileNotFoundError:
        repair = (
            "Put it there, mount what it lies on, or name another by at_rest.key_file; nothing else opens the home."
        )
        raise KeyUnusable(f"the box's key {path} is not there", repair) from None
    if mode & 0o077:
        raise KeyUnusable(f"the box's key {path} can be read by others", f"chmod 600 {path}")
    if _KEY.fullmatch(content) is None:
        raise KeyUnusable(f"{path} holds no key, which is 64 hexadecimal digits", "Restore it from its copy.")
    return bytes.fromhex(content.decode())


def write_new_key(path: Path) -> None:
    """A new key, readable by us only, unless a file is there already. Raises OSError."""
    make_folder(path.parent)
    write_first(path, new_key().hex().encode() + b"\n")


def home_keys(settings: Settings) -> HomeKeys | None:
    """What opens the box's home; None when it was made without. A new home gets its keys here, and a key if need be.

    Raises KeyUnusable, OSError.
    """
    home, place = settings.home, key_place(settings)
    if not is_sealed(home):
        if not settings.at_rest.encrypt or (home / DATABASE).exists():
            return None
        if place.kind != "credential":
            write_new_key(place.path)
        make_keys(home, read_key(place.path))
    return open_keys(home, read_key(place.path))
