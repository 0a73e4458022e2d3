"""How a pack holds up when its pictures change, and when the same picture arrives in another DICOM form."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.answers import Answer, Truth, answer, answer_of, truth_of
from models.decision import Decision
from models.dicom_forms import DicomForm, dicom_forms, part10
from models.evaluation import evaluate
from models.opening import open_runner
from models.pack import ModelPack
from models.picture_changes import PICTURE_CHANGES, Change, Picture
from models.runner import PackRunner
from models.triage import Triage

Track = Callable[[Sequence[Any], str], Iterable[Any]]


def robustness(
    pack: ModelPack | PackRunner,
    images: Sequence[tuple[Picture, str]],
    *,
    normal: str | None = None,
    seed: int = 0,
    track: Track = lambda steps, _what: steps,
) -> list[dict[str, Any]]:
    """One row per change of ``images``, each ``(rows, columns)`` uint8, brighter = denser, with its label.

    The first row, ``as it is``, is what the others are compared with: ``changed`` is the share of images that get
    another decision than there, ``shift`` the largest difference of the probability that the decision rests on,
    None when no image was read both times. The rows of the level ``picture`` go through the pack alone; those of the
    level ``dicom`` are written as a file and go the whole way from opening it, scope included. ``expected`` of these
    is ``same``, ``close`` (a lossy form) or ``refused``. Noise is drawn anew from ``seed`` for every row.

    ``track`` wraps the steps, one for each row, to show a person how far it has come.

    Raises:
        UnknownLabel: a label says nothing about the pack. BackendUnavailable, PackRejected: as ``open_runner``.
    """
    runner = pack if isinstance(pack, PackRunner) else open_runner(pack).runner
    manifest = runner.pack.manifest
    truths = [truth_of(label, manifest, normal) for _, label in images]
    pictures = [picture for picture, _ in images]
    plain = [answer(runner, picture) for picture in pictures]
    steps: list[tuple[str, Change | DicomForm]] = [*PICTURE_CHANGES.items()]
    steps += [(form.name, form) for form in dicom_forms(manifest.scope)]
    rows = []
    for name, step in track(steps, "robustness"):
        if isinstance(step, DicomForm):
            level, expected, answers = "dicom", step.expected, _as_dicom(runner, pictures, step)
        else:
            level, expected, answers = "picture", "", _changed(runner, pictures, step, seed)
        rows.append({"change": name, "level": level, "expected": expected} | _row(runner, truths, answers, plain))
    return rows


def _changed(runner: PackRunner, pictures: Sequence[Picture], change: Change, seed: int) -> list[Answer]:
    rng = np.random.default_rng(seed)
    return [answer(runner, change(picture, rng)) for picture in pictures]


def _as_dicom(runner: PackRunner, pictures: Sequence[Picture], form: DicomForm) -> list[Answer]:
    triage, answers = Triage([runner]), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instance.dcm"
        for picture in pictures:
            path.write_bytes(part10(form.make(picture, runner.pack.manifest.scope)))
            answers.append(answer_of(triage.image(path)))
    return answers


def _row(
    runner: PackRunner, truths: Sequence[Truth], answers: Sequence[Answer], plain: Sequence[Answer]
) -> dict[str, Any]:
    found = evaluate(runner.pack.manifest, truths, answers)
    shifts = [
        abs(now.abnormality - before.abnormality)
        for now, before in zip(answers, plain, strict=True)
        if Decision.not_triaged not in (now.decision, before.decision)
    ]
    differ = [now.decision is not before.decision for now, before in zip(answers, plain, strict=True)]
    return {
        "n": found.n,
        "read": found.read,
        "refused": found.refused,
        "auc": found.figures.auc,
        "auc_abnormal": found.figures.auc_abnormal,
        "coverage": found.figures.coverage,
        "routine": found.routine,
        "missed_among_routine": found.missed_among_routine,
        "missed_share": found.figures.missed_share,
        "changed": sum(differ) / len(differ) if differ else None,
        "shift": max(shifts) if shifts else None,
    }


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of the robustness report as a Markdown table."""
    head = ("change", "AUC", "coverage", "abnormal among routine", "decided otherwise", "refused")
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * 4 + "---|"]
    for row in rows:
        missed = f"{row['missed_among_routine']} of {row['routine']}"
        cells = [_expected(row), in_words(row["auc"]), _percent(row["coverage"]), missed, _percent(row["changed"])]
        lines.append(f"| {' | '.join([*cells, in_words(row['refused'])])} |")
    return "\n".join(lines)


def _expected(row: dict[str, Any]) -> str:
    return f"{row['change']} (expected: {row['expected']})" if row["expected"] else str(row["change"])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def in_words(value: Any) -> str:
    """A figure, or counts by name, for a person."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(one)}" for name, one in value.items()) or "none"
    return "–" if value is None else str(value)
