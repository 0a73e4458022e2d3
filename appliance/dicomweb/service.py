"""The routes of DICOMweb (PS3.18 chapter 10) as one mount for the status page's server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from appliance.dicomweb.accept import wants_json
from appliance.dicomweb.attributes import Level
from appliance.dicomweb.door import Door, dicomweb_token
from appliance.dicomweb.headers_held import HeadersHeld
from appliance.dicomweb.looks import Looks
from appliance.dicomweb.pictures import PictureEndpoint
from appliance.dicomweb.query import NO_FUZZY, read_query
from appliance.dicomweb.readers import Readers
from appliance.dicomweb.retrieve import RetrieveEndpoint
from appliance.dicomweb.search import Search
from appliance.dicomweb.store import StoreEndpoint
from appliance.dicomweb.words import DICOM_JSON, ROOT_PATH, root_of
from appliance.ingest.admit import Admission
from appliance.settings import Settings
from models.pixels import PixelLimits
from store_forward.spool import Spool

_STUDY: Final = "/studies/{study}"
_SERIES: Final = _STUDY + "/series/{series}"
_INSTANCE: Final = _SERIES + "/instances/{instance}"


def dicomweb_mount(settings: Settings, engine: Engine, spool: Spool, clock: Callable[[], float]) -> Mount:
    """Everything below ``/dicom-web``; answers 404 unless it is switched on. Raises ConfigurationInvalid."""
    own, limits = settings.dicomweb, settings.limits
    readers = Readers(limits.worker_memory_bytes, own.opening_timeout_s)
    store = StoreEndpoint(settings, Admission(engine, spool, limits, settings.dicom), spool, clock)
    looks = Looks(engine, clock)
    retrieve = RetrieveEndpoint(engine, spool, readers, limits.max_decoded_bytes, own.public_url, looks)
    pictures = PictureEndpoint(retrieve, readers, PixelLimits(limits.max_pixels, limits.max_decoded_bytes))
    search = _SearchEndpoint(settings, engine, spool, readers, looks)
    return Mount(
        ROOT_PATH,
        routes=[
            *(Route(path, store.answer, methods=["POST"]) for path in ("/studies", _STUDY)),
            Route("/studies", search.studies),
            *(Route(path, search.series) for path in ("/series", f"{_STUDY}/series")),
            *(Route(path, search.instances) for path in ("/instances", f"{_STUDY}/instances", f"{_SERIES}/instances")),
            *(Route(path, retrieve.instances) for path in (_STUDY, _SERIES, _INSTANCE)),
            *(Route(f"{path}/metadata", retrieve.metadata) for path in (_STUDY, _SERIES, _INSTANCE)),
            *(Route(f"{path}/thumbnail", pictures.thumbnail) for path in (_STUDY, _SERIES, _INSTANCE)),
            Route(f"{_INSTANCE}/bulkdata/{{where:path}}", retrieve.bulk_data),
            Route(f"{_INSTANCE}/rendered", pictures.rendered),
            Route(f"{_INSTANCE}/frames/{{frames}}", pictures.frames),
            Route(f"{_INSTANCE}/frames/{{frames}}/rendered", pictures.rendered),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=own.allowed_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Accept"],
                expose_headers=["Warning", "Retry-After"],
            ),
            Middleware(Door, enabled=own.enabled, token=dicomweb_token(settings)),
        ],
    )


class _SearchEndpoint:
    def __init__(self, settings: Settings, engine: Engine, spool: Spool, readers: Readers, looks: Looks) -> None:
        self._settings, self._engine, self._spool = settings, engine, spool
        self._readers, self._looks = readers, looks

    async def studies(self, request: Request) -> Response:
        """Search for studies."""
        return await self._search(request, Level.STUDY)

    async def series(self, request: Request) -> Response:
        """Search for series, of a study or of all."""
        return await self._search(request, Level.SERIES)

    async def instances(self, request: Request) -> Response:
        """Search for instances, of a series, of a study or of all."""
        return await self._search(request, Level.INSTANCE)

    async def _search(self, request: Request, level: Level) -> Response:
        wants_json(request)
        uids, root = dict(request.path_params), root_of(request, self._settings.dicomweb.public_url)
        above = frozenset(one for one, name in ((Level.STUDY, "study"), (Level.SERIES, "series")) if name in uids)
        query = read_query(request.query_params, level, above, self._settings.dicomweb.max_results)
        headers = HeadersHeld(self._engine, self._spool, self._readers, self._settings.limits.max_decoded_bytes)
        found = await Search(self._engine, self._spool, headers, query, uids, root).run()
        await self._looks.searched(request, len(found.objects))
        warnings = [NO_FUZZY] if query.fuzzy else []
        if found.more and query.over:
            warnings.append("There are additional results that can be requested.")
        answer = JSONResponse(list(found.objects), media_type=DICOM_JSON)
        for warning in warnings:
            answer.headers.append("Warning", f'299 {root.rstrip("/")}: "{warning}"')
        return answer
