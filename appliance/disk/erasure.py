"""A study, a patient or a whole box made unreadable for good, because a person asks for it.

Retention deletes what has arrived elsewhere, and keeps what was decided. Here everything goes that says who the patient
is or what was found, whether it has arrived or not; what stays is that there was such a study, who erased it and when.
A sealed file goes by its first segment, so that remains of it, such as a flash disk keeps, are unreadable too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import Connection, delete, exists, func, select, update

from appliance.audit.kept import study_deleted
from appliance.box_key import KeyPlace, key_place
from appliance.dicomweb.held_tables import held_headers
from appliance.disk.database_file import home_lock
from appliance.disk.removals import DELETED, remove_some
from appliance.disk.retention import begin
from appliance.disk.tables import DeletionState, deletions
from appliance.history import record_event
from appliance.home import Home
from appliance.ingest.step_tables import awaited_images, procedure_steps, step_studies
from appliance.labels import labels
from appliance.results.commitments import commitments
from appliance.schema import StudyState, answers, findings, studies
from appliance.settings import Settings
from appliance.study_index import forget_removed_words
from appliance.triage.person_tables import asked_escalations
from store_forward.database import empty_log, reading, writing
from store_forward.deliveries import delivery_events
from store_forward.durable import overwrite
from store_forward.keys import forget, is_sealed
from store_forward.outbox import DeliveryState, deliveries

_READ = (StudyState.DECIDED, StudyState.SETTLED)
_KEY_FILE_BYTES = 4096
_NAMES = ("patient_id", "patient_name", "patient_age", "accession_number", "study_date", "study_description")


class CannotErase(Exception):
    """Nothing was erased; the text says why, and what to do."""


def studies_of_patient(connection: Connection, patient_id: str) -> list[str]:
    """The studies of this Patient ID, by UID."""
    c = studies.c
    return list(connection.execute(select(c.study_instance_uid).where(c.patient_id == patient_id)).scalars())


def erase_studies(home: Home, uids: list[str], person: str, now: float) -> int:
    """Erase them; returns how many files went. May be asked for again, and then goes on where it was cut short.

    Raises CannotErase for one that is unknown or still on its way to a decision, before anything is touched; OSError
    when the disk does not let go of a file.
    """
    with reading(home.engine) as connection:
        for uid in uids:
            _check(connection, uid)
    for uid in uids:
        with writing(home.engine) as connection:
            _check(connection, uid)
            _forget(connection, uid, person, now)
    with writing(home.engine) as connection:
        forget_removed_words(connection)
    removed = 0
    while gone := remove_some(home.engine, home.spool, now):
        removed += len(gone)
    empty_log(home.engine)  # what was written over may still stand there
    return removed


def erase_box(settings: Settings) -> KeyPlace | None:
    """Make everything in the home unreadable, then remove it. Returns where a key is that we cannot erase ourselves.

    The key goes first: whatever stops what follows, nobody can read what is left. Raises HomeInUse when the box runs,
    CannotErase for a home that is not sealed, OSError.
    """
    place = key_place(settings)
    with home_lock(settings.home, alone=True, wait_s=0.0):
        if not is_sealed(settings.home):
            raise CannotErase(
                f"{settings.home} was made without encryption, so it cannot be erased by its key. Wipe its disk."
            )
        forget(settings.home)
        if place.kind == "beside" and place.path.exists():
            overwrite(place.path, min(place.path.stat().st_size, _KEY_FILE_BYTES))
        for path in settings.home.iterdir():
            _remove(path)
    return None if place.kind == "beside" else place


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _check(connection: Connection, uid: str) -> None:
    state = connection.scalar(select(studies.c.state).where(studies.c.study_instance_uid == uid))
    if state is None:
        raise CannotErase(f"There is no study {uid} on this box.")
    if state not in _READ:
        raise CannotErase(f"Study {uid} is {state}: wait until it is decided, then ask again.")


def _forget(connection: Connection, uid: str, person: str, now: float) -> None:
    """All rows that say who the patient is or what was found; the files are listed to go.

    With a new revision an answer that is still to come is one to a study that is no more.
    """
    c = studies.c
    study_deleted(connection, uid, f"erased by {person}", now)
    gone = exists().where(deletions.c.study_instance_uid == uid, deletions.c.state.in_(DELETED))
    begin(connection, uid, ~gone, now)
    removing = (deletions.c.study_instance_uid == uid, deletions.c.state == DeletionState.REMOVING)
    connection.execute(update(deletions).where(*removing).values(state=DeletionState.REMOVED, done_at=now))
    not_arrived = deliveries.c.state != DeliveryState.DELIVERED.value
    waiting = select(deliveries.c.id).where(deliveries.c.subject == uid, not_arrived)
    for table in (commitments, delivery_events):
        connection.execute(delete(table).where(table.c.delivery_id.in_(waiting)))
    withdrawn = connection.execute(delete(deliveries).where(deliveries.c.subject == uid, not_arrived)).rowcount
    payloads = select(deliveries.c.payload).where(deliveries.c.subject == uid)
    connection.execute(delete(answers).where(answers.c.payload.in_(payloads)))
    for one in (findings, labels, held_headers, asked_escalations):
        connection.execute(delete(one).where(one.c.study_instance_uid == uid))
    _forget_steps(connection, uid)
    settled = {"state": StudyState.SETTLED, "settled_at": func.coalesce(c.settled_at, now), "revision": c.revision + 1}
    nothing = dict.fromkeys(_NAMES, "")
    connection.execute(update(studies).where(c.study_instance_uid == uid).values(**nothing, **settled))
    record_event(connection, uid, now, "erased", f"by {person}; {withdrawn} results had not been delivered")


def _forget_steps(connection: Connection, uid: str) -> None:
    """Performed procedure steps name the patient; one that is of another study too keeps what it said."""
    steps = list(
        connection.execute(select(step_studies.c.step_uid).where(step_studies.c.study_instance_uid == uid)).scalars()
    )
    connection.execute(delete(step_studies).where(step_studies.c.study_instance_uid == uid))
    shared = set(
        connection.execute(select(step_studies.c.step_uid).where(step_studies.c.step_uid.in_(steps))).scalars()
    )
    alone = [one for one in steps if one not in shared]
    connection.execute(delete(awaited_images).where(awaited_images.c.step_uid.in_(alone)))
    connection.execute(delete(procedure_steps).where(procedure_steps.c.sop_instance_uid.in_(alone)))
