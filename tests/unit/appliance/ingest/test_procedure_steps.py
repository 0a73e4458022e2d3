"""Procedure steps by a real MPPS SCU on loopback: its status rules, and the studies that complete with them."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from appliance.ingest.step_tables import StepState, awaited_images, procedure_steps, step_studies
from appliance.schema import StudyState, study_events
from tests.dicom_factory import uid
from tests.listening_box import Listen
from tests.modality import STEP, Modality, begins, ends, reference
from tests.small_box import NOW, MakeBox, SmallBox, image

STUDY = uid("study 0")


def _images(count: int) -> list[Dataset]:
    return [image(seed=str(n), StudyInstanceUID=STUDY) for n in range(count)]


def _history(box: SmallBox) -> list[tuple[str, str]]:
    return [(row.kind, row.detail) for row in box.rows(study_events)]


@pytest.fixture
def modality(box: SmallBox, listen: Listen) -> Modality:
    """A modality that knows the box."""
    return Modality(listen(box).port)


def test_a_step_is_durable_when_it_is_answered(box: SmallBox, modality: Modality) -> None:
    """What the modality reads as success is in the database: the step, its studies and its state."""
    assert modality.begin(begins()).Status == 0x0000
    (step,) = box.rows(procedure_steps)
    assert (step.sop_instance_uid, step.state, step.announced) == (STEP, StepState.IN_PROGRESS, 0)
    assert [row.study_instance_uid for row in box.rows(step_studies)] == [STUDY]
    assert modality.change(ends(_images(2))).Status == 0x0000
    (step,) = box.rows(procedure_steps)
    assert (step.state, step.announced) == (StepState.COMPLETED, 2)
    assert box.count(awaited_images) == 2


def test_the_last_image_completes_its_study(box: SmallBox, modality: Modality) -> None:
    """Images before and after the end of their step: complete with the last, and not when the quiet time is over."""
    first, second, third = _images(3)
    modality.begin(begins())
    box.admit(first)
    modality.change(ends([first, second, third]))
    box.admit(second)
    assert box.study(STUDY).state == StudyState.RECEIVING
    box.admit(third)
    assert (box.study(STUDY).state, box.study(STUDY).completes_at) == (StudyState.COMPLETE, NOW)
    box.admission.released([STUDY], "SCANNER", NOW)
    assert box.study(STUDY).completes_at == NOW
    assert ("complete", "3 instances, all that its procedure step names") in _history(box)


def test_the_end_of_the_step_completes_a_study_that_is_here(box: SmallBox, modality: Modality) -> None:
    """All images came first: the N-SET is what was awaited."""
    images = _images(2)
    modality.begin(begins())
    for one in images:
        box.admit(one)
    modality.change(ends(images))
    assert box.study(STUDY).state == StudyState.COMPLETE
    kinds = [(kind, detail) for kind, detail in _history(box) if kind == "procedure_step"]
    assert kinds == [("procedure_step", "IN PROGRESS, says SCANNER"), ("procedure_step", "COMPLETED")]


def test_a_study_whose_images_are_missing_waits(box: SmallBox, modality: Modality) -> None:
    """It says how many, and its quiet time decides."""
    first, second = _images(2)
    modality.begin(begins())
    box.admit(first)
    waits_until = box.study(STUDY).completes_at
    modality.change(ends([first, second]))
    assert (box.study(STUDY).state, box.study(STUDY).completes_at) == (StudyState.RECEIVING, waits_until)
    assert ("procedure_step", "COMPLETED; 1 of its images are not here") in _history(box)


def test_a_step_that_names_no_image_says_nothing_of_the_study(box: SmallBox, modality: Modality) -> None:
    """Some modalities list none and send some: the quiet time decides."""
    modality.begin(begins())
    box.admit(_images(1)[0])
    assert modality.change(ends([])).Status == 0x0000
    assert box.study(STUDY).state == StudyState.RECEIVING


def test_every_step_of_a_study_must_have_ended(box: SmallBox, modality: Modality) -> None:
    """A second step that is in progress announces more images."""
    first, second = _images(2)
    modality.begin(begins())
    modality.begin(begins(), uid("step 2"))
    box.admit(first)
    modality.change(ends([first]))
    assert box.study(STUDY).state == StudyState.RECEIVING
    box.admit(second)
    modality.change(ends([second]), uid("step 2"))
    assert box.study(STUDY).state == StudyState.COMPLETE


def test_an_image_nobody_named_reopens_as_ever(box: SmallBox, modality: Modality) -> None:
    """After the step has ended, what it did not name leads back to receiving, with the quiet time."""
    first, second = _images(2)
    modality.begin(begins())
    box.admit(first)
    modality.change(ends([first]))
    box.admit(second)
    assert box.study(STUDY).state == StudyState.RECEIVING
    assert box.study(STUDY).completes_at > NOW


def test_what_is_said_later_replaces_what_was_said_before(box: SmallBox, modality: Modality) -> None:
    """Each N-SET names the series anew (PS3.4 F.7.2.2.2); an image that was taken back is awaited no more."""
    first, second = _images(2)
    modality.begin(begins())
    box.admit(first)
    modality.change(ends([first, second], "IN PROGRESS"))
    assert box.count(awaited_images) == 1
    modality.change(ends([first]))
    assert box.count(awaited_images) == 0
    assert box.study(STUDY).state == StudyState.COMPLETE


def test_a_step_that_was_discontinued(box: SmallBox, modality: Modality) -> None:
    """What was made is read at once, and the history says why the rest was not."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = (
        "110513",
        "DCM",
        "Discontinued for unspecified reason",
    )
    (first,) = _images(1)
    modality.begin(begins())
    box.admit(first)
    given = ends([first], "DISCONTINUED", PerformedProcedureStepDiscontinuationReasonCodeSequence=Sequence([code]))
    assert modality.change(given).Status == 0x0000
    assert box.study(STUDY).state == StudyState.COMPLETE
    assert ("procedure_step", "DISCONTINUED; Discontinued for unspecified reason") in _history(box)


