"""A pack of classes that exclude each other, with a gate, from a received image to row, report and picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset

from appliance.schema import findings
from models.decision import Decision
from store_forward.outbox import deliveries
from tests.dicom_factory import chest_radiograph, read_back
from tests.small_box import NOW, SmallBox, image
from tests.tiny_pack import CLASSES, FINDING, OTHER_FINDING, picture, write_tiny_pack

ReadingBox = Callable[..., SmallBox]


@pytest.fixture
def classes_box(reading_box: ReadingBox, tmp_path: Path) -> SmallBox:
    """A box whose only pack acts on one of two findings that exclude each other, and looks at the picture."""
    folder = write_tiny_pack(
        tmp_path / "classes" / "tiny", findings=CLASSES, activation="softmax", acts_on=[OTHER_FINDING], gated=True
    )
    return reading_box(triage={"packs": folder.parent})


def _read(box: SmallBox, dataset: Dataset) -> str:
    study = box.receive(dataset)
    worker = box.worker()
    while worker.step(NOW):
        pass
    return study


def _left() -> Dataset:
    return chest_radiograph(seed="left", pixels=picture("urgent", 96, 96).T.copy())


@pytest.mark.parametrize(
    ("dataset", "decision", "shown"), [(image("urgent"), "routine", FINDING), (_left(), "urgent", OTHER_FINDING)]
)
def test_the_row_holds_every_finding_and_what_decided(
    classes_box: SmallBox, dataset: Dataset, decision: str, shown: str
) -> None:
    """The harmless finding is as sure as the harmful one, and only the harmful one is urgent."""
    row = classes_box.study(_read(classes_box, dataset))
    probabilities = {one.name: one.probability for one in classes_box.rows(findings)}
    assert set(probabilities) == set(CLASSES)
    assert probabilities[shown] > 0.9
    assert row.abnormality == pytest.approx(probabilities[OTHER_FINDING])
    assert (row.decision, row.heat_map_finding) == (decision, shown)


def test_the_colours_lie_where_the_finding_stands_out_against_normal(classes_box: SmallBox) -> None:
    """Bright left and dark right speak for the finding; above left and below right they speak against normal as well.

    The capture for the archive holds the same picture between its bands of words.
    """
    row = classes_box.study(_read(classes_box, _left()))
    drawn = cv2.imdecode(np.frombuffer(classes_box.spool.file(row.heat_map).read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    colour = np.ptp(drawn.astype(int), axis=2)
    against_normal = colour[:24, :24].mean(), colour[72:, 72:].mean()
    others = colour[72:, :24].mean(), colour[:24, 72:].mean(), colour[36:60, 36:60].mean()
    assert min(against_normal) > 1.5 * max(others)
    (sent,) = [one for one in classes_box.rows(deliveries) if one.kind == "picture"]
    capture = read_back(classes_box.spool.file(sent.payload)).pixel_array
    middle = capture[:, (capture.shape[1] - 96) // 2 :][:, :96]
    assert any(np.array_equal(middle[at : at + 96], drawn[:, :, ::-1]) for at in range(len(middle) - 95))


def test_a_picture_of_another_kind_is_refused_with_words(classes_box: SmallBox) -> None:
    """The header is in scope; the row says why nothing was read, no finding is kept and no heat map is sent."""
    stripes = np.tile(np.repeat([0, 4095], 12), (96, 4)).astype(np.uint16)
    row = classes_box.study(_read(classes_box, chest_radiograph(seed="stripes", pixels=stripes)))
    assert (row.decision, row.reason) == (Decision.not_triaged, "wrong_picture")
    assert "distance" in row.detail
    assert (row.pack, row.abnormality, row.heat_map_finding) == (None, None, None)
    assert classes_box.count(findings) == 0
    assert [one.kind for one in classes_box.rows(deliveries)] == ["report"]
