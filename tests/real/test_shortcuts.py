"""Brightness, contrast, border, sharpness and file size must not drive the score beyond what the label explains.

In these collections such trivial features tell the classes apart by themselves. Within a class they cannot: there, what
they explain of the score is either a shortcut or an illness that is itself bright or flat. The limit is therefore not
zero; it says that most of the score comes from elsewhere.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.answers import answer, truth_of
from models.measures import auc
from models.opening import open_runner
from models.pack import load_pack
from models.recipes.labelled_images import LabelledImages, look_alikes, part_of, read_squares
from models.registry import SHIPPED
from models.runner import PackRunner

Numbers = NDArray[np.float64]

#: The images a pack was made from, and the column whose groups its split kept together, where there is one.
COLLECTIONS = {
    "cxr-pneumonia-paediatric": ("cxr_paediatric", "patient"),
    "brain-mr-tumour": ("brain_mr", None),
    "breast-us-lesion": ("breast_us", None),
}
FEATURES = ("brightness", "contrast", "border", "sharpness", "file size")
#: At most this share of the score's variance within a class may follow from the five features (cross-validated).
MOST_EXPLAINED = 1 / 3
_LEAST_IMAGES = 40
_FOLDS = 5
_BORDER = 12


@dataclass(frozen=True)
class Measured:
    """``features (n, 5)``, ``score (n,)`` in logits, ``abnormal (n,)`` and ``label (n,)`` of the test part."""

    features: Numbers
    score: Numbers
    abnormal: NDArray[np.bool_]
    label: NDArray[np.str_]


def _test_part(real_images: Path, size_px: int, name: str, column: str | None) -> list[tuple[Path, str]]:
    """The images that the recipe kept for testing: what was trained on says little about shortcuts."""
    with (real_images / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    files = [real_images / name / row["file"] for row in rows]
    if column is not None:
        groups = [row[column] for row in rows]
    else:
        whole = LabelledImages(read_squares(files, size_px), np.zeros(len(rows), dtype=np.int64), tuple(rows))
        groups = look_alikes(whole)
    tested = [part_of(group) == "test" for group in groups]
    return [(file, row["label"]) for file, row, keep in zip(files, rows, tested, strict=True) if keep]


def _picture(file: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return picture.astype(np.uint8)


def _features(file: Path, picture: NDArray[np.uint8]) -> list[float]:
    edge = np.ones(picture.shape, dtype=bool)
    edge[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    sharpness = float(np.log(cv2.Laplacian(picture, cv2.CV_64F).var() + 1.0))
    size = float(np.log(file.stat().st_size))
    return [float(picture.mean()), float(picture.std()), float(picture[edge].mean()), sharpness, size]


def _measured(runner: PackRunner, images: list[tuple[Path, str]]) -> Measured:
    features, score, abnormal, labels = [], [], [], []
    for file, label in images:
        picture = _picture(file)
        said = answer(runner, picture)
        if said.findings:  # what the gate refused has no score
            chance = float(np.clip(said.abnormality, 1e-6, 1 - 1e-6))
            features.append(_features(file, picture))
            score.append(float(np.log(chance / (1 - chance))))
            abnormal.append(truth_of(label, runner.pack.manifest).abnormal)
            labels.append(label)
    return Measured(np.array(features), np.array(score), np.array(abnormal), np.array(labels))


def _explained(features: Numbers, score: Numbers) -> float:
    """Cross-validated R² of a linear fit on ranks, so that neither outliers nor overfitting make it large."""
    wanted = _ranked(score[:, None])[:, 0]
    left_over = wanted - _crossed(_ranked(features), wanted)
    return 1.0 - float((left_over**2).mean() / (wanted**2).mean())


def _crossed(features: Numbers, wanted: Numbers) -> Numbers:
    """What a linear fit to the other folds says of each image."""
    known = np.column_stack([features, np.ones(len(features))])
    fold = np.random.default_rng(0).permutation(len(wanted)) % _FOLDS
    told = np.empty(len(wanted))
    for held in range(_FOLDS):
        weights = np.linalg.lstsq(known[fold != held], wanted[fold != held], rcond=None)[0]
        told[fold == held] = known[fold == held] @ weights
    return told


def _ranked(columns: Numbers) -> Numbers:
    """``(n, k)`` ranks with mean 0 and standard deviation 1, equal values in the middle of theirs."""
    ranked = np.empty(columns.shape)
    for index, column in enumerate(columns.T):
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        middle = (np.cumsum(count) - (count + 1) / 2.0)[place]
        ranked[:, index] = (middle - middle.mean()) / max(float(middle.std()), 1e-9)
    return ranked


@pytest.mark.real
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", COLLECTIONS)
def test_trivial_features_do_not_drive_the_score(
    real_images: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within each class the five features together explain at most a third of the score."""
    if not (SHIPPED / name).is_dir():
        pytest.skip(f"{name} is not among the shipped packs")
    runner = open_runner(load_pack(SHIPPED / name)).runner
    found = _measured(runner, _test_part(real_images, runner.pack.manifest.input.size_px, *COLLECTIONS[name]))
    shortcut = _crossed(_ranked(found.features), found.abnormal.astype(np.float64))
    report = [f"{name}: {len(found.score)} images, AUC of the features alone {auc(found.abnormal, shortcut):.3f}"]
    explained = {}
    for label in np.unique(found.label):
        inside = found.label == label
        if inside.sum() >= _LEAST_IMAGES:
            features, score = found.features[inside], found.score[inside]
            explained[str(label)] = _explained(features, score)
            of_shortcut = _explained(features, shortcut[inside])
            assert of_shortcut > 2 * MOST_EXPLAINED  # the measure sees a score that is nothing but a shortcut
            report.append(
                f"  {label} ({len(score)}): R² {explained[str(label)]:.3f}, of a shortcut {of_shortcut:.3f}; "
            )
            report[-1] += f"rank correlation: {_correlations(features, score)}"
    with capsys.disabled():
        print("\n" + "\n".join(report))  # noqa: T201
    assert explained
    assert max(explained.values()) <= MOST_EXPLAINED, report


def _correlations(features: Numbers, score: Numbers) -> str:
    each = (_ranked(features) * _ranked(score[:, None])).mean(axis=0)
    return ", ".join(f"{feature} {value:+.2f}" for feature, value in zip(FEATURES, each, strict=True))
