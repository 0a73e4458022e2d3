"""Labelled images and their split: what belongs together stays together, whoever splits, whenever."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.preprocessing import InputSpec
from models.recipes.foreign import foreign_pictures
from models.recipes.labelled_images import LabelledImages, load_images, look_alikes, part_of, read_squares, split
from models.recipes.task import Task, Words
from tests.dicom_factory import as_file, chest_radiograph
from tests.given_networks import drawn

TASK = Task(
    name="small",
    version="1.0.0",
    classes=("normal", "effusion"),
    activation="sigmoid",
    acts_on=("effusion",),
    spec=InputSpec(size_px=48),
    scope={},
    words=Words("", "", "", "", ()),
)


def _labelled(pixels: NDArray[np.uint8], groups: list[str]) -> LabelledImages:
    rows = tuple({"file": f"{index}.png", "label": "normal", "who": group} for index, group in enumerate(groups))
    return LabelledImages(pixels, np.zeros(len(groups), dtype=np.int64), rows)


def test_a_group_is_never_parted() -> None:
    """By the column that the task names; every image is in exactly one part, in shares of about 60, 25 and 15 %."""
    groups = [f"P{index // 3}" for index in range(1500)]
    whole = _labelled(np.zeros((1500, 4, 4), np.uint8), groups)
    parts = split(whole, Task(**{**vars(TASK), "group": "who"}))
    found = [{row["who"] for row in part.rows} for part in parts.values()]
    assert sum(len(part) for part in parts.values()) == 1500
    assert sum(map(len, found)) == len(set().union(*found)) == 500
    shares = [len(part) / 1500 for part in parts.values()]
    np.testing.assert_allclose(shares, [0.6, 0.25, 0.15], atol=0.06)


def test_images_that_look_alike_are_one_group() -> None:
    """Without such a column: a brighter and a noisy copy go with the original, other pictures do not."""
    rng = np.random.default_rng(0)
    different = [rng.integers(0, 255, (8, 8)).astype(np.uint8) for _ in range(20)]
    large = [cv2.resize(one, (48, 48), interpolation=cv2.INTER_CUBIC) for one in different]
    brighter = [np.clip(one * 0.7 + 40, 0, 255).astype(np.uint8) for one in large]
    noisy = [np.clip(one + rng.normal(0, 4, one.shape), 0, 255).astype(np.uint8) for one in large]
    whole = _labelled(np.stack([*large, *brighter, *noisy]), [""] * 60)
    groups = look_alikes(whole)
    assert groups == [f"{index}.png" for index in range(20)] * 3
    parts = split(whole, TASK)
    for part in parts.values():
        assert len({int(row["file"].removesuffix(".png")) % 20 for row in part.rows}) * 3 == len(part)


def test_alike_by_a_third() -> None:
    """A chain of likeness is one group, named by its first file."""
    steps = [cv2.GaussianBlur(drawn("effusion", 1, 48), (0, 0), 0.1 + sigma) for sigma in np.linspace(0, 12, 30)]
    assert set(look_alikes(_labelled(np.stack(steps), [""] * 30))) == {"0.png"}


def test_a_part_never_changes() -> None:
    """The digest of the name decides, so adding images moves none."""
    expected = ["test", "calibration", "calibration", "test", "train", "train", "test", "test"]
    assert [part_of(f"P{index}") for index in range(1, 9)] == expected
    assert {part_of(f"P{index}") for index in range(40)} == {"train", "calibration", "test"}


def test_dicom_and_16_bits(tmp_path: Path) -> None:
    """All forms of one picture give the same 8-bit square: PNG of 8 and 16 bits, DICOM, inverted MONOCHROME1."""
    pixels = drawn("effusion", 3, 96)
    stretched = ((pixels - pixels.min()) * (255.0 / (int(pixels.max()) - int(pixels.min())))).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "8.png"), stretched)
    cv2.imwrite(str(tmp_path / "16.png"), stretched.astype(np.uint16) * 16)
    twelve = stretched.astype(np.uint16) * 16
    as_file(chest_radiograph(pixels=twelve), tmp_path / "dicom")
    inverted = chest_radiograph(pixels=4095 - twelve, PhotometricInterpretation="MONOCHROME1")
    inverted.PresentationLUTShape = "INVERSE"
    as_file(inverted, tmp_path / "inverted.dcm")
    squares = read_squares([tmp_path / name for name in ("8.png", "16.png", "dicom", "inverted.dcm")], 48)
    assert squares.shape == (4, 48, 48)
    assert np.abs(squares.astype(int) - squares[0]).max() <= 1


def test_foreign_folders(tmp_path: Path) -> None:
    """Every picture of every folder, split by name; what is no picture is passed over; none at all is allowed."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for index in range(20):
            cv2.imwrite(str(tmp_path / folder / f"{folder}{index}.png"), drawn("normal", index, 48))
    (tmp_path / "a" / "notes.txt").write_text("no picture", encoding="utf-8")
    found = foreign_pictures([tmp_path / "a", tmp_path / "b"], 32)
    assert sum(len(part) for part in found.values()) == 40
    assert {part.shape[1:] for part in foreign_pictures([], 32).values()} == {(32, 32)}
    assert sum(len(part) for part in foreign_pictures([], 32).values()) == 0


def test_a_label_that_is_none_of_the_classes(tmp_path: Path) -> None:
    """The text names it and what is allowed. A byte order mark, as spreadsheets write it, is none of the name."""
    (tmp_path / "labels.csv").write_text("\ufefffile,label\na.png,oedema\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"the labels \['oedema'\] are none of \['normal', 'effusion'\]"):
        load_images(tmp_path, tmp_path / "labels.csv", TASK)
