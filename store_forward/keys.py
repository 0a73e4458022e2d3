"""The keys of a home, kept in it under the box's key, which is kept elsewhere if it can be.

What a home is sealed with never changes; it stands in ``keys.json``, sealed in turn, once for each key that may open
the home. So a key is changed without touching a single file, and a second one can lie in a safe.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store_forward.durable import make_folder, overwrite, write_durably, write_first
from store_forward.errors import KeyUnusable
from store_forward.sealing import Seal
from store_forward.streaming_aead import new_keyset

KEY_BYTES: Final = 32
_FILE, _COPY = "keys.json", "keys.copy.json"
_PURPOSE: Final = b"scanside keys of a home"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True)
class HomeKeys:
    """What opens the files of a home, and the 32 bytes that open its database (SQLCipher's raw key)."""

    seal: Seal
    database: bytes


def new_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def key_id(key: bytes) -> str:
    """A name for a key that says nothing of it."""
    return hashlib.sha256(b"scanside key id\0" + key).hexdigest()[:8]


def is_sealed(home: Path) -> bool:
    """Whether the home was made with keys."""
    return (home / _FILE).exists() or (home / _COPY).exists()


def make_keys(home: Path, key: bytes) -> None:
    """Give a new home its keys, to be opened with ``key``; does nothing for a home that has some. Raises OSError."""
    make_folder(home)
    secret = {"files": new_keyset(), "database": secrets.token_hex(KEY_BYTES)}
    write_first(home / _FILE, _text({key_id(key): _sealed(json.dumps(secret).encode(), key)}))
    _copy(home)


def open_keys(home: Path, key: bytes) -> HomeKeys:
    """The keys of a sealed home. Raises KeyUnusable when ``key`` does not open it, OSError."""
    secret = json.loads(_opened(_slots(home), key))
    return HomeKeys(Seal(secret["files"]), bytes.fromhex(secret["database"]))


def openers(home: Path) -> tuple[str, ...]:
    """The ids of the keys that open this home. Raises KeyUnusable, OSError."""
    return tuple(_slots(home))


def let_open(home: Path, key: bytes, other: bytes) -> None:
    """Let ``other`` open the home, too. Raises KeyUnusable when ``key`` does not, OSError."""
    slots = _slots(home)
    slots[key_id(other)] = _sealed(_opened(slots, key), other)
    _write(home, slots)


def shut_out(home: Path, key: bytes, others: frozenset[str]) -> None:
    """The keys with these ids open the home no more. Raises KeyUnusable when ``key`` does not itself, OSError."""
    slots = _slots(home)
    _opened(slots, key)
    _write(home, {name: sealed for name, sealed in slots.items() if name not in others - {key_id(key)}})


def forget(home: Path) -> None:
    """Nobody opens this home again, whatever key they have: both files are overwritten and removed. Raises OSError."""
    for path in (home / _FILE, home / _COPY):
        if path.exists():
            overwrite(path, path.stat().st_size)
            path.unlink()


def _slots(home: Path) -> dict[str, str]:
    """From the copy when the file itself is lost or torn; it is put right then."""
    found = [_read(home / _FILE), _read(home / _COPY)]
    whole = next((slots for slots in found if slots), None)
    if whole is None:
        raise KeyUnusable(
            f"{home / _FILE} and its copy are lost or damaged",
            "Restore one of them from a copy of the folder: without them nothing in it can be read.",
        )
    if any(slots != whole for slots in found):
        _write(home, whole)
    return dict(whole)


def _read(path: Path) -> dict[str, str] | None:
    try:
        slots = json.loads(path.read_bytes())["opened_by"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return slots if isinstance(slots, dict) and all(isinstance(one, str) for one in slots.values()) else None


def _opened(slots: dict[str, str], key: bytes) -> bytes:
    sealed = slots.get(key_id(key))
    if sealed is None:
        raise KeyUnusable(
            f"the key at hand ({key_id(key)}) is not one of those that open this home ({', '.join(slots)})",
            "Give the right one by at_rest.key_file or as the credential scanside-box-key.",
        )
    data = b64decode(sealed)
    try:
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _PURPOSE)
    except InvalidTag:
        raise KeyUnusable("the keys of this home were altered", f"Restore {_FILE} from a copy of the folder.") from None


def _sealed(secret: bytes, key: bytes) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return b64encode(nonce + AESGCM(key).encrypt(nonce, secret, _PURPOSE)).decode()


def _text(slots: dict[str, str]) -> bytes:
    return json.dumps({"opened_by": slots}, indent=1).encode() + b"\n"


def _write(home: Path, slots: dict[str, str]) -> None:
    write_durably(home / _FILE, _text(slots))
    _copy(home)


def _copy(home: Path) -> None:
    write_durably(home / _COPY, (home / _FILE).read_bytes())
