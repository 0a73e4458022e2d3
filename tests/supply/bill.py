"""``make supply``: the bill of materials names every locked package of a box, version and hashes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Exit status 1 when something is missing or too much."""
    bill = json.loads((ROOT / "dist" / "scanside.cdx.json").read_text())
    named = {(one["name"], one["version"]) for one in bill["components"]}
    lines = (ROOT / "requirements" / "edge.txt").read_text()
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lines, re.MULTILINE))
    bare = [one["name"] for one in bill["components"] if not one["externalReferences"][0].get("hashes")]
    if named != locked or bare:
        wrong = sorted(f"{name} {version}" for name, version in named ^ locked)
        sys.stderr.write(f"not in both bill and lock file: {', '.join(wrong)}; without a hash: {', '.join(bare)}\n")
        return 1
    sys.stdout.write(f"dist/scanside.cdx.json names {len(named)} packages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
