"""The structured report, read back as an archive or a viewer would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from highdicom.sr import CodedConcept, Comprehensive3DSR
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, EncapsulatedPDFStorage

from appliance.results.finding_codes import finding_code
from appliance.results.outcome import DISCLAIMER, AmendedAnswer, Earlier, ImageFinding, StudyOutcome
from appliance.results.report import build_report, report_uid
from appliance.results.report_content import PROVISIONAL
from appliance.schema import Agreement
from models.decision import Decision, Lines, PackIdentity, Thresholds
from models.reasons import EXPLANATIONS, Reason
from tests.dicom_factory import chest_radiograph, uid

STUDY = uid("s")
PACK = PackIdentity("chest-paediatric", "1.2.0", "ab" * 32)
FULL = PackIdentity("chest-paediatric-full", "2.0.0", "cd" * 32)
IMAGES = [chest_radiograph(seed=seed, StudyInstanceUID=STUDY, PatientName="Müller^Zoë") for seed in "ab"]
FINDINGS = (
    ImageFinding(IMAGES[0].SOPInstanceUID, "pneumonia", 0.912345678),
    ImageFinding(IMAGES[1].SOPInstanceUID, "pneumonia", 0.25),
)
URGENT = StudyOutcome(STUDY, 1, Decision.urgent, 1_773_483_300.0, findings=FINDINGS, pack=PACK, device="openvino:CPU")
ANSWER = AmendedAnswer(
    Decision.routine, None, (ImageFinding("", "pneumonia", 0.04),), FULL, "openvino:CPU", 1_773_483_400.0
)


def written(outcome: StudyOutcome, sources: list[Dataset] | None = None) -> Dataset:
    """The report, read back from its file."""
    return dcmread(BytesIO(build_report(IMAGES if sources is None else sources, outcome)))


def items(dataset: Dataset) -> Iterator[Dataset]:
    """Every content item of the tree, depth first."""
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from items(item)


def texts(dataset: Dataset) -> list[str]:
    """All text values of the tree."""
    return [item.TextValue for item in items(dataset) if item.ValueType == "TEXT"]


def codes(dataset: Dataset) -> list[str]:
    """The meanings of all coded values."""
    return [item.ConceptCodeSequence[0].CodeMeaning for item in items(dataset) if item.ValueType == "CODE"]


def test_the_report_belongs_to_the_study_and_its_patient() -> None:
    """Same study and patient, a series of its own, a TID 1500 root."""
    report = written(URGENT)
    assert report.SOPClassUID == Comprehensive3DSRStorage and report.Modality == "SR"
    assert report.StudyInstanceUID == STUDY and report.PatientName == "Müller^Zoë"
    assert report.PatientID == IMAGES[0].PatientID and report.AccessionNumber == IMAGES[0].AccessionNumber
    assert report.SeriesInstanceUID != IMAGES[0].SeriesInstanceUID
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (report.ContentDate, report.ContentTime) == ("20260314", "101500")


def test_findings_carry_probability_image_and_algorithm() -> None:
    """Each finding has its number, its source image and who computed it, with the pack digest."""
    report = written(URGENT)
    content = Comprehensive3DSR.from_dataset(report).content
    groups = content.get_image_measurement_groups()
    assert len(groups) == 3
    for group, finding in zip(groups[1:], FINDINGS, strict=True):
        assert group.finding_type == finding_code("pneumonia")
        assert group.get_measurements()[0].value == pytest.approx(finding.probability, abs=1e-6)
        assert group.source_images[0].referenced_sop_instance_uid == finding.sop_instance_uid
    words = texts(report)
    assert {"chest-paediatric", "1.2.0", f"pack_digest=sha256:{PACK.digest}", "device=openvino:CPU"} <= set(words)


def test_the_decision_and_the_disclaimer_can_be_read() -> None:
    """The words stand in the tree and in the series description."""
    report = written(URGENT)
    assert DISCLAIMER == "Research use only, not for diagnosis" and DISCLAIMER in texts(report)
    assert DISCLAIMER in report.SeriesDescription
    assert "Urgent" in codes(report) and "Urgent" in texts(report)


def test_every_image_read_is_named_as_evidence() -> None:
    """The evidence sequence lists the images under their series."""
    evidence = written(URGENT).CurrentRequestedProcedureEvidenceSequence[0]
    named = {
        item.ReferencedSOPInstanceUID
        for series in evidence.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert evidence.StudyInstanceUID == STUDY
    assert named == {image.SOPInstanceUID for image in IMAGES}


def test_evidence_keeps_its_sop_class_even_a_private_one() -> None:
    """An original of a class nobody knows is referenced as what it says it is."""
    private = chest_radiograph(seed="p", StudyInstanceUID=STUDY, SOPClassUID="1.2.840.10008.5.1.4.1.1.6")
    evidence = written(URGENT, [private]).CurrentRequestedProcedureEvidenceSequence[0]
    named = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.6"


def test_not_triaged_gets_a_report_with_its_reason() -> None:
    """Without a pack there is no probability, but the reason in code and words."""
    outcome = StudyOutcome(STUDY, 1, Decision.not_triaged, 0.0, reason=Reason.age_unknown, detail="no dates")
    report = written(outcome)
    assert "Not triaged" in codes(report) and "Age unknown" in codes(report)
    assert any(EXPLANATIONS[Reason.age_unknown] in words and "no dates" in words for words in texts(report))
    assert not [item for item in items(report) if item.ValueType == "NUM"]


def test_a_study_without_images_gets_a_report() -> None:
    """Documents are evidence, but nothing claims to be an image that was read."""
    document = chest_radiograph(seed="d", SOPClassUID=EncapsulatedPDFStorage, StudyInstanceUID=STUDY)
    outcome = StudyOutcome(STUDY, 1, Decision.not_triaged, 0.0, reason=Reason.no_images)
    report = written(outcome, [document])
    assert not [item for item in items(report) if item.ValueType == "IMAGE"]
    assert report.CurrentRequestedProcedureEvidenceSequence


def test_a_repetition_is_the_same_file_and_a_revision_is_not() -> None:
    """Bytes and UIDs follow from the outcome alone."""
    again = [chest_radiograph(seed=seed, StudyInstanceUID=STUDY, PatientName="Müller^Zoë") for seed in "ab"]
    assert build_report(IMAGES, URGENT) == build_report(again, URGENT)
    later = written(replace(URGENT, revision=2))
    first = written(URGENT)
    assert later.SOPInstanceUID != first.SOPInstanceUID == report_uid(URGENT)
    assert later.SeriesInstanceUID == first.SeriesInstanceUID
    assert later.InstanceNumber != first.InstanceNumber


def test_an_answer_amends_the_report() -> None:
    """The new document holds both decisions, names the full model and its predecessor."""
    amended = written(replace(URGENT, answer=ANSWER))
    assert {"Urgent", "Routine"} <= set(codes(amended))
    assert f"pack_digest=sha256:{FULL.digest}" in texts(amended)
    earlier = amended.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert earlier.ReferencedSOPInstanceUID == report_uid(URGENT) != amended.SOPInstanceUID
    assert written(URGENT).get("PredecessorDocumentsSequence") is None


def predecessors(report: Dataset) -> list[str]:
    """The SOP Instance UIDs of the documents that a report names as its predecessors."""
    return [
        str(item.ReferencedSOPInstanceUID)
        for study in report.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def test_an_answer_after_one_from_features_names_both_reports() -> None:
    """The archive holds two by then."""
    from_features = replace(URGENT, answer=replace(ANSWER, basis="features"))
    last = replace(URGENT, answer=replace(ANSWER, after_features=True))
    assert predecessors(written(from_features)) == [report_uid(URGENT)]
    assert set(predecessors(written(last))) == {report_uid(URGENT), report_uid(from_features)}


def test_a_report_after_a_late_image_names_the_last_one_before_it() -> None:
    """That is the amended one, where the cloud had answered."""
    first = replace(URGENT, images_digest="a" * 64)
    later = replace(URGENT, images_digest="b" * 64, revision=2, earlier=Earlier("a" * 64))
    assert predecessors(written(later)) == [report_uid(first)]
    after_an_answer = replace(later, earlier=Earlier("a" * 64, "image"))
    assert predecessors(written(after_an_answer)) == [report_uid(replace(first, answer=ANSWER))]


def test_the_decision_stands_with_its_lines_and_their_bound() -> None:
    """As numbers in the decision's group, and in words."""
    bound = {"missed": 0.02, "false_alarms": 0.03, "confidence": 0.95}
    lines = Lines(Thresholds(routine_below=0.019, urgent_from=0.93), bound=bound)
    report = written(replace(URGENT, abnormality=0.97, lines=lines))
    group = Comprehensive3DSR.from_dataset(report).content.get_image_measurement_groups()[0]
    said = {one.name.value: one.value for one in group.get_measurements()}
    assert said == {
        "DECIDED_BY": 0.97,
        "ROUTINE_BELOW": 0.019,
        "URGENT_FROM": 0.93,
        "BOUND_MISSED": 0.02,
        "BOUND_FALSE": 0.03,
        "BOUND_CONFIDENCE": 0.95,
    }
    assert any("at most 0.02 abnormal among routine" in words for words in texts(report))
    by_message = replace(URGENT, lines=replace(lines, set_by="message 3 of the cloud", bound=None))
    assert not any("at most" in words for words in texts(written(by_message)))


