"""``/v1/studies``: the list with its filters, and one study whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from sqlalchemy import Connection, and_, or_, select
from starlette.requests import Request

from appliance.schema import StudyState, studies
from appliance.web.api.answers import Patient, Study, StudyPage, WholeStudy
from appliance.web.api.asking import (
    MOST_LOOKED_AT,
    AtSite,
    Cursor,
    Limit,
    Moment,
    Place,
    Viewer,
    cursor_of,
    place_of,
)
from appliance.web.api.problems import Refused, documented
from appliance.web.standing import standing_decision
from appliance.web.study import study_view
from appliance.web.worklist import StudyRow, opinions_of, study_rows
from store_forward.database import reading

router = APIRouter(prefix="/v1/studies", tags=["studies"])


Uid = Annotated[str, Path(min_length=1, max_length=1000, description="as the scanner sent it")]


class Standing(StrEnum):
    """The decision to act on, once box and cloud have had their say."""

    URGENT = "urgent"
    ESCALATE = "escalate"
    NOT_TRIAGED = "not_triaged"
    ROUTINE = "routine"
    PENDING = "pending"


@dataclass(frozen=True)
class _Filters:
    standing: Standing | None
    state: StudyState | None
    calling_ae_title: str | None

    def let_through(self, row: Any) -> bool:
        """Whether a study is one of those that are asked for."""
        if self.state is not None and row.state != self.state:
            return False
        if self.calling_ae_title is not None and row.calling_ae_title != self.calling_ae_title:
            return False
        return self.standing is None or standing_decision(opinions_of(row)) == self.standing


@router.get("", responses=documented(401, 403, 422, 503))
def list_studies(
    site: AtSite,
    person: Viewer,
    standing: Annotated[Standing | None, Query(description="the decision to act on")] = None,
    state: Annotated[StudyState | None, Query(description="how far it is")] = None,
    calling_ae_title: Annotated[str | None, Query(max_length=64, description="who sent it")] = None,
    received_after: Moment = None,
    received_before: Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> StudyPage:
    """Studies by their latest image, the latest first.

    A page looks at no more than 2,000 studies, however few of them fit: go on until `next_cursor` is null.
    """
    wanted, after = _Filters(standing, state, calling_ae_title), place_of(cursor)
    with reading(site.engine) as conn:
        uids, following = _page(conn, wanted, received_after, received_before, limit, after)
        rows = study_rows(conn, uids, person.sees_patients)
    listed = [Study.model_validate(_told(rows[uid], person.sees_patients)) for uid in uids if uid in rows]
    return StudyPage(studies=listed, next_cursor=cursor_of(following) if following else None)


@router.get("/{study_instance_uid:path}", responses=documented(401, 403, 404, 422, 503))
def read_study(site: AtSite, person: Viewer, request: Request, study_instance_uid: Uid) -> WholeStudy:
    """One study: findings of every image, deliveries, and everything that has happened to it."""
    with reading(site.engine) as conn:
        view = study_view(conn, study_instance_uid, person.sees_patients)
    if view is None:
        raise Refused(404, "There is no study with this UID on this box.", "Look it up in /api/v1/studies.")
    site.note_look(request, study_instance_uid, "API")
    whole = {name: value for name, value in vars(view).items() if name in WholeStudy.model_fields and name != "said"}
    whole["all_said"] = view.said
    return WholeStudy.model_validate(_told(view.row, person.sees_patients) | whole)


def _page(
    conn: Connection, wanted: _Filters, since: float | None, until: float | None, limit: int, after: Place | None
) -> tuple[list[str], Place | None]:
    """The UIDs of one page, and where the next begins; None when nothing follows."""
    c = studies.c
    query = select(
        c.study_instance_uid, c.last_received_at, c.state, c.calling_ae_title,
        c.decision, c.escalated, c.answer_decision, c.agreement, c.answer_basis,
    )  # fmt: skip
    if after is not None:
        at, uid = after
        # The first term follows from the second, but it is the one SQLite can search the index with.
        same_moment = and_(c.last_received_at == at, c.study_instance_uid < uid)
        query = query.where(c.last_received_at <= at, or_(c.last_received_at < at, same_moment))
    if since is not None:
        query = query.where(c.last_received_at > since)
    if until is not None:
        query = query.where(c.last_received_at < until)
    query = query.order_by(c.last_received_at.desc(), c.study_instance_uid.desc()).limit(MOST_LOOKED_AT + 1)
    found: list[str] = []
    place: Place | None = None
    for number, row in enumerate(conn.execute(query)):
        if number == MOST_LOOKED_AT or len(found) == limit:
            return found, place
        place = float(row.last_received_at), str(row.study_instance_uid)
        if wanted.let_through(row):
            found.append(row.study_instance_uid)
    return found, None


def _told(row: StudyRow, sees_patients: bool) -> dict[str, Any]:
    values = asdict(row)
    patient = {name: values.pop(name) for name in Patient.model_fields}
    return values | {"patient": patient if sees_patients else None}
