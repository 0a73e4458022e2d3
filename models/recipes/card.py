"""The model card, written from the manifest so that the two cannot disagree."""

from __future__ import annotations

from typing import Any

from models.recipes.task import Task
from models.robustness import as_table

_ROWS = {
    "n": "images",
    "auc": "AUC (mean over classes, each against the rest)",
    "fp32_auc": "the same of the FP32 twin",
    "accuracy": "accuracy of the most probable class",
    "auc_abnormal": "AUC of what the decision rests on",
    "sensitivity": "sensitivity at probability 0.5",
    "specificity": "specificity at probability 0.5",
    "ece": "expected calibration error",
    "coverage": "coverage (settled on the box)",
    "selective_error": "error among the settled",
    "routine": "called routine",
    "missed_among_routine": "abnormal among them",
    "urgent": "called urgent",
    "false_among_urgent": "not abnormal among them",
}
_PARTS = (
    "60 % of the groups (patients, or images that look alike) trained the networks, 25 % calibrated them, 15 % tested "
    "them.\nEpoch, architecture, temperature, lines and gate were chosen on the first two parts."
)
_PARTS_GIVEN = (
    "The network came trained. Of the groups of images given beside it (patients, or images that look alike) 60 % set\n"
    "the ranges of its 8-bit numbers, the order in which lines were tested and what the gate knows, 25 % calibrated "
    "it,\n15 % tested it. The figures hold only if none of these images trained it."
)
_LABELS = "The labels are image-level and come from one collection; other scanners were not tried."
_LABELS_GIVEN = "The figures are of the images that were given; other scanners were not tried."


def _cell(figures: dict[str, Any], key: str) -> str:
    value = figures.get(key)
    if value is None:
        return "–"
    interval = figures.get("intervals", {}).get(key)
    return f"{value} ({interval[0]}–{interval[1]})" if interval else str(value)


