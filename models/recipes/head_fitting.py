"""Fits the head of a box pack: what the cloud can say from the box's features where the image cannot be sent.

The features of the train pictures, as they are and mildly changed, are what it learns from; the full network's answers
to the same pictures teach it beside the labels. How hard it is held back is chosen on the calibration part alone, which
also gives its calibration and its lines, as for a network. The test part is only measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from models.answers import answer_of, truth_of
from models.calibrated import sigmoid, softmax
from models.evaluation import evaluate, flat
from models.head import Head
from models.head_reader import HeadReader
from models.pack import load_pack
from models.recipes.calibration import Known, calibrate, choose_thresholds
from models.recipes.gate_fitting import MILD, changed
from models.recipes.labelled_images import LabelledImages, Part
from models.recipes.pack_folder import HEAD, rewrite_manifest
from models.recipes.scoring import console, macro_auc, score
from models.recipes.task import Task

#: How many train pictures are enough, each as it is and changed.
_TRAIN_IMAGES = 1000
#: Ridge penalties to choose from, for standardised features.
_PENALTIES = (30.0, 300.0, 3e3, 3e4, 3e5)
#: The lowest and the highest byte stand for these quantiles of a feature on the calibration part, and a margin.
_RANGE, _MARGIN = (0.001, 0.999), 0.1
#: How far a logit of the full network counts, and how much of the target is the label.
_MOST_LOGIT, _LABEL_SHARE, _LABEL_LOGIT = 6.0, 0.3, 4.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """Train pictures: ``features (n, f)`` of the box, ``taught (n, k)`` logits of the full network, ``labels (n,)``."""

    features: NDArray[np.float32]
    taught: NDArray[np.float64]
    labels: NDArray[np.int64]


def add_head(box: Path, full: Path, task: Task, parts: dict[Part, LabelledImages]) -> dict[str, Any]:
    """Fit a head and put it into the folder of a built box pack; returns its figures on the test part.

    ``full`` is the folder of the cloud's pack, whose network teaches.
    """
    light = box / "network.onnx"
    lesson = _lesson(light, full / "network.onnx", parts["train"], task)
    held = score(light, parts["calibration"].pixels, task.spec, "head: calibration part").features
    labels = parts["calibration"].labels
    head, penalty = fit_head(lesson, held, labels, task)
    head.save(box / HEAD)
    known = Known(_logits(head, held), labels)
    changed_ones = slice(1, None, 2)
    order = Known(_logits(head, lesson.features[changed_ones]), lesson.labels[changed_ones])
    calibration = calibrate(known, task)
    thresholds, _ = choose_thresholds(calibration, known, order, {})
    described = {"file": HEAD, "temperature": calibration.temperature, "bias": calibration.bias}
    manifest = rewrite_manifest(box, head=described | {"thresholds": thresholds.model_dump()})
    figures = _figures(box, parts["test"], task) | {"penalty": penalty}
    rewrite_manifest(box, figures=manifest.figures | {"head": figures})
    console.print(figures)
    return figures


def fit_head(lesson: Lesson, held: NDArray[np.float32], labels: NDArray[np.int64], task: Task) -> tuple[Head, float]:
    """The head whose penalty gives the best AUC on the calibration part ``held (n, f)``, and that penalty."""
    lowest, highest = np.quantile(held, _RANGE, axis=0)
    room = np.maximum((highest - lowest) * _MARGIN, 1e-3)
    low, step = (lowest - room).astype(np.float32), ((highest - lowest + 2 * room) / 255).astype(np.float32)
    outputs = lesson.taught.shape[1]
    untaught = Head(low, step, np.zeros((low.size, outputs), np.float32), np.zeros(outputs, np.float32))
    levels = untaught.reduced(lesson.features).astype(np.float64)
    centre, spread = levels.mean(axis=0), levels.std(axis=0) + 1.0
    found: list[tuple[float, float, Head]] = []
    for penalty in _PENALTIES:
        fitted = Ridge(alpha=penalty).fit((levels - centre) / spread, _target(lesson, task))
        weight = (fitted.coef_.reshape(outputs, -1).T / spread[:, None]).astype(np.float16).astype(np.float32)
        offset = np.atleast_1d(fitted.intercept_) - centre @ weight
        head = Head(low, step, weight, offset.astype(np.float32))
        logits = _logits(head, held)
        chances = sigmoid(logits) if task.activation == "sigmoid" else softmax(logits)
        found.append((macro_auc(labels, chances), penalty, head))
    console.print("head: AUC on the calibration part", {penalty: round(auc, 4) for auc, penalty, _ in found})
    _, penalty, head = max(found, key=lambda one: one[0])
    return head, penalty


def _figures(box: Path, part: LabelledImages, task: Task) -> dict[str, Any]:
    """What the head as it lies in the pack says of a part, and how many bytes it is told of each picture."""
    pack = load_pack(box)
    reader = HeadReader(pack)
    reduced = reader.head.reduced(score(pack.network, part.pixels, task.spec, "head: test part").features)
    answers = [answer_of(reader.read(one.tobytes(), "")) for one in reduced]
    truths = [truth_of(task.classes[label], pack.manifest) for label in part.labels]
    groups = [row[task.group] for row in part.rows] if task.group else None
    found = flat(evaluate(pack.manifest, truths, answers, groups=groups, rng=np.random.default_rng(0)))
    del found["fp32_auc"]  # that of the network
    return found | {"bytes_for_each_picture": int(reduced.shape[1]), "file_bytes": (box / HEAD).stat().st_size}


def _lesson(light: Path, full: Path, part: LabelledImages, task: Task) -> Lesson:
    """The pictures as they are, and each once more mildly changed, in turn."""
    some = part.every(max(1, len(part) // _TRAIN_IMAGES))
    pixels = np.stack([some.pixels, changed(some.pixels, MILD, 7)], axis=1).reshape(-1, *some.pixels.shape[1:])
    features = score(light, pixels, task.spec, "head: train part").features
    taught = score(full, pixels, task.spec, "head: what the full network says").logits
    return Lesson(features, taught, np.repeat(some.labels, 2))


def _target(lesson: Lesson, task: Task) -> NDArray[np.float64]:
    """The full network's logits, cut, with some of the label mixed in."""
    outputs = lesson.taught.shape[1]
    taught = np.clip(lesson.taught, -_MOST_LOGIT, _MOST_LOGIT)
    truth = lesson.labels[:, None] == np.arange(len(task.classes) - outputs, len(task.classes))[None]
    told = np.where(truth, _LABEL_LOGIT, -_LABEL_LOGIT)
    mixed: NDArray[np.float64] = (1.0 - _LABEL_SHARE) * taught + _LABEL_SHARE * told
    return mixed


def _logits(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    return head.logits(head.reduced(features))
