"""What people at the box say a study shows: labels for calibration. All are kept; of a study the latest counts.

What the box and the cloud decided is never changed by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Float, ForeignKey, Integer, Row, Table, Text, func, insert, select

from appliance.history import record_event
from appliance.schema import findings, studies
from models.answers import ANY_ABNORMAL, ANY_NORMAL
from models.decision import Decision
from store_forward.database import METADATA

labels: Final = Table(
    "labels",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", Text, ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("decision", Text, nullable=False),  # routine | urgent: what it should have been
    Column("finding", Text, nullable=False, default=""),  # empty: none was named
    Column("sop_instance_uid", Text, nullable=False, default=""),  # the image it is about; empty: the study
    Column("person", Text, nullable=False, default=""),
    Column("said_at", Float, nullable=False, index=True),
    Column("pack", Text, nullable=False, default=""),
    Column("pack_version", Text, nullable=False, default=""),
    Column("pack_digest", Text, nullable=False, default=""),
    Column("box_decision", Text, nullable=False),
)

#: What a person may say of a study.
SIDES: Final = (Decision.urgent.value, Decision.routine.value)
NOBODY: Final = "somebody at the page"


@dataclass(frozen=True)
class Said:
    """One label: ``decision`` is urgent or routine, ``finding`` what the study shows, if it was named."""

    study_instance_uid: str
    revision: int
    decision: str
    finding: str
    sop_instance_uid: str
    person: str
    said_at: float
    pack: str
    pack_version: str
    pack_digest: str
    box_decision: str

    @property
    def confirms(self) -> bool:
        """Whether it is what the box had decided."""
        return self.decision == self.box_decision

    @property
    def corrects(self) -> bool:
        """Whether the box had taken the other side; where it took none there is nothing to correct."""
        return self.box_decision in SIDES and not self.confirms

    @property
    def word(self) -> str:
        """The label as ``scanside evaluate`` takes it."""
        return self.finding or (ANY_NORMAL if self.decision == Decision.routine.value else ANY_ABNORMAL)


class CannotLabel(ValueError):
    """What was said cannot be kept about this study; the text says why, for the person."""


def keep_label(
    connection: Connection, study_instance_uid: str, decision: str, finding: str, person: str, now: float
) -> Said:
    """Keep what ``person`` says in the caller's transaction, with an event of the study's history.

    Raises CannotLabel: there is no decision yet, or the words are none of those that a label can have.
    """
    study = connection.execute(select(studies).where(studies.c.study_instance_uid == study_instance_uid)).one_or_none()
    if study is None or study.decision is None:
        raise CannotLabel("the study has no decision yet")
    if decision not in SIDES:
        raise CannotLabel("a label is urgent or routine")
    if finding and finding not in known_findings(connection, study):
        raise CannotLabel("no model of this box knows that finding")
    said = Said(
        study_instance_uid=study_instance_uid,
        revision=study.revision,
        decision=decision,
        finding=finding,
        sop_instance_uid=_image_of(connection, study),
        person=person,
        said_at=now,
        pack=study.pack or "",
        pack_version=study.pack_version or "",
        pack_digest=study.pack_digest or "",
        box_decision=study.decision,
    )
    connection.execute(insert(labels).values(**said.__dict__))
    what = f"{decision}, {finding}" if finding else decision
    how = "" if said.box_decision not in SIDES else "; as the box says" if said.confirms else "; not as the box says"
    record_event(connection, study_instance_uid, now, "labelled", f"{person or NOBODY}: {what}{how}")
    return said


def known_findings(connection: Connection, study: Row[Any]) -> list[str]:
    """What the models looked for in this study at its present revision, by name."""
    c = findings.c
    query = select(c.name).where(c.study_instance_uid == study.study_instance_uid, c.revision == study.revision)
    return sorted(set(connection.execute(query).scalars()))


def _image_of(connection: Connection, study: Row[Any]) -> str:
    """The image a label is about: the only one that was read; of several nobody can tell."""
    c = findings.c
    query = (
        select(c.sop_instance_uid)
        .where(c.study_instance_uid == study.study_instance_uid, c.revision == study.revision, c.source == "box")
        .distinct()
        .limit(2)
    )
    read = connection.execute(query).scalars().all()
    return str(read[0]) if len(read) == 1 else ""


def latest_labels(connection: Connection, study_instance_uids: Collection[str]) -> dict[str, Said]:
    """The label that counts, by study; a study nobody has spoken about is not in it."""
    c = labels.c
    newest = select(func.max(c.id)).where(c.study_instance_uid.in_(study_instance_uids)).group_by(c.study_instance_uid)
    rows = connection.execute(select(labels).where(c.id.in_(newest)))
    return {row.study_instance_uid: said_of(row) for row in rows}


def all_latest(connection: Connection) -> Iterator[Said]:
    """Every label that counts, the oldest first."""
    c = labels.c
    newest = select(func.max(c.id)).group_by(c.study_instance_uid)
    return (said_of(row) for row in connection.execute(select(labels).where(c.id.in_(newest)).order_by(c.id)))


def said_of(row: Row[Any]) -> Said:
    """A row of ``labels``."""
    return Said(**{name: getattr(row, name) for name in Said.__dataclass_fields__})
