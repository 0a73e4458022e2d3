"""``scanside evaluate``: a pack against labels, its curves, its robustness, and what is wrong use."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from appliance.commands import evaluate
from appliance.commands.labelled import eight_bits
from tests.dicom_factory import as_file
from tests.docs.blocks import ROOT
from tests.small_box import image
from tests.tiny_pack import CLASSES, FINDING, OTHER_FINDING, Says, picture, write_tiny_pack
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
    assert (figures["routine"], figures["urgent"], figures["escalate"]) == (1, 2, 1)
    assert (figures["missed_among_routine"], figures["false_among_urgent"], figures["refused"]) == (0, 0, {})
    low, high = figures["intervals"]["coverage"]
    assert low <= 0.75 <= high
    assert "plots" not in figures


@pytest.mark.parametrize("option", [["--plots", "curves"], ["--robustness"]])
def test_the_reference_names_every_key(
    scanside: Scanside,
    labelled: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
) -> None:
    """What is printed as JSON is explained."""
    monkeypatch.chdir(tmp_path)
    folder, labels = labelled
    printed = scanside("evaluate", "tiny", "--images", folder, "--labels", labels, "--json", *option).rows[0]
    text = (ROOT / "docs/reference/command-line.md").read_text(encoding="utf-8")
    section = text.split("## What `scanside evaluate --json` prints")[1].split("\n## ")[0]
    assert [key for key in printed if f"`{key}`" not in section] == []


def test_a_folder_names_a_pack_too(scanside: Scanside, labelled: tuple[Path, Path], tiny_packs: Path) -> None:
    """A pack need not be installed to be measured; a person gets lines with intervals."""
    folder, labels = labelled
    ended = scanside("evaluate", tiny_packs / "tiny", "--images", folder, "--labels", labels)
    assert ended.status == 0
    (line,) = [line for line in ended.out.splitlines() if line.startswith("auc ")]
    assert line.split() == ["auc", "1.0", "(1.0", "to", "1.0)"]
    assert "0 of 4 images were not read" in ended.out


def test_an_image_that_cannot_be_read_is_not_decided(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """It counts in n, in coverage and under refused, not in the figures that need a score."""
    folder, labels = labelled
    (folder / "e.dcm").write_bytes(b"no image" * 30)
    labels.write_text(labels.read_text() + "e.dcm,ill\nmissing.dcm,ill\n")
    (figures,) = scanside("evaluate", "tiny", "--images", folder, "--labels", labels, "--json").rows
    assert (figures["n"], figures["read"], figures["coverage"], figures["sensitivity"]) == (6, 4, 0.5, 1.0)
    assert figures["refused"] == {"not_dicom": 2}


def test_another_word_for_normal(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """--normal names a further label that means: nothing to act on."""
    folder, labels = labelled
    labels.write_text(labels.read_text().replace("normal", "clear"))
    command = ("evaluate", "tiny", "--images", folder, "--labels", labels, "--normal", "clear", "--json")
    assert scanside(*command).rows[0]["auc"] == 1.0


def test_intervals_by_patient(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """One patient only: drawing it again changes nothing, so an interval is a point; a blank name stands alone."""
    folder, labels = labelled
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join([lines[0] + ",patient", *(line + ",p1" for line in lines[1:])]))
    command = ("evaluate", "tiny", "--images", folder, "--labels", labels, "--json")
    assert scanside(*command).rows[0]["intervals"]["coverage"] == [0.75, 0.75]
    labels.write_text("\n".join([lines[0] + ",patient", lines[1] + ",p1", *(line + "," for line in lines[2:])]))
    low, high = scanside(*command).rows[0]["intervals"]["coverage"]
    assert low < 0.75 < high


@pytest.fixture
def two_kinds(tmp_path: Path) -> Path:
    """A pack with a gate whose classes exclude each other and that acts on one of its two findings."""
    folder = tmp_path / "two kinds"
    return write_tiny_pack(folder, findings=CLASSES, activation="softmax", gated=True, acts_on=[FINDING])


def test_several_classes_and_a_gate(scanside: Scanside, two_kinds: Path, tmp_path: Path) -> None:
    """Each class by its name; the picture that is none of them is refused and counted, not scored."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    above = picture("urgent", bits=8).astype(np.uint8)
    board = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((32, 32))).astype(np.uint8) * 255
    drawn = {"above": above, "left": np.rot90(above), "below": above[::-1], "board": board}
    for name, pixels in drawn.items():
        assert cv2.imwrite(str(folder / f"{name}.png"), pixels)
    labels = tmp_path / "kinds.csv"
    labels.write_text(
        f"file,label\nabove.png,{FINDING}\nleft.png,{OTHER_FINDING}\nbelow.png,normal\nboard.png,normal\n"
    )
    (figures,) = scanside("evaluate", two_kinds, "--images", folder, "--labels", labels, "--json").rows
    assert figures["auc_by_class"] == {"normal": 1.0, FINDING: 1.0, OTHER_FINDING: 1.0}
    assert (figures["n"], figures["read"], figures["abnormal"]) == (4, 3, 1)
    assert (figures["accuracy"], figures["refused"]) == (1.0, {"wrong_picture": 1})
    plots = tmp_path / "curves"
    assert scanside("evaluate", two_kinds, "--images", folder, "--labels", labels, "--plots", plots).status == 0
    assert f"{OTHER_FINDING} against the rest (1.000)" in (plots / "roc.svg").read_text(encoding="utf-8")


