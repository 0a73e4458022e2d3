"""The box itself: ``/status``, and below ``/v1`` its packs, devices, processes and notices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response

from appliance.messages import acknowledge
from appliance.web.agreement import AgreementView, agreement_view
from appliance.web.api.answers import Acknowledged, Devices, Notices, Pack, Packs, Processes, Status
from appliance.web.api.asking import LARGEST_NUMBER, Acknowledger, AtSite, Monitor, Viewer
from appliance.web.api.problems import Refused, documented
from appliance.web.box import device_views, process_views
from appliance.web.people import Role
from appliance.web.views import box_state, status, status_dict
from store_forward.database import reading, writing

router = APIRouter(tags=["box"])


@router.get("/status", response_model=Status, responses=documented(401, 403, 503))
def read_status(site: AtSite, person: Monitor) -> Response:
    """The whole state of the box, as `scanside status --json` prints it. Nothing of a patient's is in it.

    A token that may only monitor gets it without studies.
    """
    around = site.watch.surroundings()
    with reading(site.engine) as conn:
        view = status(conn, site.settings, site.spool, site.clock(), surroundings=around)
    found = status_dict(view)
    if not person.may(Role.VIEWER):
        for studies in ("rows", "pending"):
            del found["worklist"][studies]
    return JSONResponse(found)


@router.get("/v1/notices", responses=documented(401, 403, 503))
def list_notices(site: AtSite, _person: Viewer) -> Notices:
    """What needs a person, problems before notes."""
    around = site.watch.surroundings()
    with reading(site.engine) as conn:
        state = box_state(conn, site.settings, site.spool, site.clock(), around)
    return Notices(notices=list(state.notices))


@router.post("/v1/notices/{message}/acknowledge", responses=documented(401, 403, 404, 422, 503))
def acknowledge_notice(
    site: AtSite, _person: Acknowledger, message: Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
) -> Acknowledged:
    """A person has read this notice of the cloud's operator. Asking again changes nothing."""
    with writing(site.engine) as conn:
        known = acknowledge(conn, message, site.clock())
    if not known:
        raise Refused(404, "There is no such notice on this box.", "Take the number that /api/v1/notices names.")
    return Acknowledged(message=message)


@router.get("/v1/packs", responses=documented(401, 403, 503))
def list_packs(site: AtSite, _person: Viewer) -> Packs:
    """The packs that read here, each with its devices, and those that were refused."""
    around = site.watch.surroundings()
    with reading(site.engine) as conn:
        tried = device_views(conn, around.packs)
    packs = [
        Pack.model_validate(
            {
                **vars(pack),
                "findings": list(pack.findings),
                "devices": [x for x in tried if x.pack_digest == pack.digest],
            }
        )
        for pack in around.packs
    ]
    return Packs(packs=packs, rejected=list(around.rejected))


@router.get("/v1/devices", responses=documented(401, 403, 503))
def list_devices(site: AtSite, _person: Viewer) -> Devices:
    """What was tried for the packs in use: latency where it ran, and why not where it did not."""
    around = site.watch.surroundings()
    with reading(site.engine) as conn:
        return Devices(devices=list(device_views(conn, around.packs)))


@router.get("/v1/processes", responses=documented(401, 403, 503))
def list_processes(site: AtSite, _person: Viewer) -> Processes:
    """The processes of the box, and which of them no longer report."""
    with reading(site.engine) as conn:
        return Processes(processes=list(process_views(conn, site.clock())))


@router.get("/v1/agreement", responses=documented(401, 403, 503))
def read_agreement(site: AtSite, _person: Viewer) -> AgreementView:
    """How often the full model took the side the box leaned to, by pack and by scanner."""
    with reading(site.engine) as conn:
        return agreement_view(conn)
