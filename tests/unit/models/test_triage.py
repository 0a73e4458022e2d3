"""One image from file to decision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from hardware.onnxruntime_session import open_onnxruntime
from models.decision import Decision
from models.errors import CannotTriage
from models.pack import ModelPack, load_pack
from models.pixels import PixelLimits, grey_image, open_dicom
from models.reasons import Reason
from models.runner import PackRunner
from models.triage import Triage
from tests.dicom_factory import as_file, chest_radiograph, compressed, uid
from tests.tiny_pack import CLASSES, FINDING, OTHER_FINDING, Says, picture, write_tiny_pack

SR = "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.mark.parametrize("says", ["urgent", "routine", "escalate"])
def test_the_three_decisions(tmp_path: Path, tiny_runner: PackRunner, says: Says) -> None:
    """From a compressed file to a decision with its finding, pack, device, heat map and times."""
    dataset = compressed(chest_radiograph(pixels=picture(says)), JPEG2000Lossless)
    result = Triage([tiny_runner]).image(as_file(dataset, tmp_path / "a.dcm"))
    assert result.decision is Decision(says)
    assert result.reason is None
    assert result.sop_instance_uid == uid("instance 0")
    assert result.pack == tiny_runner.pack.identity
    assert result.device == "onnxruntime:CPU"
    assert len(result.findings) == 1
    assert result.heat_map is not None
    assert result.heat_map.shape == (256, 256)
    times = result.latency_ms
    assert 0 < times.infer < times.total
    assert 0 < times.decode < times.total


def test_monochrome1_is_read_as_displayed(tiny_runner: PackRunner) -> None:
    """The same picture stored inverted gives the same decision."""
    stored = (4095 - picture("urgent")).astype(np.uint16)
    dataset = chest_radiograph(pixels=stored, PhotometricInterpretation="MONOCHROME1")
    assert Triage([tiny_runner]).image(dataset).decision is Decision.urgent


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"Modality": "CT"}, Reason.wrong_modality),
        ({"PatientSpeciesDescription": "Felis catus"}, Reason.not_human),
        ({"SOPClassUID": SR}, Reason.not_an_image),
        ({"PixelData": None}, Reason.no_pixel_data),
        ({"NumberOfFrames": 3}, Reason.multi_frame),
        ({"Rows": 60000, "Columns": 60000}, Reason.too_large),
    ],
)
def test_what_cannot_be_read_has_a_reason_and_no_score(
    tiny_runner: PackRunner, overrides: dict[str, Any], reason: Reason
) -> None:
    """Never a finding, never a heat map."""
    result = Triage([tiny_runner]).image(chest_radiograph(**overrides))
    assert (result.decision, result.reason) == (Decision.not_triaged, reason)
    assert (result.findings, result.heat_map, result.pack, result.device) == ((), None, None, None)


def test_out_of_scope_can_be_sent_on_but_damage_cannot(tmp_path: Path, tiny_runner: PackRunner) -> None:
    """Escalation by configuration is for sound images only, and keeps the reason."""
    triage = Triage([tiny_runner], out_of_scope=Decision.escalate)
    sound = triage.image(chest_radiograph(Modality="CT"))
    assert (sound.decision, sound.reason) == (Decision.escalate, Reason.wrong_modality)
    torn = tmp_path / "torn"
    torn.write_bytes(b"torn")
    assert triage.image(torn).decision is Decision.not_triaged


@pytest.mark.parametrize("decision", [Decision.routine, Decision.urgent])
def test_out_of_scope_is_never_a_finding(decision: Decision) -> None:
    """No configuration turns an unread image into a statement."""
    with pytest.raises(ValueError, match="out_of_scope"):
        Triage([], out_of_scope=decision)


def test_no_pack_and_no_backend(tiny_pack: ModelPack) -> None:
    """An installed pack that nothing can run is another matter than none."""
    assert Triage([]).image(chest_radiograph()).reason is Reason.no_pack
    stranded = Triage([], without_backend=[tiny_pack])
    assert stranded.image(chest_radiograph()).reason is Reason.no_backend
    assert stranded.image(chest_radiograph(Modality="MR")).reason is Reason.wrong_modality


def test_the_first_pack_that_fits_reads(tmp_path: Path, tiny_runner: PackRunner) -> None:
    """And the closest one says why none does."""
    scope = {"modalities": ["DX"], "body_parts": ["HAND"]}
    hands = load_pack(write_tiny_pack(tmp_path, name="hands", scope=scope))
    only_hands = PackRunner(hands, tiny_runner._session)
    assert Triage([only_hands, tiny_runner]).image(chest_radiograph()).pack == tiny_runner.pack.identity
    assert Triage([only_hands]).image(chest_radiograph()).reason is Reason.wrong_body_part


def test_limits_reach_the_pixels(tiny_runner: PackRunner) -> None:
    """A smaller box may refuse earlier."""
    assert Triage([tiny_runner], PixelLimits(max_pixels=1000)).image(chest_radiograph()).reason is Reason.too_large


def test_a_picture_of_another_kind_is_not_triaged_whatever_the_header_says(tmp_path: Path) -> None:
    """The header is in scope, the picture is not: a reason and the gate's numbers, and no score to be seen."""
    pack = load_pack(write_tiny_pack(tmp_path, gated=True))
    runner = PackRunner(pack, open_onnxruntime(pack.network, threads=1))
    stripes = chest_radiograph(pixels=np.tile(np.repeat([0, 4095], 32), (256, 4)).astype(np.uint16))
    for kept in (Decision.not_triaged, Decision.escalate):
        triage = Triage([runner], out_of_scope=kept)
        assert triage.image(chest_radiograph(pixels=picture("urgent"))).decision is Decision.urgent
        result = triage.image(stripes)
        assert (result.decision, result.reason) == (kept, Reason.wrong_picture)
        assert "distance" in result.detail
        assert (result.findings, result.abnormality, result.heat_map, result.shown) == ((), None, None, None)


