"""``scanside deidentify IN OUT``: the very copies that would leave the box, with every element's fate."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track

from appliance.home import site_key_of
from appliance.privacy.deidentify import deidentify_path
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.fates import ElementFate
from appliance.privacy.policy import policy_of
from appliance.settings import Settings


def deidentify_command(source: Path, target: Path, settings: Settings, as_json: bool, table: bool) -> bool:
    """De-identify a file, or every file of a folder; False when any was refused."""
    if not source.exists():
        sys.stderr.write(f"{source}: no such file or folder\n")
        return False
    pairs = _pairs(source, target)
    key, policy = site_key_of(settings), policy_of(settings.deidentification)
    good = True
    bar = Console(stderr=True)
    for before, after in track(pairs, description="de-identifying", console=bar, disable=len(pairs) < 4):
        try:
            after.parent.mkdir(parents=True, exist_ok=True)
            _tell(before, after, deidentify_path(before, after, key, policy), as_json, table)
        except CannotDeidentify as refused:
            good = False
            row = {"path": str(before), "refused": refused.why, "detail": refused.detail}
            sys.stdout.write((json.dumps(row) if as_json else f"REFUSED {before}: {refused}") + "\n")
    return good


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    if source.is_file():
        return [(source, target / "0000.dcm" if target.is_dir() else target)]
    files = sorted(path for path in source.rglob("*") if path.is_file())
    # Names of files often carry the patient's, so the copies are numbered.
    return [(path, target / f"{number:04}.dcm") for number, path in enumerate(files)]


def _tell(before: Path, after: Path, fates: list[ElementFate], as_json: bool, table: bool) -> None:
    if as_json:
        row = {"path": str(before), "written": str(after), "elements": [asdict(fate) for fate in fates]}
        sys.stdout.write(json.dumps(row) + "\n")
        return
    counts = Counter(str(fate.fate) for fate in fates)
    words = ", ".join(f"{count} {fate}" for fate, count in sorted(counts.items()))
    sys.stdout.write(f"{before} → {after}: {words}\n")
    if table:
        sys.stdout.writelines(f"  {one.fate:9} {one.annex_e:6} {one.path} {one.keyword}\n" for one in fates)
