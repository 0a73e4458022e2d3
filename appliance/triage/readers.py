"""The packs of this box, each opened on the device that measured fastest among those that agree with its golden set."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import Connection, delete, insert

from appliance.schema import devices
from appliance.settings import Settings
from hardware.errors import BackendUnavailable
from models.decision import Decision
from models.errors import PackRejected
from models.opening import OpenedPack, open_runner
from models.pack import ModelPack
from models.pixels import PixelLimits
from models.registry import SHIPPED, Registry
from models.triage import Triage

log = structlog.get_logger()


@dataclass
class Readers:
    """What reads on this box, and what could not be opened and why."""

    triage: Triage
    opened: list[tuple[ModelPack, OpenedPack]] = field(default_factory=list)
    unopened: list[tuple[ModelPack, str]] = field(default_factory=list)
    rejected: list[PackRejected] = field(default_factory=list)

    def record_devices(self, connection: Connection, now: float) -> None:
        """Write every measurement and every failure for the status page, replacing the last start's."""
        connection.execute(delete(devices))
        for row in self._rows():
            connection.execute(insert(devices).values(measured_at=now, **row))

    def _rows(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for pack, opened in self.opened:
            label = f"{pack.manifest.name} {pack.manifest.version}"
            for measured in opened.measurements:
                device = measured.candidate.name
                chosen = device == opened.runner.device
                row = {"pack_digest": pack.digest, "device": device, "pack": label, "chosen": chosen}
                rows.append(row | {"latency_ms": measured.latency_ms_median, "detail": ""})
            for number, why in enumerate(opened.fell_back):
                row = {"pack_digest": pack.digest, "device": f"fall-back {number + 1}", "pack": label}
                rows.append(row | {"chosen": False, "latency_ms": None, "detail": why})
        for pack, why in self.unopened:
            row = {"pack_digest": pack.digest, "device": "none", "pack": pack.manifest.name, "chosen": False}
            rows.append(row | {"latency_ms": None, "detail": why})
        for rejected in self.rejected:
            row = {"pack_digest": f"rejected:{rejected.pack}", "device": "none", "pack": rejected.pack}
            rows.append(row | {"chosen": False, "latency_ms": None, "detail": f"{rejected.why}. {rejected.repair}"})
        return rows


def open_readers(settings: Settings, cache: Path | None) -> Readers:
    """Open every valid box pack; a pack or device that fails is recorded and the rest goes on."""
    folders = [SHIPPED] + ([settings.triage.packs] if settings.triage.packs else [])
    registry = Registry(folders)
    opened, unopened = [], []
    for pack in registry.packs("box"):
        try:
            opened.append((pack, open_runner(pack, cache)))
        except BackendUnavailable as unavailable:
            log.error("pack.unopened", pack=pack.manifest.name, cause=str(unavailable))
            unopened.append((pack, str(unavailable)))
        except PackRejected as rejection:
            registry.rejected.append(rejection)
    limits = PixelLimits(settings.limits.max_pixels, settings.limits.max_decoded_bytes)
    out_of_scope = Decision(settings.triage.out_of_scope)
    runners = [found.runner for _, found in opened]
    triage = Triage(runners, limits, out_of_scope, [pack for pack, _ in unopened])
    return Readers(triage, opened, unopened, list(registry.rejected))
