"""Every figure against a hand-made case: two classes, several that exclude each other, refusals, patients."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.answers import Answer, Truth, truth_of
from models.decision import Decision
from models.evaluation import Evaluation, evaluate
from models.manifest import Manifest
from models.pack import load_pack
from models.reasons import Reason
from tests.tiny_pack import change_manifest, write_tiny_pack

NORMAL, ILL = Truth(0, False), Truth(1, True)
SEVERAL: dict[str, Any] = {
    "normal": "none",
    "findings": ["benign", "malignant"],
    "acts_on": ["malignant"],
    "activation": "softmax",
    "bias": [0.0, 0.0, 0.0],
}


def _manifest(folder: Path, **changes: Any) -> Manifest:
    return load_pack(change_manifest(write_tiny_pack(folder), **changes)).manifest


@pytest.fixture
def two(tmp_path: Path) -> Manifest:
    """One finding, present or not."""
    return _manifest(tmp_path / "two", figures={"test": {"fp32_auc": 0.8}})


@pytest.fixture
def several(tmp_path: Path) -> Manifest:
    """Three classes of which one is to be acted on."""
    return _manifest(tmp_path / "several", **SEVERAL)


def _answer(probability: float, decision: Decision) -> Answer:
    return Answer((probability,), probability, decision)


def _small_set(manifest: Manifest, **options: Any) -> Evaluation:
    answers = [
        _answer(0.1, Decision.routine),
        _answer(0.6, Decision.urgent),
        _answer(0.4, Decision.escalate),
        _answer(0.9, Decision.urgent),
        Answer(reason=Reason.wrong_picture),
    ]
    return evaluate(manifest, [NORMAL, NORMAL, ILL, ILL, ILL], answers, **options)


def test_all_figures_of_a_small_set(two: Manifest) -> None:
    """Four images worked out by hand, one of them left undecided, and one more that was refused."""
    found = _small_set(two)
    assert (found.n, found.read, found.abnormal, found.refused) == (5, 4, 3, {"wrong_picture": 1})
    figures = found.figures
    assert (figures.auc, figures.auc_abnormal, figures.accuracy) == (0.75, 0.75, 0.5)
    assert (figures.sensitivity, figures.specificity) == (0.5, 0.5)
    assert figures.coverage == 3 / 5
    assert figures.selective_error == pytest.approx(1 / 3)
    assert figures.ece == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)
    assert (found.routine, found.missed_among_routine, found.urgent, found.false_among_urgent) == (1, 0, 2, 1)
    assert (found.escalate, figures.missed_share, figures.false_share) == (1, 0.0, 0.5)
    assert found.at_most["missed_share"] == pytest.approx(0.95)  # one image says next to nothing
    assert found.fp32_auc == 0.8
    assert found.intervals == {}


def test_several_classes_by_hand(several: Manifest) -> None:
    """Benign is a class of its own for ``auc`` and ``accuracy``, and no reason to act for the other figures."""
    answers = [
        Answer((0.2, 0.1), 0.1, Decision.routine),
        Answer((0.7, 0.2), 0.2, Decision.routine),
        Answer((0.3, 0.6), 0.6, Decision.urgent),
        Answer((0.5, 0.4), 0.4, Decision.escalate),
    ]
    labels = ["none", "benign", "malignant", "malignant"]
    found = evaluate(several, [truth_of(label, several) for label in labels], answers)
    assert found.auc_by_class == {"none": 1.0, "benign": 1.0, "malignant": 1.0}
    assert found.figures.accuracy == 0.75  # the last image looks benign most of all
    assert (found.figures.sensitivity, found.figures.specificity, found.figures.auc_abnormal) == (0.5, 1.0, 1.0)
    assert (found.figures.coverage, found.figures.selective_error) == (0.75, 0.0)


def test_the_mean_over_classes_leaves_out_a_class_without_images(several: Manifest) -> None:
    """Without a malignant image there is no AUC of malignant, and none of acting on it; the others count."""
    answers = [Answer((0.2, 0.1), 0.1), Answer((0.1, 0.8), 0.8)]
    found = evaluate(several, [truth_of("none", several), truth_of("benign", several)], answers)
    assert found.auc_by_class == {"none": 1.0, "benign": 0.0, "malignant": None}
    assert (found.figures.auc, found.figures.auc_abnormal) == (0.5, None)


def test_labels_that_name_no_class_give_the_binary_figures(several: Manifest) -> None:
    """Normal and abnormal are enough for all but the classes."""
    answers = [Answer((0.2, 0.1), 0.1), Answer((0.3, 0.6), 0.6)]
    found = evaluate(several, [truth_of("normal", several), truth_of("abnormal", several)], answers)
    assert found.auc_by_class == {}
    assert (found.figures.auc, found.figures.accuracy, found.figures.auc_abnormal) == (1.0, 1.0, 1.0)


def test_undefined_is_none_and_not_zero(two: Manifest) -> None:
    """One class, nobody decided, nobody at all."""
    one_class = evaluate(two, [ILL, ILL], [_answer(0.9, Decision.escalate), _answer(0.8, Decision.escalate)]).figures
    assert (one_class.auc, one_class.specificity, one_class.selective_error) == (None, None, None)
    assert one_class.coverage == 0.0
    empty = evaluate(two, [], [], rng=np.random.default_rng(0))
    assert (empty.n, empty.figures.auc, empty.figures.accuracy, empty.figures.ece) == (0, None, None, None)
    assert empty.intervals == {}
    nobody = evaluate(two, [ILL], [Answer(reason=Reason.not_dicom)], rng=np.random.default_rng(0))
    assert (nobody.read, nobody.figures.auc, nobody.figures.coverage) == (0, None, 0.0)
    assert set(nobody.intervals) == {"coverage"}


@pytest.mark.parametrize("figures", [{}, {"test": 1}, {"test": {}}, {"test": {"fp32_auc": "high"}}])
def test_a_manifest_that_states_no_fp32_auc(two: Manifest, figures: dict[str, Any]) -> None:
    """Whatever stands there instead of a number is no figure."""
    assert evaluate(two.model_copy(update={"figures": figures}), [], []).fp32_auc is None


def test_what_does_not_fit_is_refused(two: Manifest) -> None:
    """Lengths, and answers of another pack."""
    with pytest.raises(ValueError, match="1 labels but 0 answers"):
        evaluate(two, [ILL], [])
    with pytest.raises(ValueError, match="but 0 groups"):
        evaluate(two, [ILL], [_answer(0.5, Decision.urgent)], groups=[])
    with pytest.raises(ValueError, match="2 probabilities for 1 findings"):
        evaluate(two, [ILL], [Answer((0.1, 0.2), 0.2)])


def _many(count: int) -> tuple[list[Truth], list[Answer]]:
    rng = np.random.default_rng(1)
    truths = [ILL if one else NORMAL for one in rng.integers(0, 2, count)]
    scores = [float(np.clip(0.3 * truth.abnormal + 0.7 * rng.random(), 0, 1)) for truth in truths]
    decide = [Decision.routine if score < 0.4 else Decision.urgent for score in scores]
    return truths, [_answer(score, decision) for score, decision in zip(scores, decide, strict=True)]


def test_the_intervals_hold_the_figures_and_repeat(two: Manifest) -> None:
    """Same generator, same intervals."""
    truths, answers = _many(200)
    found = evaluate(two, truths, answers, rng=np.random.default_rng(7), rounds=200)
    assert set(found.intervals) == set(type(found.figures).__dataclass_fields__)
    for name, (low, high) in found.intervals.items():
        assert low <= getattr(found.figures, name) <= high or name == "ece", name  # the bootstrap biases an ECE upwards
    again = evaluate(two, truths, answers, rng=np.random.default_rng(7), rounds=200)
    assert again.intervals == found.intervals


def test_patients_are_drawn_whole(two: Manifest) -> None:
    """Twenty copies of each image by the same patient say no more than one: the interval must stay as wide."""
    truths, answers = _many(40)
    alone = evaluate(two, truths, answers, rng=np.random.default_rng(7), rounds=400).intervals["auc"]
    names = [str(number) for number in range(40)] * 20
    copied = evaluate(two, truths * 20, answers * 20, rng=np.random.default_rng(7), rounds=400).intervals["auc"]
    by_patient = evaluate(two, truths * 20, answers * 20, groups=names, rng=np.random.default_rng(7), rounds=400)
    assert copied[1] - copied[0] < (alone[1] - alone[0]) / 3
    width = by_patient.intervals["auc"][1] - by_patient.intervals["auc"][0]
    assert math.isclose(width, alone[1] - alone[0], rel_tol=0.25)
