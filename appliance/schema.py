"""The box's tables: studies, their instances, findings and history. The outbox's tables are its own.

Times are seconds since 1970-01-01 UTC. ``revision`` counts how often a late image has reopened a study: what was
decided, sent or answered for an earlier revision stays in the history and is never mistaken for the present.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnClause,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from appliance.urgency import DOUBT_SQL, URGENCY_SQL
from store_forward.database import METADATA


class StudyState(StrEnum):
    """``receiving → complete → triaging → decided → settled``; a late image leads back to ``receiving``."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    TRIAGING = "triaging"
    DECIDED = "decided"
    SETTLED = "settled"


class Agreement(StrEnum):
    """Whether the cloud's full model and the box's light one say the same."""

    AGREES = "agrees"
    DISAGREES = "disagrees"


studies = Table(
    "studies",
    METADATA,
    Column("study_instance_uid", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("revision", Integer, nullable=False, default=1),
    Column("images_digest", Text, nullable=False, default=""),  # of what the decision is about, see Claim
    Column("completes_at", Float, nullable=False),
    Column("calling_ae_title", Text, nullable=False),
    Column("patient_id", Text, nullable=False, default=""),
    Column("patient_name", Text, nullable=False, default=""),
    Column("patient_age", Text, nullable=False, default=""),
    Column("accession_number", Text, nullable=False, default=""),
    Column("study_date", Text, nullable=False, default=""),
    Column("study_description", Text, nullable=False, default=""),
    Column("modalities", Text, nullable=False, default=""),
    Column("instance_count", Integer, nullable=False, default=0),
    Column("size_bytes", Integer, nullable=False, default=0),
    Column("first_received_at", Float, nullable=False),
    Column("last_received_at", Float, nullable=False),
    Column("triage_attempts", Integer, nullable=False, default=0),
    Column("decision", Text),
    Column("reason", Text),
    Column("detail", Text),
    Column("abnormality", Float),
    Column("pack", Text),
    Column("pack_version", Text),
    Column("pack_digest", Text),
    Column("device", Text),
    Column("latency_ms", Float),
    Column("decided_at", Float),
    Column("routine_below", Float),
    Column("urgent_from", Float),
    Column("lines_set_by", Text),  # empty: the pack's own lines
    Column("bound", JSON(none_as_null=True)),
    Column("heat_map", Text),
    Column("heat_map_finding", Text),
    Column("thumbnail", Text),
    Column("escalated", Boolean, nullable=False, default=False),
    Column("answer_decision", Text),
    Column("answer_reason", Text),
    Column("answer_pack", Text),
    Column("answer_pack_version", Text),
    Column("answer_pack_digest", Text),
    Column("answer_basis", Text),  # image | features
    Column("answered_at", Float),
    Column("agreement", Text),
    Column("settled_at", Float),
    Column("send_to", JSON(none_as_null=True)),  # by a rule: the archives that get the results; null: all
    Column("send_priority", Text),  # by a rule: urgent | bulk
    Column("urgency", Integer, Computed(URGENCY_SQL, persisted=False)),  # 0 urgent to 3 routine; null: none stands
    Column("doubt", Text, Computed(DOUBT_SQL, persisted=False)),  # disagrees | provisional
    Index("studies_by_state", "state", "completes_at"),
    Index("studies_by_arrival", "last_received_at"),
    Index("studies_by_urgency", "urgency", "last_received_at", "study_instance_uid"),
)
#: All that the count of agreement reads, and only of studies that were sent to the cloud.
Index(
    "studies_sent",
    *(
        studies.c[name]
        for name in ("pack", "pack_version", "calling_ae_title", "answer_decision", "answer_basis", "agreement")
    ),
    sqlite_where=studies.c.escalated.is_(True),
)
#: The worklist's filters, in its order; what is in progress is in none, so that its images cost reception nothing.
for _filtered in ("doubt", "modalities", "calling_ae_title", "pack"):
    Index(
        f"studies_by_{_filtered}",
        *(studies.c[name] for name in (_filtered, "urgency", "last_received_at", "study_instance_uid")),
        sqlite_where=studies.c.urgency.is_not(None),
    )

#: The heat map of the image that decided, alone: a PNG whose alpha is the map, laid over the whole of that image.
heat_map_layers = Table(
    "heat_map_layers",
    METADATA,
    Column("study_instance_uid", Text, ForeignKey("studies.study_instance_uid"), primary_key=True),
    Column("sop_instance_uid", Text, nullable=False),
    Column("digest", Text, nullable=False, index=True),
)

#: Days since 1970-01-01 UTC on which studies were decided. SQLite knows an indexed expression by its words.
decided_day: ColumnClause[int] = literal_column("CAST(decided_at / 86400.0 AS INTEGER)", Integer)
#: All that the page on quality counts, in the order it is counted in, and only of studies that have a decision.
Index(
    "studies_by_decided_day",
    decided_day,
    *(
        studies.c[name]
        for name in (
            "pack", "pack_version", "calling_ae_title", "decision", "agreement", "answer_basis", "reason",
            "abnormality", "lines_set_by", "instance_count", "decided_at",
        )
    ),
    sqlite_where=studies.c.decided_at.is_not(None),
)  # fmt: skip

instances = Table(
    "instances",
    METADATA,
    Column("sop_instance_uid", Text, primary_key=True),
    Column("study_instance_uid", Text, ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("series_instance_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("file_digest", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("committed_at", Float),  # promised by storage commitment to whoever asked: retention leaves it
    Column("left_out_by", Text),  # the rule that says it is not to be read
)

#: What was kept but not taken in: other bytes under a known UID, files that are not DICOM, torn files.
set_aside = Table(
    "set_aside",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", Text, nullable=False, default=""),
    Column("study_instance_uid", Text, nullable=False, default=""),
    Column("file_digest", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("source", Text, nullable=False),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("file_digest", "reason"),
)

findings = Table(
    "findings",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", Text, ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("source", Text, nullable=False),  # box | cloud
    Column("sop_instance_uid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("probability", Float, nullable=False),
)

study_events = Table(
    "study_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", Text, ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False, default=""),
)

processes = Table(
    "processes",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
    Column("restarts", Integer, nullable=False, default=0),
    Column("detail", Text, nullable=False, default=""),
)

#: Stands for the device of a pack that nothing here can run.
NO_DEVICE = "none"

devices = Table(
    "devices",
    METADATA,
    Column("pack_digest", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("pack", Text, nullable=False),
    Column("latency_ms", Float),
    Column("chosen", Boolean, nullable=False, default=False),
    Column("detail", Text, nullable=False, default=""),
    Column("measured_at", Float, nullable=False),
)

#: Notices and new lines that came down the link, and what became of each; ``told_at`` is null until the cloud has that.
messages = Table(
    "messages",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("sent_at", Float, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("outcome", Text),
    Column("reason", Text),
    Column("outcome_at", Float),
    Column("told_at", Float),
    Index("messages_by_outcome", "outcome", "told_at"),
)

#: The lines that packs read with here instead of their own; ``seq`` is the message they came with.
lines = Table(
    "lines",
    METADATA,
    Column("pack_digest", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("routine_below", Float, nullable=False),
    Column("urgent_from", Float, nullable=False),
    Column("since", Float, nullable=False),
)

#: What came down the link, kept as it came; the triage worker applies it to the study it belongs to.
answers = Table(
    "answers",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("payload", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("applied_at", Float),
    Index("answers_to_apply", "applied_at", "seq"),
)
