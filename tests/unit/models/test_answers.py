"""What a label means for a pack, and that a refusal is an answer with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.answers import UNKNOWN_CLASS, Truth, UnknownLabel, answer, answer_of, truth_of
from models.decision import Decision, ImageResult
from models.manifest import Manifest
from models.pack import load_pack
from models.reasons import Reason
from models.runner import PackRunner
from tests.tiny_pack import FINDING, change_manifest, picture, write_tiny_pack
from tests.unit.models.test_evaluation import SEVERAL


@pytest.fixture
def several(tmp_path: Path) -> Manifest:
    """Three classes that exclude each other, of which one is to be acted on."""
    return load_pack(change_manifest(write_tiny_pack(tmp_path / "several"), **SEVERAL)).manifest


@pytest.mark.parametrize(
    ("label", "truth"),
    [
        ("normal", Truth(0, False)),
        ("healthy", Truth(0, False)),
        (FINDING, Truth(1, True)),
        ("anything else", Truth(1, True)),
    ],
)
def test_labels_of_a_pack_with_one_finding(tiny_runner: PackRunner, label: str, truth: Truth) -> None:
    """What is not normal is the finding."""
    assert truth_of(label, tiny_runner.pack.manifest, "healthy") == truth


@pytest.mark.parametrize(
    ("label", "truth"),
    [
        ("none", Truth(0, False)),
        ("benign", Truth(1, False)),
        ("malignant", Truth(2, True)),
        ("normal", Truth(UNKNOWN_CLASS, False)),
        ("abnormal", Truth(UNKNOWN_CLASS, True)),
    ],
)
def test_labels_of_a_pack_with_several_classes(several: Manifest, label: str, truth: Truth) -> None:
    """Each class by its name; normal and abnormal name none."""
    assert truth_of(label, several) == truth


def test_an_unknown_label_names_what_is_allowed(several: Manifest) -> None:
    """Nobody has to look into the manifest for it."""
    with pytest.raises(UnknownLabel, match=r"'cyst' is none of none, benign, malignant; normal and abnormal"):
        truth_of("cyst", several)


def test_a_finding_that_is_called_normal_keeps_its_class(several: Manifest) -> None:
    """``--normal malignant`` takes away the act, not the class."""
    assert truth_of("malignant", several, "malignant") == Truth(2, False)


def test_an_answer_holds_what_the_decision_rests_on(tiny_runner: PackRunner) -> None:
    """Probability and decision of an image that was read."""
    found = answer(tiny_runner, picture("urgent"))
    assert found.decision is Decision.urgent
    assert found.findings == (found.abnormality,)
    assert found.reason is None


def test_a_refusal_is_an_answer(tiny_runner: PackRunner) -> None:
    """Not one number, and the reason."""
    found = answer(tiny_runner, np.full((64, 64), np.inf, dtype=np.float32))
    assert (found.findings, found.decision, found.reason) == ((), Decision.not_triaged, Reason.unreadable_pixels)
    assert np.isnan(found.abnormality)


def test_an_image_out_of_scope_has_no_probability() -> None:
    """Also when the box would escalate it: the pack said nothing."""
    found = answer_of(ImageResult("1.2", Decision.escalate, Reason.wrong_view))
    assert (found.decision, found.reason) == (Decision.not_triaged, Reason.wrong_view)