def test_a_finding_has_its_site_and_its_radlex_code() -> None:
    """SNOMED CT is the code, RadLex stands beside it; the site is what the image shows."""
    groups = Comprehensive3DSR.from_dataset(written(URGENT)).content.get_image_measurement_groups()
    finding = groups[1].finding_type
    assert [one.value for one in groups[1].finding_sites] == [CodedConcept("816094009", "SCT", "Chest")]
    (equivalent,) = finding.EquivalentCodeSequence
    assert (finding.scheme_designator, equivalent.CodingSchemeDesignator) == ("SCT", "RADLEX")
    assert equivalent.CodeValue == "RID5350"


def test_a_report_is_final_unless_it_is_provisional() -> None:
    """Preliminary Flag (PS3.3 C.17.2) for readers that look at nothing else."""
    assert written(URGENT).PreliminaryFlag == "FINAL"
    assert written(replace(URGENT, provisional=True)).PreliminaryFlag == "PRELIMINARY"


def test_a_provisional_report_says_so_and_an_answered_one_no_more() -> None:
    """While the full model is asked a reader knows that more will come, afterwards what came of it."""
    asked = replace(URGENT, decision=Decision.escalate, provisional=True)
    assert PROVISIONAL in texts(written(asked))
    assert PROVISIONAL not in texts(written(URGENT))
    for agreement, word in ((Agreement.AGREES, "confirms"), (Agreement.DISAGREES, "contradicts")):
        answered = texts(written(replace(URGENT, answer=replace(ANSWER, agreement=agreement))))
        assert PROVISIONAL not in answered
        assert [words for words in answered if word in words]


def test_a_sparse_study_gets_a_report() -> None:
    """Missing patient and study elements are empty, not an error."""
    absent = (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "StudyDate",
        "AccessionNumber",
        "SpecificCharacterSet",
    )
    missing: dict[str, Any] = dict.fromkeys(absent)
    sparse = chest_radiograph(seed="a", StudyInstanceUID=STUDY, **missing)
    assert written(URGENT, [sparse]).PatientID == ""


def test_without_any_reference_there_is_no_report() -> None:
    """A source without UIDs cannot be evidence."""
    with pytest.raises(ValueError, match="at least one instance"):
        build_report([chest_radiograph(SeriesInstanceUID=None)], URGENT)
