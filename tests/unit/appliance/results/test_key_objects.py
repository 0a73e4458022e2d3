"""The selection of urgent images, read back as an archive or a viewer would."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from highdicom.ko import KeyObjectSelectionDocument
from pydicom import dcmread
from pydicom.uid import KeyObjectSelectionDocumentStorage

from appliance.results.key_objects import build_key_objects, key_objects_uid
from appliance.results.outcome import DISCLAIMER, StudyOutcome
from models.decision import Decision
from tests.dicom_factory import chest_radiograph, uid

STUDY = uid("s")
IMAGES = [chest_radiograph(seed=seed, StudyInstanceUID=STUDY) for seed in "abc"]
URGENT = StudyOutcome(STUDY, 1, Decision.urgent, 1_773_483_300.0, urgent_images=(IMAGES[1].SOPInstanceUID,))


def test_it_points_at_the_urgent_images_and_no_others() -> None:
    """In content tree and evidence, with their true SOP class."""
    document = dcmread(BytesIO(build_key_objects(IMAGES, URGENT)))
    assert document.SOPClassUID == KeyObjectSelectionDocumentStorage and document.Modality == "KO"
    assert (document.StudyInstanceUID, document.PatientID) == (STUDY, IMAGES[1].PatientID)
    read = KeyObjectSelectionDocument.from_dataset(document)
    (reference,) = read.content.get_references()
    assert reference.referenced_sop_instance_uid == IMAGES[1].SOPInstanceUID
    assert reference.referenced_sop_class_uid == IMAGES[1].SOPClassUID
    assert read.resolve_reference(IMAGES[1].SOPInstanceUID)[1] == IMAGES[1].SeriesInstanceUID
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [item.ReferencedSOPClassUID for series in evidence for item in series.ReferencedSOPSequence] == [
        IMAGES[1].SOPClassUID
    ]


def test_it_says_what_it_is() -> None:
    """Of interest, urgent, and for research only."""
    document = dcmread(BytesIO(build_key_objects(IMAGES, URGENT)))
    assert document.ConceptNameCodeSequence[0].CodeMeaning == "Of Interest"
    words = [item.TextValue for item in document.ContentSequence if item.ValueType == "TEXT"]
    assert any("Urgent" in one and DISCLAIMER in one for one in words)


def test_a_repetition_is_the_same_file() -> None:
    """Bytes and UID follow from the outcome; a later revision has another."""
    first = build_key_objects(IMAGES, URGENT)
    assert first == build_key_objects(IMAGES, URGENT)
    assert dcmread(BytesIO(first)).SOPInstanceUID == key_objects_uid(URGENT)
    assert key_objects_uid(URGENT) != key_objects_uid(replace(URGENT, revision=2))


def test_without_an_urgent_image_there_is_none() -> None:
    """Nothing is pointed out."""
    with pytest.raises(ValueError, match="at least one instance"):
        build_key_objects(IMAGES, replace(URGENT, urgent_images=()))
