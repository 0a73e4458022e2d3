"""``scanside bench``: what this machine does, as a table on standard error and as JSON on standard output.

Figures of one run are comparable with each other; compare machines by ratios, not by single times.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.uid import generate_uid
from rich.console import Console
from rich.progress import track
from rich.table import Table

from appliance.commands.bench_reading import reading_times
from appliance.demo.scanner import send_all
from appliance.demo.stage import free_port, listening
from appliance.demo.studies import DemoImage, synthetic_studies
from appliance.packs import registry_of
from appliance.settings import Settings
from appliance.triage.readers import open_readers
from hardware.choice import candidates, measure, open_candidate
from hardware.errors import BackendUnavailable
from models.golden import load_golden
from models.pack import ModelPack
from models.unquantised import unquantised
from store_forward.cloud.serve import run_endpoint
from store_forward.cloud.settings import CloudSettings
from store_forward.spool import Spool
from store_forward.uplink import CloudLink

console = Console(stderr=True)
_INSTANCES, _PAYLOADS, _PAYLOAD_BYTES = 60, 20, 1_000_000


def measure_all(settings: Settings, rounds: int, as_json: bool) -> None:
    """Take every figure ``rounds`` times and print the medians."""
    with tempfile.TemporaryDirectory(prefix="scanside-bench-") as scratch:
        folder = Path(scratch)
        (folder / "images").mkdir()
        images = list(synthetic_studies(folder / "images"))
        figures = {
            "ingest": _ingest(folder, images, rounds),
            "triage": _triage(settings, images, rounds),
            "inference": list(_inference(settings, folder, rounds)),
            "reading": list(reading_times(registry_of(settings).packs("box"), 15 * rounds)),
            "uplink": _uplink(folder, rounds),
        }
    _show(figures)
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")


def _ingest(folder: Path, images: list[DemoImage], rounds: int) -> dict[str, Any]:
    """Instances per second over one association, each fsynced and committed before its acknowledgement."""
    port = free_port()
    config = folder / "ingest.toml"
    config.write_text(f'home = "{folder / "ingest"}"\n[dicom]\nport = {port}\n', encoding="utf-8")
    command = [sys.executable, "-m", "appliance", "run", "receiver", "--config", str(config)]
    receiver = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        while not listening(port):
            time.sleep(0.05)
            if receiver.poll() is not None:
                raise SystemExit("the receiver did not start; try scanside check")
        rates = [_ingest_once(folder, images, port) for _ in track(range(rounds), "ingest", console=console)]
    finally:
        receiver.terminate()
        receiver.wait()
    instance_bytes = images[0].path.stat().st_size
    per_second = float(np.median(rates))
    return {
        "instances": _INSTANCES,
        "instance_bytes": instance_bytes,
        "instances_per_s": round(per_second, 1),
        "mb_per_s": round(per_second * instance_bytes / 1e6, 1),
    }


def _ingest_once(folder: Path, images: list[DemoImage], port: int) -> float:
    copies = list(_copies(folder, images[0]))
    started = time.perf_counter()
    statuses = list(send_all(copies, "127.0.0.1", port, "SCANSIDE"))
    seconds = time.perf_counter() - started
    if any(statuses):
        raise SystemExit("the receiver refused an instance; try scanside check")
    return len(copies) / seconds


def _copies(folder: Path, image: DemoImage) -> Iterator[Path]:
    """The same picture under new instance UIDs, so that nothing is taken for a resend."""
    dataset = dcmread(image.path)
    for number in range(_INSTANCES):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        path = folder / f"copy-{number}.dcm"
        dcmwrite(path, dataset)
        yield path


def _triage(settings: Settings, images: list[DemoImage], rounds: int) -> dict[str, Any]:
    """Latency from file to decision on the chosen device."""
    triage = open_readers(settings, None).triage
    results = [triage.image(image.path) for _ in track(range(rounds), "triage", console=console) for image in images]
    read = [result for result in results if result.pack is not None]
    if not read:
        raise SystemExit("no pack read any image; try scanside models selftest")
    times = {name: [getattr(result.latency_ms, name) for result in read] for name in ("decode", "infer", "total")}
    quantiles = {name: np.percentile(values, [50, 95]) for name, values in times.items()}
    figures: dict[str, Any] = {"device": read[0].device, "images": len(read)}
    for name, (median, p95) in quantiles.items():
        figures |= {f"{name}_ms_p50": round(float(median), 2), f"{name}_ms_p95": round(float(p95), 2)}
    return figures


def _inference(settings: Settings, folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Each box pack on each device, INT8 as shipped against the same network in FP32."""
    for pack in registry_of(settings).packs("box"):
        twin = folder / f"{pack.manifest.name}-fp32.onnx"
        unquantised(pack.network, twin)
        for candidate in track(candidates(), f"inference {pack.manifest.name}", console=console):
            times = {
                precision: _median_ms(pack, candidate, network, rounds)
                for precision, network in (("int8", pack.network), ("fp32", twin))
            }
            if None not in times.values():
                row = {"pack": pack.manifest.name, "device": candidate.name}
                yield row | {f"{name}_ms": round(value or 0.0, 2) for name, value in times.items()}


