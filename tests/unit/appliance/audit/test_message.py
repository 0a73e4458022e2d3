"""Events as DICOM Audit Messages (PS3.15 A.5.1) and as syslog (RFC 5424)."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

import pytest

from appliance.audit import events
from appliance.audit.events import AuditEvent, EventType, Outcome, Participant, Subject
from appliance.audit.message import audit_message, syslog_message
from appliance.audit.trail import Row, record, rows
from store_forward.database import reading, writing
from tests.small_box import NOW, MakeBox

#: The children of each element in the order of the schema of PS3.15 A.5.1, and the attributes it must have.
ORDER = {
    "AuditMessage": [
        "EventIdentification", "ActiveParticipant", "AuditSourceIdentification", "ParticipantObjectIdentification",
    ],
    "EventIdentification": ["EventID", "EventTypeCode", "EventOutcomeDescription"],
    "ActiveParticipant": ["RoleIDCode"],
    "AuditSourceIdentification": ["AuditSourceTypeCode"],
    "ParticipantObjectIdentification": [
        "ParticipantObjectIDTypeCode", "ParticipantObjectName", "ParticipantObjectDetail",
        "ParticipantObjectDescription",
    ],
}  # fmt: skip
REQUIRED = {
    "EventIdentification": {"EventDateTime", "EventOutcomeIndicator"},
    "ActiveParticipant": {"UserID", "UserIsRequestor"},
    "AuditSourceIdentification": {"AuditSourceID"},
    "ParticipantObjectIdentification": {"ParticipantObjectID"},
    "EventID": {"csd-code", "codeSystemName", "originalText"},
    "ParticipantObjectIDTypeCode": {"csd-code", "codeSystemName", "originalText"},
}

EVENTS = (
    events.application(EventType.APPLICATION_START, "scanside 1"),
    events.received("CT1", "10.0.0.9", "1.2.3", "P^1", 40),
    events.sent("archive", "1.2.3", "", "report"),
    events.deleted("1.2.3", "P1", "retention"),
    events.viewed("ada", "ward-3", "1.2.3", "P1"),
    events.exported("ada", "10.0.0.7", "1.2.3", "P1", "ward.zip"),
    events.searched("ada", "10.0.0.7", "worklist"),
    events.retrieved("DICOMweb", "10.0.0.7", "1.2.3", "P1"),
    events.signed(EventType.LOGIN, "<b>\x00&", "10.0.0.7", Outcome.SERIOUS_FAILURE),
    events.alert(EventType.SOFTWARE_CONFIGURATION, [Participant("ada", True)], "put in", (Subject("pack", "p@1"),)),
    events.log_used("ada", "exported"),
)


@pytest.fixture
def recorded(make_box: MakeBox) -> list[Row]:
    """Every kind of event, as it comes back from the trail."""
    engine = make_box().engine
    with writing(engine) as connection:
        for event in EVENTS:
            record(connection, event, NOW + 0.25)
    with reading(engine) as connection:
        return list(rows(connection))


def check(element: ET.Element) -> None:
    """Order of the children and presence of the attributes, all the way down."""
    order = ORDER.get(element.tag, [])
    places = [order.index(child.tag) for child in element]
    assert places == sorted(places), element.tag
    assert element.attrib.keys() >= REQUIRED.get(element.tag, set()), element.tag
    for child in element:
        check(child)


def test_every_event_becomes_a_message_of_the_schema(recorded: list[Row]) -> None:
    """One line of XML, whatever strange letters a name has."""
    for row, event in zip(recorded, EVENTS, strict=True):
        text = audit_message(row, "box-1")
        assert "\n" not in text
        root = ET.fromstring(text)
        check(root)
        what = root.find("EventIdentification")
        assert what is not None
        assert what.get("EventDateTime") == "2026-05-28T20:26:40.250Z"
        assert what.get("EventActionCode") == event.action.value
        code = what.find("EventID")
        assert code is not None
        assert (code.get("csd-code"), code.get("originalText")) == event.event_id.value
        assert len(root.findall("ActiveParticipant")) == len(event.participants)


def test_who_what_and_where_from_are_in_it(recorded: list[Row]) -> None:
    """A received study: the modality's AE title and address, the study and its patient, the place in the chain."""
    root = ET.fromstring(audit_message(recorded[1], "box-1"))
    modality, box = root.findall("ActiveParticipant")
    assert (modality.get("UserID"), modality.get("NetworkAccessPointID")) == ("CT1", "10.0.0.9")
    assert modality.get("NetworkAccessPointTypeCode") == "2"
    assert (modality.get("UserIsRequestor"), box.get("UserIsRequestor")) == ("true", "false")
    study, patient, trail = root.findall("ParticipantObjectIdentification")
    assert (study.get("ParticipantObjectID"), patient.get("ParticipantObjectID")) == ("1.2.3", "P^1")
    detail = trail.find("ParticipantObjectDetail")
    assert detail is not None
    assert base64.b64decode(detail.get("value") or "").decode() == recorded[1].digest


def test_the_syslog_message_has_a_header_that_receivers_know(recorded: list[Row]) -> None:
    """RFC 5424, with the identifier that PS3.15 A.6 gives, and a failure a step more severe."""
    header = rb"<(\d+)>1 \S+Z ward scanside - DICOM\+RFC3881 \[meta sequenceId=\"(\d+)\"\] \xef\xbb\xbf<AuditMessage>"
    severities = []
    for row in recorded:
        matched = re.match(header, syslog_message(row, "box-1", "ward"))
        assert matched is not None
        assert int(matched[2]) == row.seq
        severities.append(int(matched[1]))
    assert severities == [84 if event.outcome else 85 for event in EVENTS]


def test_every_constructor_is_among_these() -> None:
    """A new kind of event is checked, too."""
    made = {
        name
        for name, one in vars(events).items()
        if callable(one) and one.__annotations__.get("return") == "AuditEvent"
    }
    assert len(made) == len(EVENTS)
    assert all(isinstance(event, AuditEvent) for event in EVENTS)
