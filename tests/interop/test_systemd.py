"""The shipped unit, judged by systemd itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop.peers import program

pytestmark = pytest.mark.interop

UNIT = Path(__file__).parents[2] / "appliance" / "install" / "scanside.service"


def test_systemd_understands_every_line() -> None:
    """No unknown key, no value it cannot read; that the program is not installed here is all it may say."""
    done = subprocess.run(
        [program("systemd-analyze"), "verify", str(UNIT)], capture_output=True, text=True, check=False
    )
    about_us = [line for line in done.stderr.splitlines() if "scanside" in line]
    assert all("/opt/scanside/bin/scanside is not executable" in line for line in about_us), about_us


def test_its_exposure_stays_low() -> None:
    """1.5 of 10 by ``systemd-analyze security``; two is where this fails."""
    command = [program("systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]
    assert "Overall exposure level" in done.stdout


def test_a_unit_with_more_rights_is_told_from_it(tmp_path: Path) -> None:
    """The check can fail."""
    loose = tmp_path / "scanside.service"
    kept = [line for line in UNIT.read_text().splitlines() if not line.startswith(("System", "Protect", "Capab", "No"))]
    loose.write_text("\n".join(kept))
    command = [program("systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager", str(loose)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