def _median_ms(pack: ModelPack, candidate: Any, network: Path, rounds: int) -> float | None:
    try:
        session = open_candidate(candidate, network)
        return measure(session, load_golden(pack).images[:1], rounds=15 * rounds).latency_ms_median
    except BackendUnavailable:
        return None


def _uplink(folder: Path, rounds: int) -> dict[str, Any]:
    """Payloads per second from spool to receipt on loopback, fsynced and committed at the far side."""
    port, stop = free_port(), threading.Event()
    cloud = CloudSettings(home=folder / "cloud", host="127.0.0.1", port=port, token="bench" * 4)
    thread = threading.Thread(target=run_endpoint, args=(cloud, stop), daemon=True)
    thread.start()
    while not listening(port):
        time.sleep(0.05)
    spool = Spool(folder / "spool", 0)
    rng = np.random.default_rng(0)
    link = CloudLink(f"http://127.0.0.1:{port}", "bench" * 4, "bench", 262_144, 20.0)
    rates = []
    for _ in track(range(rounds), "uplink", console=console):
        payloads = [spool.keep_bytes(rng.bytes(_PAYLOAD_BYTES)) for _ in range(_PAYLOADS)]
        started = time.perf_counter()
        for payload in payloads:
            path = spool.path(payload.digest)
            link.deliver(path, payload.digest, payload.size_bytes, "application/zip", 1, lambda: False)
        rates.append(_PAYLOADS / (time.perf_counter() - started))
    link.close()
    stop.set()
    thread.join(10.0)
    per_second = float(np.median(rates))
    return {
        "payload_bytes": _PAYLOAD_BYTES,
        "payloads_per_s": round(per_second, 1),
        "mb_per_s": round(per_second * _PAYLOAD_BYTES / 1e6, 1),
    }


def _show(figures: dict[str, Any]) -> None:
    table = Table("what", "figure", "value")
    for what in ("ingest", "triage", "uplink"):
        for name, value in figures[what].items():
            table.add_row(what, name, str(value))
    for row in figures["inference"]:
        speed = f"INT8 {row['int8_ms']} ms, FP32 {row['fp32_ms']} ms ({row['fp32_ms'] / row['int8_ms']:.2f} ×)"
        table.add_row("inference", f"{row['pack']} on {row['device']}", speed)
    for row in figures["reading"]:
        network, reading = row["network_ms"], row["reading_ms"]
        whole = f"{reading} ms, the network {network} ms of it ({reading / network:.2f} ×)"
        table.add_row("pixels to findings", f"{row['pack']}, {row['side_px']} px", whole)
    console.print(table)