def _figures(figures: dict[str, Any]) -> str:
    lines = ["| (95 % bootstrap interval) | calibration part | test part |", "|---|---|---|"]
    for key, words in _ROWS.items():
        cells = [_cell(figures[part], key) for part in ("calibration", "test")]
        if cells != ["–", "–"]:
            lines.append(f"| {words} | {cells[0]} | {cells[1]} |")
    for name in figures["test"].get("auc_by_class", {}):
        cells = [str(figures[part]["auc_by_class"].get(name, "–")) for part in ("calibration", "test")]
        lines.append(f"| AUC of {name} against the rest | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _gate(gate: dict[str, float]) -> str:
    lines = [
        "| pictures | refused by the gate alone |",
        "|---|---|",
        f"| test part as it is | {1 - gate['accepted_test']:.2%} |",
    ]
    lines += [
        f"| {name.removeprefix('refused ')} | {share:.1%} |"
        for name, share in gate.items()
        if name.startswith("refused ")
    ]
    return "\n".join(lines)


def _candidates(rows: list[dict[str, Any]]) -> str:
    head = (
        "| network | AUC FP32 | INT8 | 4-bit weights | worst hard version, INT8 | accuracy, INT8 | settles, INT8 "
        "| MB FP32 | INT8 | 4-bit | ms FP32 | ms INT8 | |"
    )
    lines = [head, "|" + "---|" * 13]
    for row in rows:
        sizes = " | ".join(f"{row[f'{kind}_bytes'] / 1e6:.1f}" for kind in ("fp32", "int8", "int4"))
        aucs = " | ".join(str(row[f"{kind}_auc"]) for kind in ("fp32", "int8", "int4", "worst_int8"))
        aucs += f" | {row['int8_accuracy']} | {row['int8_coverage']}"
        chosen = "shipped" if row["chosen"] else ""
        lines.append(f"| {row['architecture']} | {aucs} | {sizes} | {row['fp32_ms']} | {row['int8_ms']} | {chosen} |")
    return "\n".join(lines)


def _scope(scope: dict[str, Any]) -> str:
    parts = [f"modality {' or '.join(scope['modalities'])}"]
    if scope.get("body_parts"):
        parts.append(f"body part {' or '.join(scope['body_parts'])}")
    if scope.get("views"):
        parts.append(f"view {' or '.join(scope['views'])}")
    if scope.get("age_years"):
        parts.append("age {} to {} years".format(*scope["age_years"]))
    parts.append(f"at least {scope['min_side_px']} px on the shorter side")
    return ", ".join(parts)


def _decision(manifest: dict[str, Any]) -> str:
    bound, lines = manifest["calibration"]["bound"], manifest["thresholds"]
    missed, false, confidence = (f"{bound[name]:.0%}" for name in ("missed", "false_alarms", "confidence"))
    prevalence = f"{manifest['calibration']['prevalence']:.0%}"
    words = (
        f"The decision rests on the probability of {' or '.join(manifest['acts_on'])}: `routine` below "
        f"{lines['routine_below']:.4f}, `urgent` from {lines['urgent_from']:.4f}, `escalate` between.\n\n"
        f"Bounds: at most {missed} abnormal among `routine`, wherever at most {prevalence} of all are, and at most\n"
        f"{false} others among `urgent`, wherever at least as many are abnormal; each with {confidence} confidence\n"
        "over the draw of the calibration images (Learn then Test, MAPIE, fixed-sequence testing). The bound of\n"
        "`routine` also holds by count on noisy, blurred, sharpened, re-encoded, coarser, cropped, darker, brighter,\n"
        "mirrored and turned versions of them. Where a bound cannot be shown to hold, the pack escalates."
    )
    if lines["routine_below"] == 0.0:
        words += "\n\n**This pack calls nothing `routine`**: its data are too few to show that the bound would hold."
    if lines["urgent_from"] == 1.0:
        words += "\n\n**This pack calls nothing `urgent`**: its data are too few to show that the bound would hold."
    return words


def _made(task: Task) -> str:
    if task.full is None:
        return "`scanside models new`: a network trained elsewhere, quantised to INT8 with NNCF, calibrated here."
    second = " and its second" if task.seconds else ""
    return (
        f"`python -m models.recipes.{task.name.replace('-', '_')}`, fixed seeds, EfficientNet-Lite (ImageNet weights,\n"
        f"Apache-2.0); the box's network is distilled from the cloud's{second} and quantised to INT8 with NNCF.\n"
        f"About {task.words.minutes} minutes on two cores."
    )


def card_text(manifest: dict[str, Any], task: Task) -> str:
    """Markdown of the card of a pack made by a recipe."""
    figures, words = manifest["figures"], task.words
    compared = figures.get("candidates")
    chosen = (
        f"\n## Which small network\nCompared on the calibration part; latency on two threads of the machine that built "
        f"the pack.\n\n{_candidates(compared)}\n"
        if compared
        else ""
    )
    rows = figures.get("robustness")
    withstands = (
        f"\n## What it withstands\nOn {rows[0]['n']} images of the test part.\n\n{as_table(rows)}\n" if rows else ""
    )
    limits = "".join(f"- {limit}\n" for limit in words.limits)
    return f"""# {manifest["name"]} {manifest["version"]}

**{words.intended_use}** It has no clearance of any kind.

## What it reads
{_scope(manifest["scope"])}. Everything else is refused with a reason: first by the header, then by
the gate, which looks at the picture.

## Population and data
{f"{words.population} {words.data}".strip() or "Not described."}

{_PARTS if task.full else _PARTS_GIVEN} Precision of this pack:
{manifest["precision"].upper()}{"" if manifest["role"] == "box" else " arithmetic, weights stored in half precision"}.

## Figures
{_figures(figures)}

The AUCs are over the images the gate let through; the rest count as not settled.

## Decision
{_decision(manifest)}

## Gate
{_gate(figures["gate"])}
{withstands}
{chosen}
## Known failures and limits
{limits}- {_LABELS if task.full else _LABELS_GIVEN}
- {words.heat_map}

## How it was made
{_made(task)}
"""
