"""The packs of this box, each opened on the device that measured fastest among those that agree with its golden set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection, delete, insert

from appliance.machine.history import note_abilities, note_uses
from appliance.packs import packs_mark, registry_of
from appliance.schema import NO_DEVICE, devices
from appliance.settings import Settings
from hardware.choice import abilities
from models.decision import Decision, Lines
from models.in_use import PacksInUse, open_packs
from models.pack import ModelPack
from models.pixels import PixelLimits
from models.triage import Triage

log = structlog.get_logger()


@dataclass
class Readers:
    """What reads on this box, and what could not be opened and why. ``mark`` is that of the packs then in use."""

    triage: Triage
    packs: PacksInUse
    mark: object

    def record_devices(self, connection: Connection, now: float) -> None:
        """Write every measurement and every failure for the status page, replacing the last start's."""
        note_uses(connection, self.packs_in_use.values(), now)
        note_abilities(connection, abilities())
        connection.execute(delete(devices))
        for row in self._rows():
            connection.execute(insert(devices).values(measured_at=now, **row))

    @property
    def packs_in_use(self) -> dict[str, ModelPack]:
        """Every pack that is to read here, by its digest, whether anything can run it or not."""
        found = [*(pack for pack, _ in self.packs.opened), *(pack for pack, _ in self.packs.unopened)]
        return {pack.digest: pack for pack in found}

    def read_with(self, lines: Mapping[str, Lines]) -> None:
        """Decide by these lines from here on, by the digest of the pack; a pack that is not named by its own."""
        for pack, opened in self.packs.opened:
            opened.runner.lines = lines.get(pack.digest, pack.lines)

    def _rows(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for pack, opened in self.packs.opened:
            label = f"{pack.manifest.name} {pack.manifest.version}"
            for measured in opened.measurements:
                device = measured.candidate.name
                chosen = device == opened.runner.device
                row = {"pack_digest": pack.digest, "device": device, "pack": label, "chosen": chosen}
                rows.append(row | {"latency_ms": measured.latency_ms_median, "detail": ""})
            for number, why in enumerate(opened.fell_back):
                row = {"pack_digest": pack.digest, "device": f"fall-back {number + 1}", "pack": label}
                rows.append(row | {"chosen": False, "latency_ms": None, "detail": why})
        for pack, why in [*self.packs.unopened, *self.packs.replaced]:
            label = f"{pack.manifest.name} {pack.manifest.version}"
            row = {"pack_digest": pack.digest, "device": NO_DEVICE, "pack": label, "chosen": False}
            rows.append(row | {"latency_ms": None, "detail": why})
        for number, rejected in enumerate(self.packs.rejected):
            row = {"pack_digest": f"rejected {number}: {rejected.pack}", "device": NO_DEVICE, "pack": rejected.pack}
            rows.append(row | {"chosen": False, "latency_ms": None, "detail": f"{rejected.why}. {rejected.repair}"})
        return rows


def open_readers(settings: Settings, cache: Path | None) -> Readers:
    """Open every box pack in use; a pack or device that fails is recorded and the rest goes on."""
    mark = packs_mark(settings)  # taken first: an activation from here on is noticed as a change
    packs = open_packs(registry_of(settings), "box", cache)
    for pack, why in [*packs.unopened, *packs.replaced]:
        log.error("pack.unopened", pack=pack.manifest.name, version=pack.manifest.version, cause=why)
    for rejection in packs.rejected:
        log.error("pack.rejected", pack=rejection.pack, why=rejection.why, repair=rejection.repair)
    limits = PixelLimits(settings.limits.max_pixels, settings.limits.max_decoded_bytes)
    out_of_scope = Decision(settings.triage.out_of_scope)
    runners = [found.runner for _, found in packs.opened]
    triage = Triage(runners, limits, out_of_scope, [pack for pack, _ in packs.unopened], packs.unreadable)
    return Readers(triage, packs, mark)
