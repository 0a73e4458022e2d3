"""A file from elsewhere, copied to where received files lie before they are admitted."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from appliance.errors import OutOfResources
from store_forward.errors import SpoolFull
from store_forward.spool import Spool

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def copied(path: Path, spool: Spool) -> Path:
    """The copy, for :meth:`Admission.admit`.

    Raises:
        OutOfResources: the spool has no room for it.
        OSError: the file cannot be read.
    """
    try:
        temporary = spool.temporary(path.stat().st_size)
    except SpoolFull as full:
        raise OutOfResources(str(full)) from full
    try:
        with path.open("rb") as file, spool.content(temporary).open("wb") as copy:
            shutil.copyfileobj(file, copy)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in _NO_ROOM:
            raise
        raise OutOfResources(f"the file cannot be copied into the spool: {error.strerror}") from error
    return temporary
