"""Nobody is told what runs here: neither backend reports to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.registry import SHIPPED

OPENED = """
from pathlib import Path
from sys import argv
from hardware.onnxruntime_session import open_onnxruntime
from hardware.openvino_session import open_openvino
open_onnxruntime(Path(argv[1]))
open_openvino(Path(argv[1]), "CPU")
"""
#: As it would be without our doing.
AS_THEY_COME = ("import onnxruntime", "import openvino")


@pytest.mark.parametrize(("program", "reports"), [(OPENED, False), *((one, True) for one in AS_THEY_COME)])
def test_a_session_is_opened_in_silence(tmp_path: Path, program: str, reports: bool) -> None:
    """Both begin a report with a file of a number for this machine; where there is none, they have begun none."""
    network, home = next(SHIPPED.glob("*/network.onnx")), tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(home))
    command = [sys.executable, "-c", program, str(network)]
    subprocess.run(command, env=environment | places, check=True, timeout=60)
    assert bool([path for path in home.rglob("*") if path.is_file()]) is reports