def test_a_finding_nobody_acts_on_is_routine_and_named(tmp_path: Path) -> None:
    """From file to decision with classes that exclude each other: only what is acted on is urgent."""
    options: dict[str, Any] = {"findings": CLASSES, "activation": "softmax", "acts_on": [OTHER_FINDING]}
    pack = load_pack(write_tiny_pack(tmp_path, **options))
    triage = Triage([PackRunner(pack, open_onnxruntime(pack.network, threads=1))])
    harmless = triage.image(chest_radiograph(pixels=picture("urgent")))
    harmful = triage.image(chest_radiograph(pixels=picture("urgent").T.copy()))
    assert (harmless.decision, harmless.shown) == (Decision.routine, FINDING)
    assert harmless.findings[0].probability > 0.9
    assert (harmful.decision, harmful.shown) == (Decision.urgent, OTHER_FINDING)
    assert harmful.abnormality == harmful.findings[1].probability


@pytest.mark.real
@pytest.mark.skipif("SCANSIDE_DATA" not in os.environ, reason="SCANSIDE_DATA names no folder of real images")
def test_every_real_file_gets_a_decision_or_a_reason(tiny_runner: PackRunner) -> None:
    """Hundreds of files of public DICOM projects, quirks included, without an exception."""
    triage = Triage([tiny_runner])
    files = sorted(Path(os.environ["SCANSIDE_DATA"], "dicom").iterdir())
    assert files
    readable = 0
    for file in files:
        result = triage.image(file)
        assert (result.decision is Decision.not_triaged) == (result.reason is not None)
        assert bool(result.findings) == (result.reason is None)
        try:
            readable += grey_image(open_dicom(file)).size > 0
        except CannotTriage as refused:
            assert refused.reason in Reason
    assert readable >= 0.6 * len(files)
