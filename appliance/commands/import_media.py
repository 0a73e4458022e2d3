"""``scanside import``: a CD, DVD or memory stick with a DICOMDIR, beside a running box or before its start."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.disk.database_file import home_lock
from appliance.disk.take_up import begin_if_new
from appliance.home import open_home
from appliance.ingest.admit import Admission
from appliance.ingest.media_directory import directory_in
from appliance.ingest.media_import import Imported, import_medium
from appliance.settings import Settings


def import_media(medium: Path, settings: Settings) -> Iterator[Imported]:
    """Take in what the DICOMDIR of ``medium`` names; one result for each file, when it is durable.

    Raises:
        DirectoryUnusable: there is no DICOMDIR, or it cannot be read.
        DatabaseUnusable: the home is in the hands of a box that starts, or its database cannot be used.
    """
    directory = directory_in(medium)
    with home_lock(settings.home, alone=False):
        home = open_home(settings)
        try:
            begin_if_new(home, time.time())
            admission = Admission(home.engine, home.spool, settings.limits, settings.dicom)
            yield from import_medium(directory, admission, home.spool)
        finally:
            home.engine.dispose()


def as_row(one: Imported) -> dict[str, Any]:
    """One line of JSON."""
    return {
        "file_id": one.file_id,
        "sop_instance_uid": one.sop_instance_uid,
        "outcome": one.outcome.value,
        "detail": one.detail,
    }


def as_line(one: Imported) -> str:
    """The same for a person."""
    return f"{one.outcome.value:<14} {one.file_id}" + (f": {one.detail}" if one.detail else "")


def summary(results: list[Imported]) -> str:
    """How many came to what: "3 stored, 1 missing"."""
    counted = Counter(one.outcome.value for one in results)
    return ", ".join(f"{number} {word}" for word, number in counted.items()) or "the directory names no file"
