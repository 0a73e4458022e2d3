"""What the viewer in the browser asks for: the list of a study's images, and one frame's pixels."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import anyio.to_thread
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.dicomweb.frames import NoSuchFrame
from appliance.dicomweb.held import Held, held_instances
from appliance.dicomweb.opening import Unreadable
from appliance.dicomweb.readers import Readers
from appliance.dicomweb.viewing import described, viewed_frame
from appliance.schema import heat_map_layers, instances
from appliance.web.language import gettext as _
from appliance.web.series import Frame, series_of
from appliance.web.site import Site
from models.pixels import PixelLimits
from store_forward.database import reading

_AT_ONCE: Final = 50
_MOST_KEPT: Final = 8
_FRAME: Final = re.compile(r"[1-9][0-9]{0,5}")
_LUT: Final = re.compile(r"[0-9]{1,2}")
_KEPT: Final = {"Cache-Control": "private, max-age=3600, immutable"}


def viewing_routes(site: Site, readers: Readers) -> list[Route]:
    """Both answer 404 and 410 as retrieval by DICOMweb does, and open files only in processes of their own."""
    viewing = Viewing(site, readers)
    return [
        Route("/images/studies/{study}", viewing.images),
        Route("/images/studies/{study}/instances/{instance}/frames/{frame}", viewing.frame),
    ]


def readers_of(site: Site) -> Readers:
    """The processes that open files for the page."""
    return Readers(site.settings.limits.worker_memory_bytes, site.settings.dicomweb.opening_timeout_s)


@dataclass
class Viewing:
    """Answers the viewer; one for the process. Of the last few studies it remembers what their headers say."""

    site: Site
    readers: Readers
    known: OrderedDict[tuple[str, ...], tuple[list[Frame], int]] = field(default_factory=OrderedDict)

    async def images(self, request: Request) -> Response:
        """Every frame of the study and how to show it, series by series; nothing of it names a patient."""
        self.site.person(request)
        uid = request.path_params["study"]
        found, lost = await self._held(uid, {})
        key = (uid, *(one.file_digest for one in found))
        if key not in self.known:
            self.known[key] = await self._described(uid, found)
            while len(self.known) > _MOST_KEPT:
                self.known.popitem(last=False)
        frames, unread = self.known[key]
        layer = await anyio.to_thread.run_sync(self._layer, uid)
        return JSONResponse({"series": series_of(frames), "lost": lost, "unread": unread, "layer": layer})

    async def frame(self, request: Request) -> Response:
        """Stored values of one frame, little endian; the header ``Scanside-Frame`` describes them as JSON."""
        self.site.person(request)
        number, lut = request.path_params["frame"], request.query_params.get("lut", "")
        if _FRAME.fullmatch(number) is None or (lut and _LUT.fullmatch(lut) is None):
            raise HTTPException(404, _("There is no such frame."))
        (one, *_rest), _lost = await self._held(request.path_params["study"], request.path_params)
        limits = PixelLimits(self.site.settings.limits.max_pixels, self.site.settings.limits.max_decoded_bytes)
        made = await self.readers.run(viewed_frame, one.path, int(number), int(lut) if lut else None, limits)
        if isinstance(made, NoSuchFrame):
            raise HTTPException(404, _("There is no such frame."))
        if isinstance(made, Unreadable):
            raise HTTPException(422, _("The pixels cannot be shown: %(why)s.") % {"why": made.why})
        says = {name: getattr(made, name) for name in made.__dataclass_fields__ if name != "data"}
        headers = {"Scanside-Frame": json.dumps(says), **_KEPT}
        return Response(made.data, media_type="application/octet-stream", headers=headers)

    async def _held(self, uid: str, path: dict[str, Any]) -> tuple[list[Held], int]:
        uids = {"study": uid} | ({"instance": path["instance"]} if "instance" in path else {})
        return await anyio.to_thread.run_sync(held_instances, self.site.engine, self.site.spool, uids)

    async def _described(self, uid: str, found: list[Held]) -> tuple[list[Frame], int]:
        most = self.site.settings.limits.max_decoded_bytes
        series = await anyio.to_thread.run_sync(self._series, uid)
        frames: list[Frame] = []
        unread = 0
        for start in range(0, len(found), _AT_ONCE):
            batch = found[start : start + _AT_ONCE]
            files = [(one.path, one.sop_instance_uid) for one in batch]
            for one, made in zip(batch, await self.readers.run(described, files, most), strict=True):
                if isinstance(made, Unreadable):
                    unread += 1
                    continue
                place = f"/images/studies/{_quoted(uid)}/instances/{_quoted(one.sop_instance_uid)}/frames"
                known = {"series_instance_uid": series.get(one.sop_instance_uid, "")}
                version = one.file_digest[:12]
                frames += [{**frame, **known, "url": f"{place}/{frame['frame']}?v={version}"} for frame in made]
        return frames, unread

    def _series(self, uid: str) -> dict[str, str]:
        c = instances.c
        query = select(c.sop_instance_uid, c.series_instance_uid).where(c.study_instance_uid == uid)
        with reading(self.site.engine) as connection:
            return {row.sop_instance_uid: row.series_instance_uid for row in connection.execute(query)}

    def _layer(self, uid: str) -> dict[str, str] | None:
        query = select(heat_map_layers).where(heat_map_layers.c.study_instance_uid == uid)
        with reading(self.site.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return {"sop_instance_uid": row.sop_instance_uid, "url": f"/images/{row.digest}?study={_quoted(uid)}"}


def _quoted(uid: str) -> str:
    return quote(uid, safe="")
