"""Killed at every step that touches the disk: what is in use is the old or the new, and the next command repairs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pack_archives import archive

#: Runs a command again and again, in a process of its own each time, which an audit hook kills with SIGKILL just
#: before its n-th event on a file of the home, until it comes to its end; prints what is found after each kill.
KILLING = """
import fcntl, json, os, shutil, signal, sys
from pathlib import Path
from appliance import packs
from appliance.pack_store import activate, install, rollback
from appliance.settings import Settings
import models.opening
from hardware.choice import Candidate

command, start, home, shipped, archive = sys.argv[1], *map(Path, sys.argv[2:])
packs.SHIPPED = shipped
models.opening.candidates = lambda: [Candidate("onnxruntime", "CPU")]
settings = Settings.model_validate({"home": home, "limits": {"free_disk_floor_bytes": 0}})
run = {"install": lambda: install(archive, settings), "activate": lambda: activate("tiny", settings),
       "rollback": lambda: rollback("tiny", settings)}[command]
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "fcntl.flock", "os.listdir"}

def killed_at(step):  # the network runs in children only: this process, which forks them, stays without threads
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == signal.SIGKILL
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event in EVENTS and (event == "fcntl.flock" or str(home / "packs") in str(arguments[0])):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    run()
    os._exit(0)

def state():
    registry = packs.registry_of(settings)
    return [pack.manifest.version for pack in registry.packs("box")], [str(one) for one in registry.rejected]

step, found = 0, []
while True:
    step += 1
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(start, home, symlinks=True)
    killed = killed_at(step)
    after = state()
    if killed and (command != "rollback" or after[0] == ["2.0.0"]):
        if (home / "packs" / ".lock").exists():
            with (home / "packs" / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of the dead one's soon, not at once
        killed_at(0)
    rest = sorted(one.name for one in (home / "packs").iterdir() if one.name.startswith((".in", ".da")))
    found.append({"killed": killed, "after": after, "repaired": state(), "rest": rest})
    if not killed:
        break
print(json.dumps(found))
"""

PREPARE = """
import sys
from pathlib import Path
from appliance import packs
from appliance.pack_store import activate, install
from appliance.settings import Settings
home, shipped = Path(sys.argv[1]), Path(sys.argv[2])
packs.SHIPPED = shipped
settings = Settings.model_validate({"home": home, "limits": {"free_disk_floor_bytes": 0}})
home.mkdir()
for path in sys.argv[3:]:
    install(Path(path), settings)
    activate("tiny", settings)
"""


def run(script: str, *arguments: object) -> str:
    """Run a script in a process of its own and give what it printed."""
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("command", "in_use_before", "in_use_after", "least_steps"),
    [
        ("install", "1.0.0", "1.0.0", 15),
        ("install again", "1.0.0", "2.0.0", 15),
        ("activate", "1.0.0", "2.0.0", 5),
        ("rollback", "2.0.0", "1.0.0", 5),
    ],
)
def test_killed_at_every_step(
    tmp_path: Path, tiny_packs: Path, command: str, in_use_before: str, in_use_after: str, least_steps: int
) -> None:
    """Nothing in between is ever in use, and doing it again does it, whatever was left lying about."""
    path, start = archive(tmp_path / "two.scanpack", "2.0.0"), tmp_path / "start"
    run(PREPARE, start, tiny_packs, *([path] if command != "install" else []))
    if command == "install again":  # over one that is damaged and in use, so that for now the shipped one reads
        next(start.glob("packs/tiny/*/network.onnx")).write_bytes(b"?")
    if command == "activate":
        (start / "packs" / "active.json").unlink()
    found = json.loads(run(KILLING, command.split()[0], start, tmp_path / "home", tiny_packs, path))
    assert len(found) > least_steps
    assert [one["killed"] for one in found] == [True] * (len(found) - 1) + [False]
    for one in found:
        versions, rejected = one["after"]
        assert versions in ([in_use_before], [in_use_after])
        assert bool(rejected) == (command == "install again" and versions == ["1.0.0"])
    assert all(one["repaired"] == [[in_use_after], []] for one in found)
    assert all(one["rest"] == [] for one in found)
