"""The main job as a person runs it: the demonstration, from a command line, until it ends by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.timeout(400)
def test_the_demo_settles_everything_and_loses_nothing() -> None:
    """``scanside demo --once --json`` ends with exit 0 and the account of the contract."""
    command = [sys.executable, "-m", "appliance", "demo", "--once", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=390, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    account = json.loads(ended.stdout.splitlines()[-1])
    assert account["studies"] >= 12
    assert account["routine"] >= 1
    assert account["urgent"] >= 1
    assert account["escalated"] >= 2
    assert account["not_triaged"] >= 1
    assert account["answered"] == account["escalated"]
    assert account["lost"] == account["duplicated"] == 0
