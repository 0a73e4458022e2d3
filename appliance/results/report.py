"""The decision as a DICOM structured report: TID 1500 Measurement Report in a Comprehensive 3D SR document.

What the cloud answers later makes a new document of the same series that names its predecessor, and so does what is
decided anew after a late image.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import Comprehensive3DSR
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from appliance.results.finding_codes import PRIVATE_SCHEME, RADLEX_UID
from appliance.results.outcome import DISCLAIMER, Basis, StudyOutcome
from appliance.results.reference import (
    as_file,
    can_be_referenced,
    derived_uid,
    evidence_of,
    local_time,
    name_classes,
    study_reference,
    take_over,
)
from appliance.results.report_content import MANUFACTURER, measurement_report

SERIES_NUMBER = 9701


def report_uid(outcome: StudyOutcome) -> str:
    """SOP Instance UID of the report on this outcome: the same for every repetition of it."""
    return _uid(outcome, outcome.edition, outcome.answer.basis if outcome.answer else None)


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
    document = Comprehensive3DSR(
        evidence=[evidence_of(source, outcome.study_instance_uid) for source in known],
        content=content,
        series_instance_uid=derived_uid(outcome.study_instance_uid, "report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=report_uid(outcome),
        instance_number=outcome.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        series_description=f"AI triage. {DISCLAIMER}",
        is_complete=True,
        is_final=not outcome.provisional,
        coding_schemes=[
            CodingSchemeIdentificationItem(PRIVATE_SCHEME, name="Scanside triage codes"),
            CodingSchemeIdentificationItem("RADLEX", name="RadLex", uid=RADLEX_UID),
        ],
        previous_versions=_predecessors(outcome),
        content_date=moment.date(),
        content_time=moment.time(),
        specific_character_set="ISO_IR 192",
    )
    name_classes(document, known)
    take_over(document, reference)
    return as_file(document, moment)


def _uid(outcome: StudyOutcome, edition: str, answered: Basis | None) -> str:
    kind = {None: "report", "features": "features report", "image": "amended report"}[answered]
    return derived_uid(outcome.study_instance_uid, edition, kind)


def _predecessors(outcome: StudyOutcome) -> list[Dataset] | None:
    """The reports on this study that came before, the newest first (PS3.3 C.17.2.3); None when this is the first."""
    earlier: list[tuple[str, Basis | None]] = []
    if outcome.answer is not None:
        earlier = [(outcome.edition, "features")] if outcome.answer.after_features else []
        earlier.append((outcome.edition, None))
    elif outcome.earlier is not None:
        earlier.append((outcome.earlier.edition, outcome.earlier.answered))
    return [_named(outcome, _uid(outcome, edition, answered)) for edition, answered in earlier] or None


def _named(outcome: StudyOutcome, sop_instance_uid: str) -> Dataset:
    document = Dataset()
    document.SOPClassUID = Comprehensive3DSRStorage
    document.SOPInstanceUID = sop_instance_uid
    document.StudyInstanceUID = outcome.study_instance_uid
    document.SeriesInstanceUID = derived_uid(outcome.study_instance_uid, "report series")
    return document
