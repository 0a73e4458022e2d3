"""The content tree of a report: TID 1500 Measurement Report.

One measurement group (TID 1501) states the decision for the study, the lines it was made with and the bound that these
rest on; one more per image and finding states the probability, the image it was read from, the body part it shows, and
the algorithm with its version and pack digest (TID 4019).
What the cloud's full model answered later stands in groups of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset

from appliance.results.finding_codes import finding_code, finding_sites, own_code
from appliance.results.outcome import (
    DISCLAIMER,
    AmendedAnswer,
    ImageFinding,
    StudyOutcome,
    bound_in_words,
    in_words,
    lines_in_words,
)
from appliance.results.reference import derived_uid, is_image
from appliance.schema import Agreement
from models.decision import PackIdentity

MANUFACTURER = "Scanside"
PROVISIONAL = "Provisional: the full model has been asked; its answer will follow in an amended report"
_AGREEMENT_WORDS = {
    Agreement.AGREES: "The full model confirms what the box leaned to",
    Agreement.DISAGREES: "The full model contradicts what the box leaned to; a person has to look",
}
_FEATURES_AGREEMENT_WORDS = {
    Agreement.AGREES: "The answer from features alone is on the side the box leaned to",
    Agreement.DISAGREES: "The answer from features alone contradicts what the box leaned to; a person has to look",
}

_WHOSE = {"image": "answer of the full model", "features": "answer from features alone"}
_BOUNDS = (
    ("missed", "bound_missed", "Bound: share of abnormal among routine at most"),
    ("false_alarms", "bound_false", "Bound: share of others among urgent at most"),
    ("confidence", "bound_confidence", "Confidence of the bounds"),
)
_PROBABILITY = CodedConcept("122157", "DCM", "Probability")
_ONE = CodedConcept("1", "UCUM", "no units")
_FAMILY = CodedConcept("123110", "DCM", "Artificial Intelligence")
_COMMENT = CodedConcept("121106", "DCM", "Comment")
_CONCLUSION = CodedConcept("121077", "DCM", "Conclusion")
_IMAGING = CodedConcept("363679005", "SCT", "Imaging procedure")


def measurement_report(known: Sequence[Dataset], outcome: StudyOutcome) -> MeasurementReport:
    """The whole tree; ``known`` are instances with sound UIDs, the images among them are named."""
    groups = [_decision_group(known, outcome)]
    groups += _finding_groups(known, outcome.findings, outcome.pack, outcome.device, outcome, "box")
    if outcome.answer:
        groups += _answer_groups(known, outcome, outcome.answer)
    report = MeasurementReport(
        observation_context=observation_context(),
        procedure_reported=_IMAGING,
        imaging_measurements=groups,
        title=CodedConcept("126000", "DCM", "Imaging Measurement Report"),
    )
    sentences = [
        (_COMMENT, DISCLAIMER),
        (_CONCLUSION, in_words(outcome.decision, outcome.reason, outcome.detail)),
    ]
    if outcome.lines is not None:
        sentences.append((_COMMENT, f"Decided with the lines: {lines_in_words(outcome.lines)}"))
        if bound := bound_in_words(outcome.lines):
            sentences.append((_COMMENT, f"Bound: {bound}"))
    if outcome.provisional:
        sentences.append((_COMMENT, PROVISIONAL))
    if outcome.answer:
        answer = in_words(outcome.answer.decision, outcome.answer.reason)
        by_image = outcome.answer.basis == "image"
        amended = "Amended by the full model" if by_image else "Amended from features alone, without the image"
        sentences.append((_CONCLUSION, f"{amended}: {answer}"))
        if outcome.answer.agreement is not None:
            said = _AGREEMENT_WORDS if by_image else _FEATURES_AGREEMENT_WORDS
            sentences.append((_COMMENT, said[outcome.answer.agreement]))
    for name, words in sentences:
        report[0].ContentSequence.append(
            TextContentItem(name=name, value=words, relationship_type=RelationshipTypeValues.CONTAINS)
        )
    return report


def observation_context() -> ObservationContext:
    """TID 1001: the observer is this device."""
    return ObservationContext(observer_device_context=device_observer())


def device_observer() -> ObserverContext:
    """TID 1002, 1004: this device as the one who observed."""
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device observer"), name=MANUFACTURER, manufacturer_name=MANUFACTURER
    )
    return ObserverContext(
        observer_type=CodedConcept("121007", "DCM", "Device"), observer_identifying_attributes=device
    )


def _decision_group(known: Sequence[Dataset], outcome: StudyOutcome) -> MeasurementsAndQualitativeEvaluations:
    statements = [_statement("triage decision", outcome.decision.value)]
    if outcome.reason is not None:
        statements.append(_statement("triage reason", outcome.reason.value))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("triage of the study", outcome, "triage"),
        algorithm_id=_algorithm(outcome.pack, outcome.device),
        measurements=_what_decided(outcome) or None,
        qualitative_evaluations=statements,
        source_images=[_source(one) for one in known if is_image(one)] or None,
    )


def _what_decided(outcome: StudyOutcome) -> list[Measurement]:
    """The probability it was decided by, the two lines it was held against, and the bound shown for them."""
    numbers: list[tuple[CodedConcept, float]] = []
    if outcome.abnormality is not None:
        numbers.append((own_code("decided_by", "Highest probability of a finding acted on"), outcome.abnormality))
    if outcome.lines is not None:
        thresholds, bound = outcome.lines.thresholds, outcome.lines.bound or {}
        numbers.append((own_code("routine_below", "Routine below this probability"), thresholds.routine_below))
        numbers.append((own_code("urgent_from", "Urgent from this probability"), thresholds.urgent_from))
        numbers += [(own_code(code, words), bound[name]) for name, code, words in _BOUNDS if name in bound]
    return [Measurement(name=name, value=round(value, 6), unit=_ONE) for name, value in numbers]


def _answer_groups(
    known: Sequence[Dataset], outcome: StudyOutcome, answer: AmendedAnswer
) -> list[MeasurementsAndQualitativeEvaluations]:
    statements = [_statement("amended decision", answer.decision.value)]
    if answer.reason is not None:
        statements.append(_statement("amended reason", answer.reason.value))
    summary = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(_WHOSE[answer.basis], outcome, "answer"),
        algorithm_id=_algorithm(answer.pack, answer.device),
        qualitative_evaluations=statements,
    )
    return [summary, *_finding_groups(known, answer.findings, answer.pack, answer.device, outcome, "cloud")]


def _finding_groups(
    known: Sequence[Dataset],
    findings: Sequence[ImageFinding],
    pack: PackIdentity | None,
    device: str | None,
    outcome: StudyOutcome,
    place: str,
) -> list[MeasurementsAndQualitativeEvaluations]:
    images = {str(one.SOPInstanceUID): one for one in known if is_image(one)}
    groups = []
    for number, finding in enumerate(findings, start=1):
        image = images.get(finding.sop_instance_uid)
        probability = Measurement(name=_PROBABILITY, value=round(finding.probability, 6), unit=_ONE)
        groups.append(
            MeasurementsAndQualitativeEvaluations(
                tracking_identifier=_tracking(f"{place} finding {number}", outcome, place, number),
                finding_type=finding_code(finding.name),
                algorithm_id=_algorithm(pack, device),
                finding_sites=finding_sites(image) if image is not None else None,
                measurements=[probability],
                source_images=[_source(image)] if image is not None else None,
            )
        )
    return groups


def _algorithm(pack: PackIdentity | None, device: str | None) -> AlgorithmIdentification | None:
    if pack is None:
        return None
    parameters = [f"pack_digest=sha256:{pack.digest}"]
    if device:
        parameters.append(f"device={device}")
    return AlgorithmIdentification(
        pack.name, pack.version, parameters=parameters, family=_FAMILY, manufacturer=MANUFACTURER
    )


def _statement(question: str, answer: str) -> QualitativeEvaluation:
    return QualitativeEvaluation(
        name=own_code(question.replace(" ", "_"), question.capitalize()),
        value=own_code(answer, answer.replace("_", " ").capitalize()),
    )


def _tracking(words: str, outcome: StudyOutcome, *parts: object) -> TrackingIdentifier:
    return TrackingIdentifier(
        uid=derived_uid(outcome.study_instance_uid, outcome.edition, "tracking", *parts), identifier=words
    )


def _source(image: Dataset) -> SourceImageForMeasurementGroup:
    return SourceImageForMeasurementGroup(str(image.SOPClassUID), str(image.SOPInstanceUID))
