"""The content tree of a report: TID 1500 Measurement Report.

One measurement group (TID 1501) states the decision for the study; one more per image and finding states
the probability, the image it was read from and the algorithm with its version and pack digest (TID 4019).
What the cloud's full model answered later stands in groups of its own.
"""

from __future__ import annotations

import re
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

from appliance.results.outcome import (
    DISCLAIMER,
    AmendedAnswer,
    ImageFinding,
    StudyOutcome,
    in_words,
    lines_in_words,
)
from appliance.results.reference import derived_uid, is_image
from appliance.schema import Agreement
from models.decision import PackIdentity

MANUFACTURER = "Scanside"
PRIVATE_SCHEME = "99SCANSIDE"
PROVISIONAL = "Provisional: the full model has been asked; its answer will follow in an amended report"
_AGREEMENT_WORDS = {
    Agreement.AGREES: "The full model confirms what the box leaned to",
    Agreement.DISAGREES: "The full model contradicts what the box leaned to; a person has to look",
}
_FEATURES_AGREEMENT_WORDS = {
    Agreement.AGREES: "The answer from features alone is on the side the box leaned to",
    Agreement.DISAGREES: "The answer from features alone contradicts what the box leaned to; a person has to look",
}

#: SNOMED CT codes of findings that packs name; any other name becomes a code of our own scheme.
FINDING_CODES = {
    "pneumonia": ("233604007", "Pneumonia"),
    "pneumothorax": ("36118008", "Pneumothorax"),
    "pleural_effusion": ("60046008", "Pleural effusion"),
    "cardiomegaly": ("8186001", "Cardiomegaly"),
    "tuberculosis": ("56717001", "Tuberculosis"),
    "fracture": ("125605004", "Fracture of bone"),
}

_WHOSE = {"image": "answer of the full model", "features": "answer from features alone"}
_PROBABILITY = CodedConcept("122157", "DCM", "Probability")
_ONE = CodedConcept("1", "UCUM", "no units")
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
        observation_context=_observation_context(),
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


def finding_code(name: str) -> CodedConcept:
    """SNOMED CT where the finding is known to us, else a code of our private scheme made from its name."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if slug in FINDING_CODES:
        value, meaning = FINDING_CODES[slug]
        return CodedConcept(value, "SCT", meaning)
    return _own_code(slug, name.replace("_", " "))


def _own_code(value: str, meaning: str) -> CodedConcept:
    short = value.upper() if len(value) <= 16 else derived_uid(value)[-16:]
    return CodedConcept(short, PRIVATE_SCHEME, meaning[:64])


def _observation_context() -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device observer"), name=MANUFACTURER, manufacturer_name=MANUFACTURER
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=CodedConcept("121007", "DCM", "Device"), observer_identifying_attributes=device
        )
    )


def _decision_group(known: Sequence[Dataset], outcome: StudyOutcome) -> MeasurementsAndQualitativeEvaluations:
    statements = [_statement("triage decision", outcome.decision.value)]
    if outcome.reason is not None:
        statements.append(_statement("triage reason", outcome.reason.value))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("triage of the study", outcome, "triage"),
        algorithm_id=_algorithm(outcome.pack, outcome.device),
        qualitative_evaluations=statements,
        source_images=[_source(one) for one in known if is_image(one)] or None,
    )


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
    return AlgorithmIdentification(pack.name, pack.version, parameters=parameters, manufacturer=MANUFACTURER)


def _statement(question: str, answer: str) -> QualitativeEvaluation:
    return QualitativeEvaluation(
        name=_own_code(question.replace(" ", "_"), question.capitalize()),
        value=_own_code(answer, answer.replace("_", " ").capitalize()),
    )


def _tracking(words: str, outcome: StudyOutcome, *parts: object) -> TrackingIdentifier:
    return TrackingIdentifier(
        uid=derived_uid(outcome.study_instance_uid, outcome.edition, "tracking", *parts), identifier=words
    )


def _source(image: Dataset) -> SourceImageForMeasurementGroup:
    return SourceImageForMeasurementGroup(str(image.SOPClassUID), str(image.SOPInstanceUID))
