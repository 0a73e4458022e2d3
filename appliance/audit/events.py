"""What is worth an audit message, in the words of PS3.15 A.5.3 and the codes of DICOM context groups 400 and 401."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum


class EventId(Enum):
    """EventID (CID 400): code value and code meaning."""

    APPLICATION_ACTIVITY = ("110100", "Application Activity")
    AUDIT_LOG_USED = ("110101", "Audit Log Used")
    INSTANCES_ACCESSED = ("110103", "DICOM Instances Accessed")
    INSTANCES_TRANSFERRED = ("110104", "DICOM Instances Transferred")
    STUDY_DELETED = ("110105", "DICOM Study Deleted")
    EXPORT = ("110106", "Export")
    QUERY = ("110112", "Query")
    SECURITY_ALERT = ("110113", "Security Alert")
    USER_AUTHENTICATION = ("110114", "User Authentication")


class EventType(Enum):
    """EventTypeCode (CID 401)."""

    APPLICATION_START = ("110120", "Application Start")
    APPLICATION_STOP = ("110121", "Application Stop")
    LOGIN = ("110122", "Login")
    LOGOUT = ("110123", "Logout")
    NODE_AUTHENTICATION = ("110126", "Node Authentication")
    SECURITY_CONFIGURATION = ("110129", "Security Configuration")
    SOFTWARE_CONFIGURATION = ("110131", "Software Configuration")
    ROLES_CHANGED = ("110136", "Security Roles Changed")
    USER_ATTRIBUTES_CHANGED = ("110137", "User security Attributes Changed")


class Action(Enum):
    """EventActionCode."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(IntEnum):
    """EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8


class RoleId(Enum):
    """RoleIDCode of an active participant (CID 402)."""

    APPLICATION = ("110150", "Application")
    DESTINATION = ("110152", "Destination Role ID")
    SOURCE = ("110153", "Source Role ID")
    DESTINATION_MEDIA = ("110154", "Destination Media")


@dataclass(frozen=True)
class Participant:
    """An active participant: a person, an application entity, or this box.

    ``user_id`` is the person's name, an AE title or a process; ``address`` an IP address or host name, empty when
    there is none.
    """

    user_id: str
    requestor: bool = False
    address: str = ""
    role: RoleId | None = None


@dataclass(frozen=True)
class Subject:
    """A participant object: what it was done to. ``kind`` is "study", "patient", "user", "pack" or "file"."""

    kind: str
    identifier: str
    detail: str = ""


@dataclass(frozen=True)
class AuditEvent:
    """One event. ``detail`` is a short sentence for a person; it never quotes what a stranger has sent."""

    event_id: EventId
    action: Action
    participants: tuple[Participant, ...]
    event_type: EventType | None = None
    outcome: Outcome = Outcome.SUCCESS
    subjects: tuple[Subject, ...] = ()
    detail: str = ""


def this_box(role: RoleId | None = RoleId.APPLICATION) -> Participant:
    """The box itself as a participant."""
    return Participant("scanside", role=role)


def application(event_type: EventType, version: str) -> AuditEvent:
    """The box was started or stopped (PS3.15 A.5.3.1)."""
    return AuditEvent(EventId.APPLICATION_ACTIVITY, Action.EXECUTE, (this_box(),), event_type, detail=version)


def studies_of(uid: str, patient_id: str) -> tuple[Subject, ...]:
    """A study and its patient, whom PS3.15 A.5.3 wants named where it is known."""
    return (Subject("study", uid), *((Subject("patient", patient_id),) if patient_id else ()))


def received(ae_title: str, address: str, uid: str, patient_id: str, count: int) -> AuditEvent:
    """Instances of a study came in, of which there are ``count`` now (A.5.3.7)."""
    who = (Participant(ae_title, True, address, RoleId.SOURCE), this_box(RoleId.DESTINATION))
    detail = f"{count} instances in all"
    what = studies_of(uid, patient_id)
    return AuditEvent(EventId.INSTANCES_TRANSFERRED, Action.CREATE, who, subjects=what, detail=detail)


def sent(destination: str, uid: str, patient_id: str, kind: str) -> AuditEvent:
    """A result or an escalation has arrived at ``destination`` (A.5.3.7)."""
    who = (Participant(destination, role=RoleId.DESTINATION), Participant("scanside", True, role=RoleId.SOURCE))
    what = studies_of(uid, patient_id)
    return AuditEvent(EventId.INSTANCES_TRANSFERRED, Action.READ, who, subjects=what, detail=kind)


def deleted(uid: str, patient_id: str, why: str) -> AuditEvent:
    """A study's files are gone (A.5.3.8)."""
    what = studies_of(uid, patient_id)
    return AuditEvent(EventId.STUDY_DELETED, Action.DELETE, (this_box(),), subjects=what, detail=why)


def viewed(person: str, address: str, uid: str, patient_id: str, what: str = "study page") -> AuditEvent:
    """A person has looked at a study (A.5.3.6)."""
    who, subjects = (Participant(person, True, address),), studies_of(uid, patient_id)
    return AuditEvent(EventId.INSTANCES_ACCESSED, Action.READ, who, subjects=subjects, detail=what)


def exported(person: str, address: str, uid: str, patient_id: str, where: str) -> AuditEvent:
    """A person has taken a study out of the box (A.5.3.4)."""
    who = (Participant(person, True, address), Participant(where, role=RoleId.DESTINATION_MEDIA))
    return AuditEvent(EventId.EXPORT, Action.READ, who, subjects=studies_of(uid, patient_id))


def retrieved(client: str, address: str, uid: str, patient_id: str) -> AuditEvent:
    """A program has fetched something of a study (A.5.3.7)."""
    who = (Participant(client, True, address, RoleId.DESTINATION), this_box(RoleId.SOURCE))
    return AuditEvent(EventId.INSTANCES_TRANSFERRED, Action.READ, who, subjects=studies_of(uid, patient_id))


def searched(who_asks: str, address: str, where: str) -> AuditEvent:
    """A person or a program has searched for patients (A.5.3.10); the words, which may name one, are not kept."""
    who = (Participant(who_asks, True, address, RoleId.SOURCE), this_box(RoleId.DESTINATION))
    return AuditEvent(EventId.QUERY, Action.EXECUTE, who, detail=where)


def signed(event_type: EventType, person: str, address: str, outcome: Outcome = Outcome.SUCCESS) -> AuditEvent:
    """Somebody has signed in or out, or has tried to (A.5.3.12)."""
    who = (Participant(person, True, address),)
    return AuditEvent(EventId.USER_AUTHENTICATION, Action.EXECUTE, who, event_type, outcome)


def alert(
    event_type: EventType,
    participants: Iterable[Participant],
    detail: str,
    subjects: tuple[Subject, ...] = (),
    outcome: Outcome = Outcome.SUCCESS,
) -> AuditEvent:
    """Something that touches security: a refused caller, a changed pack, role or configuration (A.5.3.11)."""
    who = tuple(participants)
    return AuditEvent(EventId.SECURITY_ALERT, Action.EXECUTE, who, event_type, outcome, subjects, detail)


def log_used(person: str, detail: str) -> AuditEvent:
    """Somebody has read or exported the audit trail itself (A.5.3.2)."""
    return AuditEvent(EventId.AUDIT_LOG_USED, Action.READ, (Participant(person, True),), detail=detail)
