"""``scanside keys`` and ``scanside erase``: what opens the box's home, and how it is never opened again."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from appliance.audit.events import EventType, Participant, alert
from appliance.audit.trail import record
from appliance.box_key import KeyPlace, home_keys, key_place, read_key, write_new_key
from appliance.commands.audit import whoever
from appliance.disk.database_file import DATABASE
from appliance.disk.erasure import CannotErase, erase_box, erase_studies, studies_of_patient
from appliance.home import Home, open_home, site_key_of
from appliance.settings import Settings
from store_forward.database import reading, writing
from store_forward.durable import write_durably
from store_forward.errors import KeyUnusable
from store_forward.keys import is_sealed, key_id, let_open, new_key, openers, shut_out

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_PLACES = {
    "configured": "at_rest.key_file",
    "credential": "a credential of the service manager",
    "beside": "in the home, beside what it opens",
}


def shown(settings: Settings) -> dict[str, Any]:
    """Whether the home is sealed, where its key is and which keys open it. Raises KeyUnusable, OSError."""
    if not is_sealed(settings.home):
        return {"home": str(settings.home), "sealed": False, "made": (settings.home / DATABASE).exists()}
    place = key_place(settings)
    return {
        "home": str(settings.home),
        "sealed": True,
        "key": str(place.path),
        "place": _PLACES[place.kind],
        "in_use": key_id(read_key(place.path)),
        "opened_by": list(openers(settings.home)),
    }


def rotate(settings: Settings) -> dict[str, Any]:
    """A new key takes the place of the box's, while the box runs. Raises KeyUnusable, OSError.

    At no moment does a crash leave a home that its key file does not open: the new key may open it before the file
    holds that, and the old one goes last.
    """
    place = _sealed(settings)
    if place.kind == "credential":
        raise KeyUnusable(
            "the box's key is a credential, which only the service manager can change",
            "Let a new one open the home by scanside keys add FILE, make it the credential, restart the box, and shut "
            "the old one out by scanside keys remove ID.",
        )
    old, new = read_key(place.path), new_key()
    let_open(settings.home, old, new)
    write_durably(place.path, new.hex().encode() + b"\n")
    shut_out(settings.home, new, frozenset({key_id(old)}))
    _note(settings, f"box key {key_id(old)} replaced by {key_id(new)}")
    return shown(settings)


def add(settings: Settings, file: Path) -> dict[str, Any]:
    """Let the key in ``file``, made if it is not there, open the home, too. Raises KeyUnusable, OSError."""
    place = _sealed(settings)
    own = read_key(place.path)
    write_new_key(file)
    other = read_key(file)
    let_open(settings.home, own, other)
    _note(settings, f"box key {key_id(other)} may open the home")
    return shown(settings)


def remove(settings: Settings, name: str) -> dict[str, Any]:
    """Shut a key out. Raises KeyUnusable when it is not one of those that open the home, or the one in use; OSError."""
    place = _sealed(settings)
    own = read_key(place.path)
    if name == key_id(own):
        raise KeyUnusable(f"{name} is the key in use", "Replace it by scanside keys rotate.")
    if name not in openers(settings.home):
        raise KeyUnusable(f"no key {name} opens this home", "scanside keys show lists those that do.")
    shut_out(settings.home, own, frozenset({name}))
    _note(settings, f"box key {name} shut out")
    return shown(settings)


def write_site_key(settings: Settings, file: Path) -> None:
    """The site key as another box takes it, for the second of a pair. Raises KeyUnusable, FileExistsError, OSError."""
    key = site_key_of(settings)
    with os.fdopen(os.open(file, _NEW, 0o600), "wb") as target:
        target.write(key)
    _note(settings, f"the site key was written to {file}")


def unseal(settings: Settings, file: Path, target: Path) -> None:
    """Write what is in a sealed file, such as one in quarantine, to a new file for its owner only.

    Raises KeyUnusable, FileExistsError, OSError: the file is none of this home, or damaged.
    """
    keys = home_keys(settings)
    if keys is None:
        raise KeyUnusable(f"{settings.home} is no encrypted home", "Its files lie there as they are.")
    with keys.seal.open(file) as source, os.fdopen(os.open(target, _NEW, 0o600), "wb") as plain:
        try:
            shutil.copyfileobj(source, plain)
        except OSError:
            target.unlink()
            raise
    _note(settings, f"{file.name} was written in the clear to {target}")


def erase_study(settings: Settings, uid: str) -> dict[str, Any]:
    """See :func:`erase_studies`."""
    home = open_home(settings)
    try:
        return _erased(home, [uid])
    finally:
        home.engine.dispose()


def erase_patient(settings: Settings, patient_id: str) -> dict[str, Any]:
    """Every study of this Patient ID; raises CannotErase, too, when there is none."""
    home = open_home(settings)
    try:
        with reading(home.engine) as connection:
            uids = studies_of_patient(connection, patient_id)
        if not uids:
            raise CannotErase("No study on this box has that Patient ID.")
        return _erased(home, uids)
    finally:
        home.engine.dispose()


def erase_all(settings: Settings) -> dict[str, Any]:
    """See :func:`erase_box`; ``left`` is the key that has to be erased where it is."""
    left = erase_box(settings)
    return {"erased": str(settings.home), "left": None if left is None else str(left.path)}


def _erased(home: Home, uids: list[str]) -> dict[str, Any]:
    files = erase_studies(home, uids, whoever(), time.time())
    return {"studies": uids, "files": files, "sealed": home.spool.seal is not None}


def _sealed(settings: Settings) -> KeyPlace:
    if not is_sealed(settings.home):
        raise KeyUnusable(
            f"{settings.home} is no encrypted home",
            "A home is encrypted when it is made: start the box with an empty one.",
        )
    return key_place(settings)


def _note(settings: Settings, detail: str) -> None:
    home = open_home(settings)
    try:
        with writing(home.engine) as connection:
            by = (Participant(whoever(), requestor=True),)
            record(connection, alert(EventType.SECURITY_CONFIGURATION, by, detail), time.time())
    finally:
        home.engine.dispose()
