"""``scanside models``: what is installed, what was refused, and whether it computes right on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.settings import Settings
from hardware.errors import BackendUnavailable
from models.opening import open_runner
from models.registry import SHIPPED, Registry


def _registry(settings: Settings) -> Registry:
    further: list[Path] = [settings.triage.packs] if settings.triage.packs else []
    return Registry([SHIPPED, *further])


def list_packs(settings: Settings) -> Iterator[dict[str, Any]]:
    """One row per pack, refused ones last with their reason."""
    registry = _registry(settings)
    for pack in [*registry.packs("box"), *registry.packs("cloud")]:
        own = pack.manifest
        row = {"name": own.name, "version": own.version, "role": own.role, "precision": own.precision}
        size = sum(path.stat().st_size for path in pack.folder.iterdir())
        yield row | {"digest": pack.digest, "size_bytes": size, "state": "verified", "detail": ""}
    for rejected in registry.rejected:
        detail = f"{rejected.why}. {rejected.repair}"
        yield {"name": rejected.pack, "state": "refused", "detail": detail}


def pack_line(row: dict[str, Any]) -> str:
    """One row for a person."""
    if row["state"] == "refused":
        return f"{row['name']:<34} REFUSED  {row['detail']}"
    size = row["size_bytes"] / 1e6
    words = f"{row['name']:<34} {row['version']:<8} {row['role']:<6} {row['precision']:<5}"
    return f"{words} {size:5.1f} MB  {row['digest'][:12]}"


def selftest(settings: Settings) -> Iterator[dict[str, Any]]:
    """Run each golden set on each device and time it."""
    registry = _registry(settings)
    for rejected in registry.rejected:
        yield {
            "pack": rejected.pack,
            "device": None,
            "ok": False,
            "latency_ms": None,
            "detail": str(rejected),
        }
    for pack in [*registry.packs("box"), *registry.packs("cloud")]:
        try:
            opened = open_runner(pack, None)
        except BackendUnavailable as unavailable:
            yield {
                "pack": pack.manifest.name,
                "device": None,
                "ok": False,
                "latency_ms": None,
                "detail": str(unavailable),
            }
            continue
        for measured in opened.measurements:
            device = measured.candidate.name
            chosen = device == opened.runner.device
            row = {"pack": pack.manifest.name, "device": device, "ok": True}
            yield row | {
                "latency_ms": round(measured.latency_ms_median, 2),
                "detail": "chosen" if chosen else "",
            }
        for why in opened.fell_back:
            yield {"pack": pack.manifest.name, "device": None, "ok": False, "latency_ms": None, "detail": why}


def selftest_line(row: dict[str, Any]) -> str:
    """One row for a person."""
    time = f"{row['latency_ms']:7.2f} ms" if row["latency_ms"] is not None else " " * 10
    return f"{'ok ' if row['ok'] else 'BAD'} {row['pack']:<34} {row['device'] or '–':<18} {time}  {row['detail']}"
