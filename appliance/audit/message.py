"""An event of the trail as a DICOM Audit Message in XML (PS3.15 A.5.1) and as a syslog message (RFC 5424)."""

from __future__ import annotations

import base64
import ipaddress
import xml.etree.ElementTree as ET  # nosec B405: writes only
from datetime import UTC, datetime
from typing import Any, Final

from appliance.audit.trail import Row

#: ParticipantObjectTypeCode, ParticipantObjectTypeCodeRole and the coded ParticipantObjectIDTypeCode, by kind.
_SUBJECTS: Final = {
    "patient": ("1", "1", ("2", "RFC-3881", "Patient Number")),
    "study": ("2", "3", ("110180", "DCM", "Study Instance UID")),
    "user": ("1", "11", ("11", "RFC-3881", "User Identifier")),
    "pack": ("2", "13", ("12", "RFC-3881", "URI")),
    "file": ("2", "13", ("12", "RFC-3881", "URI")),
}
#: Facility 10 (security and authorization) with severity 5 (notice) or 4 (warning), as PS3.15 A.6.1 recommends.
_NOTICE: Final = 10 * 8 + 5
_WARNING: Final = 10 * 8 + 4
_MOST_SEQUENCE: Final = 2_147_483_647


def audit_message(row: Row, source: str) -> str:
    """The message as one line of XML; ``source`` is the box's name."""
    told = row.event
    root = ET.Element("AuditMessage")
    moment = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attributes = {
        "EventActionCode": told["action"],
        "EventDateTime": moment,
        "EventOutcomeIndicator": str(told["outcome"]),
    }
    what = ET.SubElement(root, "EventIdentification", attributes)
    _coded(what, "EventID", told["event_id"])
    if told["event_type"]:
        _coded(what, "EventTypeCode", told["event_type"])
    if told["detail"]:
        ET.SubElement(what, "EventOutcomeDescription").text = _xml_text(told["detail"])
    for one in told["participants"]:
        _participant(root, one)
    by = ET.SubElement(root, "AuditSourceIdentification", {"AuditSourceID": _xml_text(source)})
    ET.SubElement(by, "AuditSourceTypeCode", {"csd-code": "4"})  # an application server process
    for one in told["subjects"]:
        _subject(root, one)
    _place(root, row)
    return ET.tostring(root, encoding="unicode")


def syslog_message(row: Row, source: str, host: str) -> bytes:
    """The same for RFC 5424: header, sequence number (its 7.3.1), a byte order mark and the XML."""
    priority = _NOTICE if row.event["outcome"] == 0 else _WARNING
    moment = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    number = (row.seq - 1) % _MOST_SEQUENCE + 1
    header = f'<{priority}>1 {moment} {host or "-"} scanside - DICOM+RFC3881 [meta sequenceId="{number}"] '
    return header.encode() + b"\xef\xbb\xbf" + audit_message(row, source).encode()


def _participant(root: ET.Element, one: dict[str, Any]) -> None:
    attributes = {"UserID": _xml_text(one["user_id"]) or "nobody", "UserIsRequestor": str(one["requestor"]).lower()}
    if one["address"]:
        kind = "2" if _is_address(one["address"]) else "1"
        attributes |= {"NetworkAccessPointID": _xml_text(one["address"]), "NetworkAccessPointTypeCode": kind}
    who = ET.SubElement(root, "ActiveParticipant", attributes)
    if one["role"]:
        _coded(who, "RoleIDCode", one["role"])


def _subject(root: ET.Element, one: dict[str, Any]) -> None:
    kind, role, (code, system, meaning) = _SUBJECTS[one["kind"]]
    attributes = {
        "ParticipantObjectID": _xml_text(one["identifier"]),
        "ParticipantObjectTypeCode": kind,
        "ParticipantObjectTypeCodeRole": role,
    }
    what = ET.SubElement(root, "ParticipantObjectIdentification", attributes)
    coded = {"csd-code": code, "codeSystemName": system, "originalText": meaning}
    ET.SubElement(what, "ParticipantObjectIDTypeCode", coded)
    if one["detail"]:
        ET.SubElement(what, "ParticipantObjectDescription").text = _xml_text(one["detail"])


def _place(root: ET.Element, row: Row) -> None:
    """The place in the box's chain, so that whoever keeps the messages can tell a chain that was made anew."""
    attributes = {
        "ParticipantObjectID": f"audit-trail/{row.seq}",
        "ParticipantObjectTypeCode": "2",
        "ParticipantObjectTypeCodeRole": "13",
    }
    trail = ET.SubElement(root, "ParticipantObjectIdentification", attributes)
    coded = {"csd-code": "12", "codeSystemName": "RFC-3881", "originalText": "URI"}
    ET.SubElement(trail, "ParticipantObjectIDTypeCode", coded)
    ET.SubElement(trail, "ParticipantObjectName").text = "Security Audit Log"
    value = base64.b64encode(row.digest.encode()).decode()
    ET.SubElement(trail, "ParticipantObjectDetail", {"type": "SHA-256 of the chain", "value": value})


def _coded(parent: ET.Element, name: str, code: list[str]) -> None:
    ET.SubElement(parent, name, {"csd-code": code[0], "codeSystemName": "DCM", "originalText": code[1]})


def _xml_text(value: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in value)


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
