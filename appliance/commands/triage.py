"""``scanside triage``: read images without a daemon, by the very same code the daemon uses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from appliance.triage.readers import open_readers
from models.decision import Decision, ImageResult
from models.errors import CannotTriage
from models.pictures import attributes_of, dataset_from_picture, is_picture
from models.reasons import Reason
from models.triage import Triage


def read_paths(paths: list[Path], attributes: str | None, settings: Settings, as_json: bool) -> bool:
    """Read every file; prints one line each. Returns False when a named path does not exist."""
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        sys.stderr.write(f"{path}: no such file or folder\n")
    files = list(_files(path for path in paths if path.exists()))
    triage = open_readers(settings, None).triage
    header = _attributes(attributes)
    bar = Console(stderr=True)
    shown = track(files, description="reading", console=bar, disable=len(files) < 4 or not bar.is_terminal)
    for path in shown:
        row = as_row(path, read_one(triage, path, header))
        sys.stdout.write((json.dumps(row, ensure_ascii=False) if as_json else _line(row)) + "\n")
        sys.stdout.flush()
    if header is None and (pictures := sum(is_picture(path) for path in files)):
        sys.stderr.write(
            f"{pictures} plain pictures not read: say what they show with --as, see scanside triage --help\n"
        )
    return not missing


def read_one(triage: Triage, path: Path, header: dict[str, str] | None) -> ImageResult:
    """One DICOM file, or one plain picture under the header the caller gives it."""
    if header is not None and is_picture(path):
        try:
            return triage.image(dataset_from_picture(path, header))
        except CannotTriage as cannot:
            return ImageResult("", Decision.not_triaged, cannot.reason, cannot.detail)
        except ValueError as error:
            raise ConfigurationInvalid("--as", (f"{error}; correct that value",)) from None
    try:
        return triage.image(path)
    except OSError as error:
        return ImageResult("", Decision.not_triaged, Reason.unreadable_pixels, f"the disk fails: {error.strerror}")


def as_row(path: Path, result: ImageResult) -> dict[str, Any]:
    """The line of the command-line contract."""
    pack, latency = result.pack, result.latency_ms
    return {
        "path": str(path),
        "sop_instance_uid": result.sop_instance_uid,
        "pack": f"{pack.name} {pack.version}" if pack else None,
        "decision": result.decision.value,
        "reason": result.reason.value if result.reason else None,
        "findings": [{"name": f.name, "probability": round(f.probability, 4)} for f in result.findings],
        "device": result.device,
        "latency_ms": {
            "decode": round(latency.decode, 2),
            "infer": round(latency.infer, 2),
            "total": round(latency.total, 2),
        },
    }


def _line(row: dict[str, Any]) -> str:
    said = ", ".join(f"{f['name']} {f['probability']:.2f}" for f in row["findings"]) or row["reason"] or ""
    return f"{row['decision']:<12} {said:<34} {row['path']}"


def _files(paths: Iterator[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file())
        else:
            yield path


def _attributes(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    try:
        return attributes_of(text)
    except ValueError as error:
        raise ConfigurationInvalid("--as", (f"{error}; write Keyword=value,Keyword=value",)) from None
