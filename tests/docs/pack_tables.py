"""Tables of the shipped packs, from their manifests: what they read, how good they are, what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from models.registry import SHIPPED
from models.robustness import as_table
from tests.docs.markdown import table

Manifest = dict[str, Any]


def shipped() -> list[Manifest]:
    """The manifests of all shipped packs, by name, each with ``size_bytes`` of its folder."""
    found = []
    for path in sorted(SHIPPED.glob("*/manifest.json")):
        size = sum(file.stat().st_size for file in path.parent.iterdir())
        found.append(json.loads(path.read_text(encoding="utf-8")) | {"size_bytes": size})
    return found


def figures() -> str:
    """Every pack on its test part."""
    head = ("Pack", "Images", "AUC (95 %)", "FP32 twin", "Accuracy (95 %)", "Coverage", "Error among settled",
            "Abnormal among routine", "Others among urgent", "MB")  # fmt: skip
    return table(head, (_figures(one) for one in shipped()))


def _figures(one: Manifest) -> tuple[str, ...]:
    test = one["figures"]["test"]
    link = f"[`{one['name']}`](../../models/packs/{one['name']}/card.md)"
    error = test.get("selective_error")
    return (
        link,
        str(test["n"]),
        _with_interval(test, "auc"),
        str(test.get("fp32_auc") or "–"),
        _with_interval(test, "accuracy"),
        f"{test['coverage']:.3f}",
        "–" if error is None else f"{error:.3f}",
        f"{test['missed_among_routine']} of {test['routine']}",
        f"{test['false_among_urgent']} of {test['urgent']}",
        f"{one['size_bytes'] / 1e6:.1f}",
    )


def _with_interval(test: dict[str, Any], name: str) -> str:
    low, high = test["intervals"][name]
    return f"{test[name]:.4f} ({low:.4f}–{high:.4f})"


def heads() -> str:
    """The three ways a picture can be read, on the same test part: by the box, from its features, by the full model."""
    packs = {one["name"]: one for one in shipped()}
    head = ("Box pack", "Test images", "Box alone: AUC (95 %)", "Features alone", "Full model", "Bytes sent")
    rows = []
    for name, one in packs.items():
        if alone := one["figures"].get("head"):
            read = one["figures"]["test"], alone, packs[f"{name}-full"]["figures"]["test"]
            aucs = (_with_interval(each, "auc_abnormal") for each in read)
            rows.append((f"`{name}`", str(alone["n"]), *aucs, f"{alone['bytes_for_each_picture']:,}"))
    return table(head, iter(rows))


def candidates() -> str:
    """The small networks that competed for the box, on the calibration part."""
    head = ("Pack", "Network", "AUC FP32", "INT8", "4-bit weights", "Worst hard version, INT8", "Accuracy, INT8",
            "Settles, INT8", "MB FP32", "INT8", "4-bit", "ms FP32", "ms INT8", "")  # fmt: skip
    return table(head, _candidates())


def _candidates() -> Iterator[tuple[str, ...]]:
    for one in shipped():
        for row in one["figures"].get("candidates", []):
            aucs = (f"{row[f'{kind}_auc']:.4f}" for kind in ("fp32", "int8", "int4"))
            sizes = (f"{row[f'{kind}_bytes'] / 1e6:.1f}" for kind in ("fp32", "int8", "int4"))
            times = (f"{row['fp32_ms']:.1f}", f"{row['int8_ms']:.1f}")
            shipped_one = "shipped" if row["chosen"] else ""
            judged = (
                f"{row['worst_int8_auc']:.4f}",
                *(f"{row[f'int8_{kind}']:.3f}" for kind in ("accuracy", "coverage")),
            )
            yield (f"`{one['name']}`", f"`{row['architecture']}`", *aucs, *judged, *sizes, *times, shipped_one)


def gates() -> str:
    """What each box pack's gate does with pictures of the test part and with pictures it has to refuse."""
    packs = [one for one in shipped() if "gate" in one["figures"] and one["role"] == "box"]
    kinds = list(dict.fromkeys(kind for one in packs for kind in one["figures"]["gate"]))
    rows = ((_kind(kind), *(_share(one["figures"]["gate"].get(kind)) for one in packs)) for kind in kinds)
    return table(("Pictures", *(f"`{one['name']}`" for one in packs)), rows)


def _kind(kind: str) -> str:
    return "accepted: test part as it is" if kind == "accepted_test" else kind.replace("refused ", "refused: ", 1)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def robustness_of(name: str) -> Callable[[], str]:
    """The robustness table of one pack."""

    def made() -> str:
        [one] = [one for one in shipped() if one["name"] == name]
        return as_table(one["figures"]["robustness"])

    return made
