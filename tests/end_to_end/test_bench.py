"""The benchmark runs one round in every test run, so that it cannot rot."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.timeout(300)
def test_one_round_of_the_benchmark() -> None:
    """Every figure of the table is there, positive, and printed as JSON; no bound on speed."""
    command = [sys.executable, "-m", "appliance", "bench", "--rounds", "1", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["ingest"]["instances_per_s"] > 0
    assert figures["triage"]["total_ms_p95"] >= figures["triage"]["total_ms_p50"] > 0
    assert figures["uplink"]["payloads_per_s"] > 0
    devices = {row["device"] for row in figures["inference"]}
    assert {"openvino:CPU", "onnxruntime:CPU"} <= devices
    assert {row["side_px"] for row in figures["reading"]} == {256, 1024, 2048}
    assert all(row["reading_ms"] > 0 and row["network_ms"] > 0 for row in figures["reading"])
    assert all(row["int8_ms"] > 0 and row["fp32_ms"] > 0 for row in figures["inference"])