def test_a_step_discontinued_before_its_first_series(box: SmallBox, modality: Modality) -> None:
    """It may end without an end date and without a series."""
    modality.begin(begins())
    given = Dataset()
    given.PerformedProcedureStepStatus = "DISCONTINUED"
    assert modality.change(given).Status == 0x0000
    assert box.rows(procedure_steps)[0].state == StepState.DISCONTINUED


def test_other_objects_count_as_images(box: SmallBox, modality: Modality) -> None:
    """What is no image stands in a sequence of its own (PS3.3 table C.4-15)."""
    first, second = _images(2)
    given = ends([first])
    given.PerformedSeriesSequence[0].ReferencedNonImageCompositeSOPInstanceSequence = Sequence([reference(second)])
    modality.begin(begins())
    box.admit(first)
    modality.change(given)
    assert box.study(STUDY).state == StudyState.RECEIVING
    box.admit(second)
    assert box.study(STUDY).state == StudyState.COMPLETE


def test_a_step_without_a_name_gets_one(box: SmallBox, modality: Modality) -> None:
    """PS3.7 10.1.5.1.4: who creates without a SOP Instance UID reads it in the answer, and can go on with it."""
    assert modality.begin(begins(), None).Status == 0x0000
    (step,) = box.rows(procedure_steps)
    assert modality.change(ends([]), step.sop_instance_uid).Status == 0x0000


def test_a_duplicate_step(box: SmallBox, modality: Modality) -> None:
    """0x0111, and the first stands."""
    modality.begin(begins())
    assert modality.begin(begins(uid("another study"))).Status == 0x0111
    assert [row.study_instance_uid for row in box.rows(step_studies)] == [STUDY]


def test_an_unknown_step(modality: Modality) -> None:
    """0x0112."""
    assert modality.change(ends([])).Status == 0x0112


@pytest.mark.parametrize("last", ["COMPLETED", "DISCONTINUED"])
def test_a_step_that_has_ended_stays_as_it_is(box: SmallBox, modality: Modality, last: str) -> None:
    """Processing failure with Error ID 0xA710 (PS3.4 table F.7.2-2)."""
    modality.begin(begins())
    modality.change(ends([], last))
    answer = modality.change(ends(_images(1)))
    assert (answer.Status, answer.ErrorID) == (0x0110, 0xA710)
    assert answer.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    assert (box.rows(procedure_steps)[0].state, box.count(awaited_images)) == (last, 0)


@pytest.mark.parametrize(
    ("overrides", "status"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": ...}, 0x0120),
        ({"PerformedProcedureStepStatus": ""}, 0x0121),
        ({"PerformedStationAETitle": ...}, 0x0120),
        ({"Modality": ""}, 0x0121),
        ({"ScheduledStepAttributesSequence": ...}, 0x0120),
        ({"ScheduledStepAttributesSequence": Sequence([])}, 0x0121),
    ],
)
def test_a_step_that_does_not_begin_well(
    box: SmallBox, modality: Modality, overrides: dict[str, Any], status: int
) -> None:
    """What PS3.4 table F.7.2-1 asks for is missing, empty or has no such value; nothing is written."""
    answer = modality.begin(begins(**overrides))
    assert answer.Status == status
    assert answer.ErrorComment
    assert box.count(procedure_steps) == 0


@pytest.mark.parametrize(
    ("overrides", "status"),
    [
        ({"PerformedProcedureStepStatus": "DONE"}, 0x0106),
        ({"PerformedProcedureStepEndDate": ...}, 0x0121),
        ({"PerformedSeriesSequence": Sequence([])}, 0x0121),
    ],
)
def test_a_step_that_does_not_end_well(
    box: SmallBox, modality: Modality, overrides: dict[str, Any], status: int
) -> None:
    """It stays in progress; what was set when it began counts too, here as empty."""
    modality.begin(begins())
    assert modality.change(ends(_images(1), **overrides)).Status == status
    assert box.rows(procedure_steps)[0].state == StepState.IN_PROGRESS


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_names_that_are_no_uids(box: SmallBox, modality: Modality) -> None:
    """Neither a path nor anything else that is not dots and digits comes into the database."""
    assert modality.begin(begins("../../etc")).Status == 0x0106
    modality.begin(begins())
    given = ends(_images(1))
    given.PerformedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2;DROP"
    assert modality.change(given).Status == 0x0106
    assert box.count(awaited_images) == 0


def test_a_step_that_names_too_much(make_box: MakeBox, listen: Listen) -> None:
    """Resource limitation, for a study may not have so many instances either."""
    box = make_box(limits={"max_study_instances": 1})
    modality = Modality(listen(box).port)
    modality.begin(begins())
    assert modality.change(ends(_images(2))).Status == 0x0213
    assert box.rows(procedure_steps)[0].state == StepState.IN_PROGRESS


def test_a_message_over_its_limit_cuts_the_connection(make_box: MakeBox, listen: Listen) -> None:
    """It is held in memory, unlike an image; the receiver goes on for others."""
    box = make_box(limits={"max_message_bytes": 65_536})
    modality = Modality(listen(box).port)
    assert "Status" not in modality.begin(begins(EncapsulatedDocument=b"x" * 4_000_000))
    assert modality.begin(begins()).Status == 0x0000