def test_an_unknown_label_is_wrong_use(scanside: Scanside, labelled: tuple[Path, Path], two_kinds: Path) -> None:
    """Before the long run, with the labels that would do."""
    folder, labels = labelled
    ended = scanside("evaluate", two_kinds, "--images", folder, "--labels", labels)
    assert ended.status == 2
    assert f"the label 'ill' is none of normal, {FINDING}, {OTHER_FINDING}" in ended.err
    assert str(labels) in ended.err


def test_the_curves(scanside: Scanside, labelled: tuple[Path, Path], tmp_path: Path) -> None:
    """Three curves, each as SVG with its words as text and as PNG with something on it."""
    folder, labels = labelled
    plots = tmp_path / "curves"
    command = ("evaluate", "tiny", "--images", folder, "--labels", labels, "--plots", plots, "--json")
    (figures,) = scanside(*command).rows
    assert {Path(path).name for path in figures["plots"]} == {path.name for path in plots.iterdir()}
    for name, words in (("roc", "sensitivity"), ("reliability", "calibrated"), ("risk-coverage", "75.0% decided")):
        drawn = ET.fromstring((plots / f"{name}.svg").read_text(encoding="utf-8"))
        assert any(words in (text or "") for text in drawn.itertext())
        seen = cv2.imread(str(plots / f"{name}.png"))
        assert seen is not None
        assert len(np.unique(seen)) > 10


def test_curves_need_matplotlib(
    scanside: Scanside, labelled: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the run does not even begin, and the message says how to get it."""
    folder, labels = labelled
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ended = scanside("evaluate", "tiny", "--images", folder, "--labels", labels, "--plots", tmp_path / "curves")
    assert ended.status == 2
    assert "pip install 'scanside[plots]'" in ended.err
    assert not (tmp_path / "curves").exists()


def test_robustness_for_a_person_and_for_a_script(scanside: Scanside, labelled: tuple[Path, Path]) -> None:
    """A Markdown table, or a line of JSON for each change; what cannot be read is left out and said."""
    folder, labels = labelled
    labels.write_text(labels.read_text() + "missing.dcm,ill\n")
    command = ("evaluate", "tiny", "--images", folder, "--labels", labels, "--robustness")
    ended = scanside(*command, "--json")
    assert ended.status == 0
    assert (ended.rows[0]["change"], ended.rows[0]["n"]) == ("as it is", 4)
    assert "1 of 5 images cannot be read" in ended.err
    table = scanside(*command).out.splitlines()
    assert len(table) == 2 + len(ended.rows)
    assert {line.count("|") for line in table} == {7}
    assert "| without Modality (expected: refused) | – | 0.0% | 0 of 0 | " in "\n".join(table)


def test_more_images_than_memory_takes(
    scanside: Scanside, labelled: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Robustness holds all images at once: over the limit it says so instead of being killed."""
    folder, labels = labelled
    monkeypatch.setattr(evaluate, "MOST_HELD_PIXELS", 20_000)
    ended = scanside("evaluate", "tiny", "--images", folder, "--labels", labels, "--robustness")
    assert ended.status == 2
    assert "over 20000 pixels; list fewer" in ended.err


def test_robustness_draws_no_curves(scanside: Scanside, labelled: tuple[Path, Path], tmp_path: Path) -> None:
    """Two wishes that do not go together are wrong use."""
    folder, labels = labelled
    both = ("--robustness", "--plots", tmp_path)
    assert scanside("evaluate", "tiny", "--images", folder, "--labels", labels, *both).status == 2


def testeight_bits_stay_as_they_are() -> None:
    """Deeper images are stretched; 0 to 1 is no 8-bit range either."""
    ramp = np.arange(10, 202, 12, dtype=np.float32).reshape(4, 4)
    assert np.array_equal(eight_bits(ramp), ramp.astype(np.uint8))
    for other in (ramp * np.float32(16), ramp - np.float32(300), ramp / np.float32(255)):
        assert (int(eight_bits(other).min()), int(eight_bits(other).max())) == (0, 255)


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


@pytest.mark.parametrize("option", [[], ["--robustness"]])
def test_the_wrong_folder(scanside: Scanside, labelled: tuple[Path, Path], tmp_path: Path, option: list[str]) -> None:
    """Not one image there: that is said instead of figures about nothing."""
    _, labels = labelled
    ended = scanside("evaluate", "tiny", "--images", tmp_path, "--labels", labels, *option)
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
