"""``scanside evaluate``: a pack against labels, and what is wrong use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dicom_factory import as_file
from tests.small_box import image
from tests.tiny_pack import Says
from tests.unit.appliance.commands.conftest import Scanside

KEYS = {"n", "auc", "accuracy", "sensitivity", "specificity", "coverage", "selective_error", "ece", "fp32_auc"}
IMAGES: tuple[tuple[str, Says, str], ...] = (
    ("a.dcm", "urgent", "ill"),
    ("b.dcm", "urgent", "ill"),
    ("c.dcm", "routine", "normal"),
    ("d.dcm", "escalate", "normal"),
)


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of images and the CSV that labels them."""
    folder = tmp_path / "images"
    for name, says, _ in IMAGES:
        as_file(image(says, seed=name), folder / name)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\n" + "".join(f"{name},{label}\n" for name, _, label in IMAGES))
    return folder, labels


def test_the_figures_of_the_contract(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """All keys, and values that follow by hand: three of four decided, all of them right."""
    folder, labels = labelled
    ended = scanside("evaluate", "tiny", "--images", folder, "--labels", labels, "--json")
    assert ended.status == 0
    (figures,) = ended.rows
    assert set(figures) >= KEYS
    assert figures["pack"] == "tiny 1.0.0"
    assert (figures["n"], figures["auc"], figures["sensitivity"]) == (4, 1.0, 1.0)
    assert (figures["coverage"], figures["selective_error"]) == (0.75, 0.0)
    assert figures["specificity"] == 0.5  # "escalate" lies at 0.52
    assert figures["fp32_auc"] is None
    assert len(figures["auc_95"]) == 2


def test_a_folder_names_a_pack_too(scanside: Scanside, labelled: tuple[Path, Path], tiny_packs: Path) -> None:
    """A pack need not be installed to be measured."""
    folder, labels = labelled
    ended = scanside("evaluate", tiny_packs / "tiny", "--images", folder, "--labels", labels)
    assert ended.status == 0
    assert "auc" in ended.out


def test_an_image_that_cannot_be_read_is_not_decided(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """It counts in n and in coverage, not in the figures that need a score."""
    folder, labels = labelled
    (folder / "e.dcm").write_bytes(b"no image" * 30)
    labels.write_text(labels.read_text() + "e.dcm,ill\nmissing.dcm,ill\n")
    (figures,) = scanside("evaluate", "tiny", "--images", folder, "--labels", labels, "--json").rows
    assert (figures["n"], figures["coverage"], figures["sensitivity"]) == (6, 0.5, 1.0)


def test_another_word_for_normal(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """--normal names the label that means: no finding."""
    folder, labels = labelled
    labels.write_text(labels.read_text().replace("normal", "clear"))
    command = ("evaluate", "tiny", "--images", folder, "--labels", labels, "--normal", "clear", "--json")
    assert scanside(*command).rows[0]["auc"] == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,label\na.dcm,ill\n", "needs the columns file,label; 'file' is missing"),
        (b"file,label\n", "one line is needed"),
        (b"file,label\na.dcm\n", "every line needs a file and a label"),
        (b"file,label\n\xff\xfe,x\n", "cannot be read as CSV"),
    ],
)
def test_labels_that_are_none(scanside: Scanside, labelled: tuple[Path, Path], content: bytes, said: str) -> None:
    """Exit status 2 with the file and what is wrong with it."""
    folder, labels = labelled
    labels.write_bytes(content)
    ended = scanside("evaluate", "tiny", "--images", folder, "--labels", labels)
    assert ended.status == 2
    assert str(labels) in ended.err
    assert said in ended.err


def test_no_labels_at_all(scanside: Scanside, tmp_path: Path) -> None:
    """The missing file is named."""
    ended = scanside("evaluate", "tiny", "--images", tmp_path, "--labels", tmp_path / "none.csv")
    assert ended.status == 2
    assert "none.csv" in ended.err
    assert "No such file" in ended.err


def test_the_wrong_folder(scanside: Scanside, labelled: tuple[Path, Path], tmp_path: Path) -> None:
    """Not one image there: that is said instead of figures about nothing."""
    _, labels = labelled
    ended = scanside("evaluate", "tiny", "--images", tmp_path, "--labels", labels)
    assert ended.status == 2
    assert "is --images the right folder?" in ended.err


def test_an_unknown_pack(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """The packs there are come with the message."""
    folder, labels = labelled
    ended = scanside("evaluate", "huge", "--images", folder, "--labels", labels)
    assert ended.status == 2
    assert "there is no pack 'huge'; there are tiny" in ended.err


def test_a_folder_that_is_no_pack(scanside: Scanside, labelled: tuple[Path, Path], tmp_path: Path) -> None:
    """Refused with the reason, not measured."""
    folder, labels = labelled
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{}")
    ended = scanside("evaluate", tmp_path / "bad", "--images", folder, "--labels", labels)
    assert ended.status == 2
    assert "model pack bad: manifest.json" in ended.err
