"""``scanside labels export``: what people have said of studies, as ``scanside evaluate`` takes it."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from appliance.audit import events
from appliance.audit.trail import record
from appliance.home import Home
from appliance.labels import Said, all_latest
from appliance.privacy.deidentify import pseudonymous_uid
from appliance.privacy.package import site_key
from appliance.schema import findings, instances, studies
from models.decision import Decision
from store_forward.database import reading, writing

FIELDS: Final = (
    "file", "label", "patient", "decision", "finding", "study_instance_uid", "sop_instance_uid", "revision", "person",
    "said_at", "pack", "pack_version", "pack_digest", "box_decision",
)  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """How many rows were written, and of how many studies it is not known which image their label is about."""

    rows: int
    not_placed: int
    missing: int


def export_labels(home: Home, target: Path, images: Path | None) -> Exported:
    """Write the label that counts of every study: a row for each image it is about, CSV or, by its ending, JSON.

    With ``images`` the files are copied there, under the names that the rows give. The patient is a pseudonym of this
    site, so that images of one patient stay together. Raises OSError.
    """
    with reading(home.engine) as connection:
        said = list(all_latest(connection))
        placed = [(one, _images(connection, one)) for one in said]
        patients = {one.study_instance_uid: _patient(connection, one.study_instance_uid) for one in said}
    key = site_key(home.site_key_path, home.spool.seal)
    rows, missing = [], 0
    for one, files in placed:
        for sop_instance_uid, digest in files:
            name = f"{sop_instance_uid}.dcm"
            patient = pseudonymous_uid(patients[one.study_instance_uid] or one.study_instance_uid, key)
            row = asdict(one) | {"sop_instance_uid": sop_instance_uid}
            rows.append({"file": name, "label": one.word, "patient": patient, **row})
            if images is not None:
                images.mkdir(parents=True, exist_ok=True)
                source = home.spool.file(digest)
                missing += not source.exists()
                if source.exists():
                    with source.open("rb") as file, (images / name).open("wb") as copy:
                        shutil.copyfileobj(file, copy)
    _write(target, rows)
    if images is not None:
        with writing(home.engine) as connection:
            for uid, patient in patients.items():
                record(connection, events.exported("command line", "", uid, patient, str(images)), time.time())
    return Exported(len(rows), sum(not files for _, files in placed), missing)


def _write(target: Path, rows: list[dict[str, object]]) -> None:
    with target.open("w", newline="", encoding="utf-8") as file:
        if target.suffix.lower() == ".json":
            json.dump([{name: row[name] for name in FIELDS} for row in rows], file, ensure_ascii=False, indent=1)
            return
        writer = csv.DictWriter(file, FIELDS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _images(connection: Connection, said: Said) -> list[tuple[str, str]]:
    """The images a label holds for: the one it names, or every one that was read when nothing is to be acted on."""
    if said.sop_instance_uid:
        wanted = {said.sop_instance_uid}
    elif said.decision == Decision.routine.value:
        wanted = set(_read(connection, said))
    else:
        wanted = set()
    c = instances.c
    query = select(c.sop_instance_uid, c.file_digest).where(c.study_instance_uid == said.study_instance_uid)
    return [(row[0], row[1]) for row in connection.execute(query.order_by(c.sop_instance_uid)) if row[0] in wanted]


def _read(connection: Connection, said: Said) -> Iterator[str]:
    c = findings.c
    of_reading = (c.study_instance_uid == said.study_instance_uid) & (c.revision == said.revision) & (c.source == "box")
    return (str(uid) for uid in connection.execute(select(c.sop_instance_uid).where(of_reading)).scalars())


def _patient(connection: Connection, uid: str) -> str:
    query = select(studies.c.patient_id).where(studies.c.study_instance_uid == uid)
    return str(connection.execute(query).scalar_one())


def as_text(exported: Exported) -> str:
    """What was written, for a person."""
    words = f"{exported.rows} labels written"
    if exported.not_placed:
        words += f"; {exported.not_placed} studies left out: nobody has said which of their images shows it"
    return words + (f"; {exported.missing} images are no longer on this box" if exported.missing else "")
