"""How good a pack is on labelled images: one definition for the command line, for the model card and for robustness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.answers import UNKNOWN_CLASS, Answer, Truth
from models.decision import Decision
from models.manifest import Manifest
from models.measures import Mask, Numbers, ece, ranked_auc, ranks, share, upper_limit

CUT = 0.5
ROUNDS = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures that have an interval; None where one is not defined, for example an AUC with one class.

    ``auc`` is the mean over the pack's classes, the normal one included, of the AUC of each against the rest, and
    ``accuracy`` the share of images whose most probable class is theirs. ``auc_abnormal``, ``sensitivity``,
    ``specificity`` and ``ece`` are about the findings the pack acts on, with a probability of 0.5 as the cut. Where
    labels say no more than normal or abnormal, ``auc`` and ``accuracy`` are about that as well. All these leave out
    images that were not read. ``coverage`` is the share of all images that was decided (routine or urgent),
    ``selective_error`` the share of wrong ones among the decided, ``missed_share`` that of abnormal ones among
    routine, ``false_share`` that of others among urgent.
    """

    auc: float | None
    accuracy: float | None
    auc_abnormal: float | None
    sensitivity: float | None
    specificity: float | None
    coverage: float | None
    selective_error: float | None
    ece: float | None
    missed_share: float | None
    false_share: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of ``scanside evaluate``.

    ``n`` counts the labelled images, ``read`` those the network gave an answer on, ``refused`` the others by reason.
    ``routine``, ``urgent`` and ``escalate`` count decisions, ``missed_among_routine`` and ``false_among_urgent`` the
    wrong ones. ``intervals`` are bootstrap intervals, ``at_most`` the exact one-sided limits of the two shares of
    wrong decisions, which also says something when none was seen. ``fp32_auc`` is what the manifest says of the
    unquantised network.
    """

    n: int
    read: int
    abnormal: int
    figures: Figures
    auc_by_class: dict[str, float | None]
    refused: dict[str, int]
    routine: int
    missed_among_routine: int
    urgent: int
    false_among_urgent: int
    escalate: int
    at_most: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    fp32_auc: float | None = None


class Sample:
    """``n`` answers beside the truth, in the order in which measures need them.

    Raises:
        ValueError: there are not as many answers as truths, or an answer does not fit the pack's findings.
    """

    def __init__(self, manifest: Manifest, truths: Sequence[Truth], answers: Sequence[Answer]) -> None:
        if len(truths) != len(answers):
            raise ValueError(f"{len(truths)} labels but {len(answers)} answers")
        self.classes = (manifest.normal, *manifest.findings)
        self.abnormal: Mask = np.array([truth.abnormal for truth in truths], dtype=bool)
        self.abnormality: Numbers = np.array([one.abnormality for one in answers], dtype=np.float64)
        self.read: Mask = np.isfinite(self.abnormality)
        self.routine = _decided(answers, Decision.routine)
        self.urgent = _decided(answers, Decision.urgent)
        self.reasons = Counter(one.reason.value for one in answers if one.reason is not None)
        self.class_index: NDArray[np.int64] = np.array([truth.class_index for truth in truths], dtype=np.int64)
        self.probabilities = _class_probabilities(answers, manifest)
        self.classes_known = bool((self.class_index[self.read] != UNKNOWN_CLASS).all())
        self._places = [ranks(column) for column in self.probabilities[self.read].T]
        self._abnormality_places = ranks(self.abnormality[self.read])
        self._most_probable_right = _most_probable(self.probabilities[self.read]) == self.class_index[self.read]

    def __len__(self) -> int:
        return len(self.abnormal)

    def auc_by_class(self, weights: Numbers) -> dict[str, float | None]:
        """The AUC of each class against all others; empty where labels do not name the classes."""
        if not self.classes_known:
            return {}
        known, heavy = self.class_index[self.read], weights[self.read]
        found = [ranked_auc(known == index, places, heavy) for index, places in enumerate(self._places)]
        return dict(zip(self.classes, found, strict=True))

    def figures(self, weights: Numbers) -> Figures:
        """All figures, image ``i`` counting ``weights[i]`` times."""
        heavy, ill = weights[self.read], self.abnormal[self.read]
        score = self.abnormality[self.read]
        right = (score >= CUT) == ill
        auc_abnormal = ranked_auc(ill, self._abnormality_places, heavy)
        decided = self.routine | self.urgent
        wrong = (self.routine & self.abnormal) | (self.urgent & ~self.abnormal)
        return Figures(
            auc=_mean(self.auc_by_class(weights)) if self.classes_known else auc_abnormal,
            accuracy=share(self._most_probable_right if self.classes_known else right, heavy),
            auc_abnormal=auc_abnormal,
            sensitivity=share(right[ill], heavy[ill]),
            specificity=share(right[~ill], heavy[~ill]),
            coverage=share(decided, weights),
            selective_error=share(wrong[decided], weights[decided]),
            ece=ece(ill, score, heavy),
            missed_share=share(self.abnormal[self.routine], weights[self.routine]),
            false_share=share(~self.abnormal[self.urgent], weights[self.urgent]),
        )


def evaluate(
    manifest: Manifest,
    truths: Sequence[Truth],
    answers: Sequence[Answer],
    *,
    groups: Sequence[str] | None = None,
    rng: np.random.Generator | None = None,
    rounds: int = ROUNDS,
) -> Evaluation:
    """All figures of a pack over ``n`` images; intervals when a generator is given.

    ``groups`` names what belongs together (a patient): whole groups are then drawn for the intervals.

    Raises:
        ValueError: truths, answers and groups are not equally many, or an answer does not fit the pack.
    """
    sample = Sample(manifest, truths, answers)
    if groups is not None and len(groups) != len(sample):
        raise ValueError(f"{len(sample)} images but {len(groups)} groups")
    missed, false = int(sample.abnormal[sample.routine].sum()), int((~sample.abnormal[sample.urgent]).sum())
    routine, urgent, read = int(sample.routine.sum()), int(sample.urgent.sum()), int(sample.read.sum())
    once = np.ones(len(sample))
    return Evaluation(
        n=len(sample),
        read=read,
        abnormal=int(sample.abnormal.sum()),
        figures=sample.figures(once),
        auc_by_class=sample.auc_by_class(once),
        refused=dict(sorted(sample.reasons.items())),
        routine=routine,
        missed_among_routine=missed,
        urgent=urgent,
        false_among_urgent=false,
        escalate=read - routine - urgent,
        at_most={"missed_share": upper_limit(missed, routine), "false_share": upper_limit(false, urgent)},
        intervals={} if rng is None else bootstrap_intervals(sample, groups, rng, rounds),
        fp32_auc=_stated_fp32_auc(manifest),
    )


def flat(found: Evaluation) -> dict[str, Any]:
    """All of an evaluation side by side with four digits, as ``scanside evaluate --json`` prints it."""
    parts = asdict(found)
    figures = parts.pop("figures")
    rounded: dict[str, Any] = _rounded({"n": parts.pop("n")} | figures | parts)
    return rounded


def bootstrap_intervals(
    sample: Sample, groups: Sequence[str] | None, rng: np.random.Generator, rounds: int = ROUNDS, level: float = LEVEL
) -> dict[str, tuple[float, float]]:
    """The percentile interval of each figure over images, or whole groups, drawn again with replacement.

    A figure that is not defined in any round has none.
    """
    if len(sample) == 0:
        return {}
    cluster = np.arange(len(sample)) if groups is None else np.unique(np.array(groups), return_inverse=True)[1]
    count = int(cluster.max()) + 1
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        figures = sample.figures(drawn[cluster].astype(np.float64))
        for name in Figures.__dataclass_fields__:
            if (value := getattr(figures, name)) is not None:
                found.setdefault(name, []).append(value)
    edges = [(1 - level) / 2, (1 + level) / 2]
    return {name: (float(low), float(high)) for name, (low, high) in _quantiles(found, edges).items()}


def _stated_fp32_auc(manifest: Manifest) -> float | None:
    """Figures are whatever the maker of the pack wrote down; anything but a number is none."""
    tested = manifest.figures.get("test")
    stated = tested.get("fp32_auc") if isinstance(tested, dict) else None
    return float(stated) if isinstance(stated, int | float) else None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def _quantiles(found: dict[str, list[float]], edges: list[float]) -> dict[str, NDArray[np.float64]]:
    return {name: np.quantile(values, edges) for name, values in found.items()}


def _class_probabilities(answers: Sequence[Answer], manifest: Manifest) -> Numbers:
    """``(n, 1 + findings)``: the normal class in front, as what the findings leave; NaN for what was not read."""
    rows = np.full((len(answers), 1 + len(manifest.findings)), np.nan)
    for row, one in zip(rows, answers, strict=True):
        if one.findings:
            if len(one.findings) != len(manifest.findings):
                raise ValueError(f"{len(one.findings)} probabilities for {len(manifest.findings)} findings")
            row[1:] = one.findings
            present = sum(one.findings) if manifest.activation == "softmax" else max(one.findings)
            row[0] = 1.0 - present
    return rows


def _most_probable(probabilities: Numbers) -> NDArray[np.int64]:
    """``(n, k)`` → ``(n,)``; of equal probabilities the later class counts, so that 0.5 is a finding."""
    last = probabilities.shape[1] - 1
    chosen: NDArray[np.int64] = last - np.argmax(probabilities[:, ::-1], axis=1)
    return chosen


def _decided(answers: Sequence[Answer], as_what: Decision) -> Mask:
    return np.array([one.decision is as_what for one in answers], dtype=bool)


def _mean(by_class: dict[str, float | None]) -> float | None:
    """Over the classes that have an AUC; None when none has."""
    values = [value for value in by_class.values() if value is not None]
    return float(np.mean(values)) if values else None
