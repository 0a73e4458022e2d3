"""A whole box beside a modality that says when it is done: a study is decided within a second of its last image."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from appliance.ingest.step_tables import procedure_steps
from appliance.schema import devices, studies
from tests.dicom_factory import chest_radiograph, uid
from tests.interop.peers import Box, wait
from tests.listening_box import Scanner
from tests.modality import Modality, begins, ends
from tests.small_box import SCANNER
from tests.tiny_pack import picture, write_tiny_pack

WITHIN_S = 1.0


def _images(study: str) -> list[Dataset]:
    def made(number: int) -> Dataset:
        pixels = picture("urgent", 96, 96)
        seed = f"{study} {number}"
        return chest_radiograph(seed=seed, pixels=pixels, BodyPartExamined="HAND", StudyInstanceUID=uid(study))

    return [made(number) for number in range(3)]


def _until_decided(box: Box, study: str) -> None:
    wait(lambda: box.study(uid(study)).decided_at is not None, 120.0, f"the decision; see {box.log}")


@pytest.mark.timeout(300)
def test_with_a_procedure_step_a_study_is_triaged_at_once(tmp_path: Path) -> None:
    """The quiet time is an hour; the end of the step comes before the last image, and after it."""
    write_tiny_pack(tmp_path / "packs" / "tiny", scope={"modalities": ["DX"], "body_parts": ["HAND"]})
    more = f'[triage]\npacks = "{tmp_path / "packs"}"\n[dicom.peers.{SCANNER}]\nquiet_time_s = 3600\n'
    with Box(tmp_path, more).serving("serve") as box:
        wait(lambda: bool(box.rows(devices)), 120.0, f"the triage worker; see {box.log}")
        modality, scanner = Modality(box.port), Scanner(box.port)
        for study in ("early", "late"):
            images = _images(study)
            assert modality.begin(begins(uid(study)), uid(f"step {study}")).Status == 0x0000
            sent = scanner.send(*images[:-1]) if study == "early" else scanner.send(*images)
            assert {one.Status for one in sent} == {0x0000}
            assert modality.change(ends(images), uid(f"step {study}")).Status == 0x0000
            if study == "early":
                assert [one.Status for one in scanner.send(images[-1])] == [0x0000]
            _until_decided(box, study)
        rows, ended = box.rows(studies), {row.sop_instance_uid: row.ended_at for row in box.rows(procedure_steps)}
    assert [row.decision for row in rows] == ["urgent"] * 2
    for study, row in (("early", box.study(uid("early"))), ("late", box.study(uid("late")))):
        assert row.decided_at - max(row.last_received_at, ended[uid(f"step {study}")]) < WITHIN_S
