"""The tables of the DICOMweb reference: resources, attributes, media types."""

from __future__ import annotations

import time
from typing import Any

from pydicom.uid import UID
from starlette.routing import Route

from appliance.dicomweb.attributes import COUNTED, READ, Level, can_be_matched, key_of
from appliance.dicomweb.pictures import FRAME_MEDIA_TYPES
from appliance.dicomweb.service import dicomweb_mount
from appliance.settings import Settings
from tests.docs.markdown import table


def resources() -> str:
    """Every path below ``/dicom-web`` with its method."""
    unused: Any = None  # nothing is answered here
    rows = (
        (f"`{one.path}`", " ".join(sorted((one.methods or set()) - {"HEAD"})), _first_sentence(one.endpoint))
        for one in dicomweb_mount(Settings(), unused, unused, time.time).routes
        if isinstance(one, Route)
    )
    return table(("Path", "Method", "What it does"), rows)


def _first_sentence(endpoint: object) -> str:
    return (endpoint.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def attributes() -> str:
    """Every attribute that a search knows, where it comes from and whether it can be matched."""
    rows = []
    for level in Level:
        usual, more = READ[level]
        for keywords, returned in ((usual, "always"), (more, "if asked for"), (COUNTED[level], "always")):
            for keyword in keywords:
                key = key_of(keyword)
                matched = "yes" if can_be_matched(key, Level.INSTANCE) else "no"
                rows.append((level.name.lower(), f"{keyword} ({key[:4]},{key[4:]})", returned, matched))
    return table(("Level", "Attribute", "In the answer", "Matching"), iter(dict.fromkeys(rows)))


def frame_media_types() -> str:
    """In which media type a compressed frame goes out as it is stored."""
    rows = ((UID(uid).name, f"`{uid}`", f"`{kind}`") for uid, kind in FRAME_MEDIA_TYPES.items())
    return table(("Transfer syntax", "UID", "Media type"), rows)
