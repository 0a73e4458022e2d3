"""Results as they were sent: a report as a readable tree, a picture as a picture, an event as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from sqlalchemy import Row, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.audit import events
from appliance.audit.kept import patient_of
from appliance.audit.trail import record
from appliance.dicomweb.frames import NoSuchFrame, Picture, rendered
from appliance.dicomweb.opening import Unreadable
from appliance.dicomweb.readers import Readers
from appliance.labels import NOBODY
from appliance.results.content_tree import Opened, opened
from appliance.triage.deliveries import ESCALATIONS
from appliance.web.language import gettext as _
from appliance.web.people import Role, address_of
from appliance.web.site import Site
from models.pixels import PixelLimits
from store_forward.database import reading, writing
from store_forward.outbox import deliveries

_DICOM: Final = "application/dicom"
_LONGEST_TEXT: Final = 1 << 20


def result_routes(site: Site, readers: Readers) -> list[Route]:
    """The page of one result, its picture, and its file for those who see patients."""
    results = SentResults(site, readers)
    path = "/studies/{uid:path}/results/{number:int}"
    return [
        Route(f"{path}/picture", results.picture),
        Route(f"{path}/file", results.file),
        Route(path, results.page),
    ]


class SentResults:
    """Answers what is asked about the results of a study; one for the process."""

    def __init__(self, site: Site, readers: Readers) -> None:
        self._site, self._readers = site, readers

    async def page(self, request: Request) -> Response:
        """What was sent, to read."""
        person = self._site.person(request)
        row, path = await anyio.to_thread.run_sync(self._found, request)
        content: Opened | None = None
        text = why = ""
        if row.content_type == _DICOM:
            made = await self._readers.run(opened, path, self._site.settings.limits.max_decoded_bytes)
            content, why = (None, made.why) if isinstance(made, Unreadable) else (made, "")
        elif row.content_type == "application/json":
            text = await anyio.to_thread.run_sync(_readable_json, path)
        values: dict[str, Any] = {
            "result": row,
            "content": content,
            "text": text,
            "why": why,
            "may_download": person.sees_patients,
            "now": self._site.clock(),
        }
        return self._site.render(request, "study_result.html", values)

    async def picture(self, request: Request) -> Response:
        """The picture of a result, as PNG."""
        self._site.person(request)
        row, path = await anyio.to_thread.run_sync(self._found, request)
        limits = PixelLimits(self._site.settings.limits.max_pixels, self._site.settings.limits.max_decoded_bytes)
        made: Any = Unreadable("it is no picture")
        if row.content_type == _DICOM:
            made = await self._readers.run(rendered, path, 1, Picture("image/png"), limits)
        if isinstance(made, (Unreadable, NoSuchFrame)):
            raise HTTPException(404, _("There is no such picture."))
        return Response(made, media_type="image/png")

    def file(self, request: Request) -> Response:
        """The very bytes that were sent; they name the patient."""
        person = self._site.person(request, Role.VIEWER)
        if not person.sees_patients:
            raise HTTPException(403, _("This is not open to your role."))
        row, path = self._found(request)
        address = address_of(request)
        with writing(self._site.engine) as connection:
            patient = patient_of(connection, row.subject)
            taken = events.exported(person.name or NOBODY, address, row.subject, patient, f"{row.kind} from its page")
            record(connection, taken, self._site.clock())
        end = "dcm" if row.content_type == _DICOM else "json"
        headers = {"Content-Disposition": f'attachment; filename="{row.kind}-{row.id}.{end}"'}
        return Response(path.read_bytes(), media_type=row.content_type, headers=headers)

    def _found(self, request: Request) -> tuple[Row[Any], Path]:
        c = deliveries.c
        number, uid = request.path_params["number"], request.path_params["uid"]
        of_study = (c.id == number) & (c.subject == uid) & c.kind.not_in(ESCALATIONS)
        with reading(self._site.engine) as connection:
            row = connection.execute(select(deliveries).where(of_study)).one_or_none()
        if row is None:
            raise HTTPException(404, _("There is no such result of this study."))
        path = self._site.spool.file(row.payload)
        if not path.exists():
            raise HTTPException(410, _("The result is no longer on this box; have the study read again."))
        return row, path


def _readable_json(path: Path) -> str:
    with path.open("rb") as file:
        text = file.read(_LONGEST_TEXT).decode(errors="replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
