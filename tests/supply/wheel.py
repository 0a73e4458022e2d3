"""``make supply``: builds the wheel twice, in folders and time zones of their own; both must be the same.

The time in it is that of the latest commit and its files have one mode, so that everybody who builds this commit with
the locked tools gets these bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Exit status 1 when the two differ."""
    moment = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    built = [_build(moment, zone) for zone in ("UTC", "Pacific/Auckland")]
    digests = {hashlib.sha256(content).hexdigest() for _, content in built}
    if len(digests) != 1:
        sys.stderr.write(f"the wheel differs from build to build: {', '.join(sorted(digests))}\n")
        return 1
    name, content = built[0]
    (ROOT / "dist").mkdir(exist_ok=True)
    (ROOT / "dist" / name).write_bytes(content)
    sys.stdout.write(f"{digests.pop()}  dist/{name}  (the same from two builds)\n")
    return 0


def _build(moment: str, zone: str) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
        for one in filter(None, files.decode().split("\0")):
            (tree / one).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / one, tree / one)
            (tree / one).chmod(0o644)
        out = Path(folder) / "out"
        done = subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(tree)],
            env=os.environ | {"SOURCE_DATE_EPOCH": moment, "TZ": zone},
            umask=0o022,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        (wheel,) = out.iterdir()
        return wheel.name, wheel.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
