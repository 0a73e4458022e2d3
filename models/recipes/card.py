"""The model card, written from the manifest so that the two cannot disagree."""

from __future__ import annotations

from typing import Any

_ROWS = {
    "n": "images",
    "auc": "AUC",
    "auc_95": "95 % interval of AUC (bootstrap)",
    "fp32_auc": "AUC of the FP32 twin",
    "accuracy": "accuracy at probability 0.5",
    "sensitivity": "sensitivity at probability 0.5",
    "specificity": "specificity at probability 0.5",
    "coverage": "coverage (settled on the box)",
    "selective_error": "error among the settled",
    "routine": "called routine",
    "missed_among_routine": "abnormal among them",
    "urgent": "called urgent",
    "false_among_urgent": "normal among them",
}


def _table(figures: dict[str, Any]) -> str:
    lines = ["| | calibration part | test part |", "|---|---|---|"]
    for key, words in _ROWS.items():
        cells = [str(figures[part].get(key, "–")) for part in ("calibration", "test")]
        if cells != ["–", "–"]:
            lines.append(f"| {words} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def card_text(manifest: dict[str, Any]) -> str:
    """Markdown of the card of a pack made by this recipe."""
    scope, bound = manifest["scope"], manifest["calibration"]["bound"]
    youngest, oldest = scope["age_years"]
    return f"""# {manifest["name"]} {manifest["version"]}

**{manifest["intended_use"]}** It has no clearance of any kind.

## What it reads
Modality {" or ".join(scope["modalities"])}, body part {", ".join(scope["body_parts"])},
view {", ".join(scope["views"])},
age {youngest} to {oldest} years, at least {scope["min_side_px"]} px on the shorter side.
Everything else is refused with a reason.

## Population and data
Radiographs of children of 1 to 5 years from one hospital (Guangzhou Women and Children's Medical Center), published
by Kermany, Zhang and Goldbaum (2018, Mendeley Data, doi:10.17632/rscbjbr9sj.3, CC BY 4.0; Cell 172:1122). Only their
training part was used, reduced to 224 px, and split by patient into 70 % training, 15 % calibration and 15 % test. The
publishers' own test part was not looked at. Precision of this pack: {manifest["precision"].upper()}.

## Figures
{_table(manifest["figures"])}

Three of four images in these parts are abnormal, far more than in a clinic. The test part comes from the same hospital,
the same years and the same file history as the training part, so these figures are optimistic: others have seen
networks lose ten points of AUC on the publishers' test part.

## Decision
Thresholds were chosen on the calibration part: at most {bound["share"]:.0%} abnormal among `routine` with
{bound["confidence"]:.0%} confidence (Clopper–Pearson), and the same share by count on blurred, sharpened, re-encoded,
coarser, cropped, darker and brighter versions of it; likewise normal among `urgent`. What lies between is `escalate`.

## Known failures and limits
- The labels are image-level and come from one hospital; other scanners and other ages were not tried.
- Sharpness, JPEG history and brightness differ between the classes in the source. The input is low-passed and training
  varied all of them, which lessens that shortcut and does not prove it gone.
- Lateral views, adults, foreign bodies, effusions, pneumothorax, tuberculosis and whatever else is not pneumonia were
  not studied.
- The heat map is the sum the score is made of, at 32 px resolution; it shows where, not why.

## How it was made
`python -m models.recipes.cxr_pneumonia_paediatric`, fixed seeds, EfficientNet-Lite (ImageNet weights, Apache-2.0); the
box's network is distilled from the cloud's and quantised to INT8 with NNCF.
"""
