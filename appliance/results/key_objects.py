"""The images that were found urgent, pointed out by a Key Object Selection Document (PS3.3 A.35.4, TID 2010)."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from appliance.results.outcome import DISCLAIMER, StudyOutcome
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
from appliance.results.report_content import MANUFACTURER, device_observer

SERIES_NUMBER = 9703
_OF_INTEREST = CodedConcept("113000", "DCM", "Of Interest")


def key_objects_uid(outcome: StudyOutcome) -> str:
    """SOP Instance UID of the selection: the same for every repetition of it."""
    return derived_uid(outcome.study_instance_uid, outcome.edition, "key objects")


def build_key_objects(sources: Sequence[Dataset], outcome: StudyOutcome) -> bytes:
    """The Part 10 file of the selection; the same arguments give the same bytes.

    Args:
        sources: instances of the study (headers are enough), among them the urgent images of ``outcome``.
        outcome: what was decided.

    Raises ValueError when none of the urgent images is among ``sources`` with the UIDs that a reference needs.
    """
    known = [one for one in sources if can_be_referenced(one) and str(one.SOPInstanceUID) in outcome.urgent_images]
    reference = study_reference(known, outcome.study_instance_uid)
    moment = local_time(outcome.recorded_at, reference)
    evidence = [evidence_of(one, outcome.study_instance_uid) for one in known]
    content = KeyObjectSelection(
        document_title=_OF_INTEREST,
        referenced_objects=evidence,
        observer_device_context=device_observer(),
        description=f"Urgent by AI triage. {DISCLAIMER}",
    )
    document = KeyObjectSelectionDocument(
        evidence=evidence,
        content=content,
        series_instance_uid=derived_uid(outcome.study_instance_uid, "key objects series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=key_objects_uid(outcome),
        instance_number=outcome.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        series_description=f"AI triage, urgent images. {DISCLAIMER}",
        content_date=moment.date(),
        content_time=moment.time(),
        specific_character_set="ISO_IR 192",
    )
    _name_items(document, known)
    name_classes(document, known)
    take_over(document, reference)
    return as_file(document, moment)


def _name_items(document: Dataset, known: Sequence[Dataset]) -> None:
    """The true SOP classes in the content tree, as :func:`name_classes` puts them into the evidence."""
    classes = {str(one.SOPInstanceUID): str(one.SOPClassUID) for one in known}
    for item in document.ContentSequence:
        for reference in item.get("ReferencedSOPSequence", []):
            reference.ReferencedSOPClassUID = classes[str(reference.ReferencedSOPInstanceUID)]
