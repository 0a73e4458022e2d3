"""The tables of the conformance statement: what is offered and asked for, and within which limits."""

from __future__ import annotations

from typing import Final

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.sop_class import ModalityPerformedProcedureStep, StorageCommitmentPushModel, Verification

from appliance.audit.events import EventId
from appliance.ingest.callers import APPLICATION_CONTEXT
from appliance.ingest.receiver import storage_sop_classes
from appliance.ingest.waiting_room import LARGEST_REQUEST_BYTES
from appliance.results import key_objects, parametric_map, picture, report
from appliance.settings import Dicom
from tests.docs.markdown import table

#: What we ask others to take, by SOP class.
RESULTS: Final = {
    Comprehensive3DSRStorage: ("report", report.SERIES_NUMBER),
    SecondaryCaptureImageStorage: ("picture", picture.SERIES_NUMBER),
    KeyObjectSelectionDocumentStorage: ("key_objects", key_objects.SERIES_NUMBER),
    ParametricMapStorage: ("parametric_map", parametric_map.SERIES_NUMBER),
}
#: Beside storage: SOP class, whether we are SCU, whether we are SCP.
SERVICES: Final = (
    (Verification, True, True),
    (StorageCommitmentPushModel, True, True),
    (ModalityPerformedProcedureStep, False, True),
)


def services() -> str:
    """Every SOP class of the network services, and our roles."""
    rows = [(UID(str(one)), scu, scp) for one, scu, scp in SERVICES]
    rows += [(uid, True, True) for uid in RESULTS]
    others = sum(1 for uid in storage_sop_classes() if uid not in RESULTS)
    cells = [(uid.name, f"`{uid}`", _yes(scu), _yes(scp)) for uid, scu, scp in rows]
    cells.append((f"{others} other storage SOP classes", "[below](#storage-sop-classes)", "no", "yes"))
    return table(("SOP class", "UID", "SCU", "SCP"), iter(cells))


def association_parameters() -> str:
    """What is agreed on with every association, and the limits."""
    own = Dicom()
    rows = (
        ("Application context name", f"`{APPLICATION_CONTEXT}`", "–"),
        ("Implementation Class UID", f"`{PYNETDICOM_IMPLEMENTATION_UID}`, that of the library", "–"),
        ("Implementation Version Name", f"`{PYNETDICOM_IMPLEMENTATION_VERSION}`", "–"),
        ("Maximum PDU length received", f"{own.max_pdu_bytes:,} bytes", "`dicom.max_pdu_bytes`"),
        ("Largest A-ASSOCIATE-RQ", f"{LARGEST_REQUEST_BYTES:,} bytes", "–"),
        ("Associations at the same time, as acceptor", str(own.max_associations), "`dicom.max_associations`"),
        ("Connections without an association", str(own.max_idle_connections), "`dicom.max_idle_connections`"),
        ("… of one address", str(own.max_idle_connections_per_address), "`dicom.max_idle_connections_per_address`"),
        ("Time to ask for an association", f"{own.acse_timeout_s:g} s", "`dicom.acse_timeout_s`"),
        ("Silence within an association", f"{own.association_timeout_s:g} s", "`dicom.association_timeout_s`"),
        ("Asynchronous operations window", "not supported: one operation at a time", "–"),
        ("Extended negotiation, user identity", "not supported, ignored", "–"),
        ("SCP/SCU role selection", "for the Storage Commitment Push Model", "–"),
    )
    return table(("What", "Value", "Setting"), iter(rows))


def result_objects() -> str:
    """What is written, by SOP class."""
    rows = ((f"`{kind}`", uid.name, f"`{uid}`", str(number)) for uid, (kind, number) in RESULTS.items())
    return table(("Kind in `results`", "SOP class", "UID", "Series Number"), rows)


def _yes(true: bool) -> str:
    return "yes" if true else "no"


_AUDITED = {
    EventId.APPLICATION_ACTIVITY: ("A.5.3.1", "the box starts or stops"),
    EventId.AUDIT_LOG_USED: ("A.5.3.2", "the trail is listed or exported"),
    EventId.INSTANCES_ACCESSED: ("A.5.3.6", "somebody opens a study on the page or by the API"),
    EventId.INSTANCES_TRANSFERRED: (
        "A.5.3.7", "a study comes in; a result or an escalation arrives elsewhere; DICOMweb fetches something of one",
    ),
    EventId.STUDY_DELETED: ("A.5.3.8", "retention or `scanside erase` removes a study's files"),
    EventId.EXPORT: ("A.5.3.4", "a study is taken out of the box"),
    EventId.QUERY: ("A.5.3.10", "somebody searches the worklist; a search by DICOMweb"),
    EventId.SECURITY_ALERT: (
        "A.5.3.11", "a caller is refused; users, tokens, packs, keys change; a pack is refused",
    ),
    EventId.USER_AUTHENTICATION: ("A.5.3.12", "somebody signs in, out, or tries to"),
}  # fmt: skip


def audit_messages() -> str:
    """The audit messages of the box, with their codes in CID 400."""
    rows = ((one.value[1], one.value[0], *_AUDITED[one]) for one in EventId)
    return table(("Message", "Code (DCM)", "PS3.15", "When"), rows)
