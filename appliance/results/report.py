"""The decision as a DICOM structured report: TID 1500 Measurement Report in a Comprehensive SR document.

What the cloud's full model answers later makes a new document of the same series that names its predecessor.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import ComprehensiveSR
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from appliance.results.outcome import DISCLAIMER, StudyOutcome
from appliance.results.reference import (
    can_be_referenced,
    derived_uid,
    local_time,
    study_reference,
    take_over,
)
from appliance.results.report_content import MANUFACTURER, PRIVATE_SCHEME, measurement_report

SERIES_NUMBER = 9701


def report_uid(outcome: StudyOutcome) -> str:
    """SOP Instance UID of the report on this outcome: the same for every repetition of it."""
    kind = "report"
    if outcome.answer:
        kind = "features report" if outcome.answer.basis == "features" else "amended report"
    return derived_uid(outcome.study_instance_uid, outcome.edition, kind)


def build_report(sources: Sequence[Dataset], outcome: StudyOutcome) -> bytes:
    """The Part 10 file of the report; the same arguments give the same bytes.

    Args:
        sources: instances of the study (headers are enough); patient and study are taken from the first.
            Images among them are named as the images read.
        outcome: what was decided, when, and by which pack.

    Raises ValueError when no source has the UIDs that a reference needs.
    """
    known = [source for source in sources if can_be_referenced(source)]
    reference = study_reference(known, outcome.study_instance_uid)
    content = measurement_report(known, outcome)
    moment = local_time(outcome.recorded_at, reference)
    document = ComprehensiveSR(
        evidence=[_evidence(source, outcome.study_instance_uid) for source in known],
        content=content,
        series_instance_uid=derived_uid(outcome.study_instance_uid, "report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=report_uid(outcome),
        instance_number=2 * outcome.revision + (2 if outcome.answer else 1),
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        series_description=f"AI triage. {DISCLAIMER}",
        is_complete=True,
        coding_schemes=[CodingSchemeIdentificationItem(PRIVATE_SCHEME, name="Scanside triage codes")],
        previous_versions=_predecessors(outcome),
        content_date=moment.date(),
        content_time=moment.time(),
        specific_character_set="ISO_IR 192",
    )
    _name_classes(document, known)
    take_over(document, reference)
    _fix_clock(document, moment.strftime("%Y%m%d"), moment.strftime("%H%M%S"))
    buffer = BytesIO()
    dcmwrite(buffer, document, enforce_file_format=True)
    return buffer.getvalue()


def _evidence(source: Dataset, study_instance_uid: str) -> Dataset:
    """The UIDs of one instance, and the patient and study elements highdicom insists on, empty."""
    evidence = study_reference([Dataset()], study_instance_uid)
    evidence.SOPClassUID, evidence.SOPInstanceUID = SecondaryCaptureImageStorage, str(source.SOPInstanceUID)
    evidence.SeriesInstanceUID = str(source.SeriesInstanceUID)
    return evidence


def _name_classes(document: Dataset, known: Sequence[Dataset]) -> None:
    """Put the true SOP classes back: highdicom cannot build on a retired or private one."""
    classes = {str(one.SOPInstanceUID): str(one.SOPClassUID) for one in known}
    for study in document.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                item.ReferencedSOPClassUID = classes[str(item.ReferencedSOPInstanceUID)]


def _predecessors(outcome: StudyOutcome) -> list[Dataset] | None:
    """The report that an amended one follows (PS3.3 C.17.2.3)."""
    if outcome.answer is None:
        return None
    first = Dataset()
    first.SOPClassUID = ComprehensiveSRStorage
    first.SOPInstanceUID = derived_uid(outcome.study_instance_uid, outcome.edition, "report")
    first.StudyInstanceUID = outcome.study_instance_uid
    first.SeriesInstanceUID = derived_uid(outcome.study_instance_uid, "report series")
    return [first]


def _fix_clock(document: Dataset, date: str, time: str) -> None:
    """Replace what highdicom stamped with the clock of this moment, so that a repetition is the same file."""
    document.InstanceCreationDate, document.InstanceCreationTime = date, time
    for item in document.get("ContributingEquipmentSequence", []):
        item.ContributionDateTime = date + time
