"""A head learns what the full network says from the box's features, and is chosen on the calibration part."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibrated import sigmoid
from models.head import Head
from models.preprocessing import InputSpec
from models.recipes.head_fitting import Lesson, fit_head
from models.recipes.scoring import macro_auc
from models.recipes.task import Task, Words

FEATURES = 40
TASK = Task(
    name="told-apart",
    version="1.0.0",
    classes=("normal", "other"),
    activation="sigmoid",
    acts_on=("other",),
    spec=InputSpec(),
    scope={},
    words=Words("tests only", "none", "none", "none", ()),
)


def pictures(count: int, seed: int) -> Lesson:
    """Features of which a handful tell the truth, and a teacher that is right about it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    features = rng.normal(0.0, 1.0, (count, FEATURES)).astype(np.float32)
    features[:, :5] += 1.5 * labels[:, None]
    taught = np.where(labels, 4.0, -4.0)[:, None] + rng.normal(0.0, 1.0, (count, 1))
    return Lesson(features, taught, labels)


@pytest.fixture(scope="module")
def head() -> Head:
    """Fitted on 400 pictures, chosen on 200 others."""
    held = pictures(200, 1)
    return fit_head(pictures(400, 0), held.features, held.labels, TASK)[0]


def test_it_tells_new_pictures_apart(head: Head) -> None:
    """From one byte for each feature."""
    new = pictures(400, 2)
    chances = sigmoid(head.logits(head.reduced(new.features)))
    assert macro_auc(new.labels, chances) > 0.95


def test_a_byte_is_enough(head: Head) -> None:
    """The logits of the bytes are those of the features themselves to within a small part of their spread."""
    features = pictures(400, 3).features
    exact = ((features - head.low) / head.step) @ head.weight + head.offset
    lost = np.abs(head.logits(head.reduced(features)) - exact)
    assert np.median(lost) < 0.01 * exact.std()


def test_the_range_of_a_byte_covers_what_was_seen(head: Head) -> None:
    """Few features are cut at an end of their range."""
    reduced = head.reduced(pictures(400, 4).features)
    assert np.isin(reduced, [0, 255]).mean() < 0.01
