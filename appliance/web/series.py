"""The images of a study as a viewer goes through them: by series, slices in geometric order where they have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.web.language import gettext as _
from appliance.web.language import ngettext
from models.errors import CannotTriage
from models.volume import Place, Stack, stacked

Frame = dict[str, Any]


def series_of(frames: Sequence[Frame]) -> list[Frame]:
    """Group frames by ``series_instance_uid``; each series says how it is ordered, and what is odd about it."""
    groups: dict[str, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame["series_instance_uid"], []).append(frame)
    made = [_series(uid, members) for uid, members in groups.items()]
    return sorted(made, key=lambda one: (one["number"] is None, one["number"] or 0, one["uid"]))


def _series(uid: str, members: list[Frame]) -> Frame:
    by_number = sorted(members, key=_number)
    images, note = _in_space(by_number)
    first = members[0]
    return {
        "uid": uid,
        "number": first["series_number"],
        "description": first["series_description"],
        "modality": first["modality"],
        "order": "number" if images is None else "geometry",
        "note": note,
        "images": by_number if images is None else images,
    }


def _number(frame: Frame) -> tuple[bool, float, str, int]:
    number = frame["instance_number"]
    return number is None, number or 0.0, frame["sop_instance_uid"], frame["frame"]


def _in_space(frames: list[Frame]) -> tuple[list[Frame] | None, str]:
    """The frames along their normal; None when they have no such order, as a film of one place has none."""
    if len(frames) < 2 or any(one["position"] is None or one["orientation"] is None for one in frames):
        return None, ""
    if any(one["spacing_named"] != "PixelSpacing" for one in frames):
        return None, ""
    places = [
        Place(
            tuple(one["position"]), tuple(one["orientation"]), tuple(one["spacing_mm"]), (one["rows"], one["columns"])
        )
        for one in frames
    ]
    try:
        stack = stacked(places)
    except CannotTriage:
        return None, _("Shown by Instance Number: the slices are not parallel or not of one size.")
    if len(stack.order) == 1:
        return None, ""
    twice: dict[int, list[int]] = {}
    for left_out, kept in stack.duplicates:
        twice.setdefault(kept, []).append(left_out)
    order = [index for kept in stack.order for index in (kept, *twice.get(kept, ()))]
    return [frames[index] for index in order], _wrong(stack)


def _wrong(stack: Stack) -> str:
    said = []
    if stack.gaps:
        missing = sum(gap.missing for gap in stack.gaps)
        words = ngettext("%(n)d slice seems to be missing.", "%(n)d slices seem to be missing.", missing)
        said.append(words % {"n": missing})
    if stack.duplicates:
        number = len(stack.duplicates)
        words = ngettext("%(n)d slice is there twice.", "%(n)d slices are there twice.", number)
        said.append(words % {"n": number})
    if stack.uneven:
        said.append(_("The distances between slices differ."))
    return " ".join(said)
