"""``scanside models``: what is in use, installed or refused, and whether it computes right on this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.audit.events import EventType, Outcome, Participant, Subject, alert
from appliance.audit.trail import record
from appliance.commands.audit import whoever
from appliance.home import open_home
from appliance.pack_store import Installed, TakenIntoUse, verified_in
from appliance.packs import installed_folder_of, installed_of, registry_of
from appliance.settings import Settings
from hardware.errors import BackendUnavailable
from models.archive import unpack_archive
from models.errors import PackRejected
from models.installed import installed_packs
from models.opening import open_runner
from models.pack import ModelPack, load_pack
from models.registry import SHIPPED
from store_forward.database import writing


def list_packs(settings: Settings) -> Iterator[dict[str, Any]]:
    """One row per pack: those in use first, then those that could be, refused ones last with their reason."""
    registry = registry_of(settings)
    in_use = [*registry.packs("box"), *registry.packs("cloud")]
    folders = {pack.folder for pack in in_use}
    found = list(installed_packs(installed_of(settings)))
    others = [*(one for one in found if isinstance(one, ModelPack)), *registry.defaults.values()]
    yield from (_row(pack, "active", settings) for pack in in_use)
    for pack in sorted((one for one in others if one.folder not in folders), key=lambda one: one.manifest.name):
        yield _row(pack, _source(pack, settings), settings)
    rejected = [*registry.rejected, *(one for one in found if isinstance(one, PackRejected))]
    for name, detail in dict.fromkeys((one.pack, f"{one.why}. {one.repair}") for one in rejected):
        yield {"name": name, "state": "refused", "detail": detail}


def _row(pack: ModelPack, state: str, settings: Settings) -> dict[str, Any]:
    own = pack.manifest
    row: dict[str, Any] = {"name": own.name, "version": own.version, "role": own.role, "precision": own.precision}
    size = sum(path.stat().st_size for path in pack.folder.iterdir())
    row |= {"digest": pack.digest, "size_bytes": size, "state": state, "source": _source(pack, settings)}
    return row | {"detail": ""}


def _source(pack: ModelPack, settings: Settings) -> str:
    """Where a pack is from: it came with the product, a person installed it, or it lies in ``triage.packs``."""
    if pack.folder.is_relative_to(SHIPPED):
        return "shipped"
    return "installed" if pack.folder.is_relative_to(installed_folder_of(settings)) else "folder"


def pack_line(row: dict[str, Any]) -> str:
    """One row for a person."""
    if row["state"] == "refused":
        return f"{row['name']:<34} REFUSED  {row['detail']}"
    size = row["size_bytes"] / 1e6
    words = f"{row['name']:<34} {row['version']:<8} {row['role']:<6} {row['precision']:<5}"
    source = "" if row["state"] == row["source"] else f" ({row['source']})"
    return f"{words} {size:5.1f} MB  {row['digest'][:12]}  {row['state']}{source}"


def note_pack(settings: Settings, what: str, name: str, outcome: Outcome = Outcome.SUCCESS) -> None:
    """Put into the audit trail what a person did with a pack, or tried to."""
    home = open_home(settings)
    who = Participant(whoever(), requestor=True)
    event = alert(EventType.SOFTWARE_CONFIGURATION, [who], what, (Subject("pack", name),), outcome)
    with writing(home.engine) as connection:
        record(connection, event, time.time())
    home.engine.dispose()


def verify(path: Path, settings: Settings) -> ModelPack:
    """Check a pack's folder, or an archive by unpacking it for the moment.

    Raises:
        PackRejected: it must not be used; says why and what to do.
    """
    if path.is_dir():
        return load_pack(path)
    with tempfile.TemporaryDirectory(prefix="scanside-verify-") as folder:
        unpack_archive(path, Path(folder), settings.limits.max_pack_bytes)
        return verified_in(Path(folder), path)


def installed_row(done: Installed) -> dict[str, Any]:
    """What an installation did."""
    own = done.pack.manifest
    row = {"name": own.name, "version": own.version, "role": own.role, "digest": done.pack.digest}
    return row | {"state": "installed" if done.new else "already installed"}


def installed_line(row: dict[str, Any]) -> str:
    """The same for a person, with what comes next."""
    reference = f"{row['name']}@{row['digest'][:12]}"
    return f"{row['name']} {row['version']} {row['state']}; take it into use: scanside models activate {reference}"


def in_use_row(done: TakenIntoUse) -> dict[str, Any]:
    """What is in use now, on which device, and what was before."""
    own, before = done.pack.manifest, done.before
    row: dict[str, Any] = {"name": own.name, "version": own.version, "role": own.role, "digest": done.pack.digest}
    row |= {"state": "active", "device": done.opened.runner.device, "fell_back": done.opened.fell_back}
    was = {"version": before.manifest.version, "digest": before.digest} if before is not None else None
    return row | {"before": was}


def in_use_line(row: dict[str, Any]) -> str:
    """The same for a person."""
    before = row["before"]
    was = f"before it {before['version']} ({before['digest'][:12]})" if before else "none before it"
    passed_over = "".join(f"\n  passed over {why}" for why in row["fell_back"])
    words = f"{row['name']} {row['version']} ({row['digest'][:12]}) reads from now on, on {row['device']}; {was}"
    return words + passed_over


def selftest(settings: Settings) -> Iterator[dict[str, Any]]:
    """Run the golden set of every pack in use on each device and time it."""
    registry = registry_of(settings)
    for rejected in registry.rejected:
        yield _failed(rejected.pack, str(rejected))
    for pack in [*registry.packs("box"), *registry.packs("cloud")]:
        try:
            opened = open_runner(pack, None)
        except (BackendUnavailable, PackRejected) as unusable:
            yield _failed(pack.manifest.name, str(unusable))
            continue
        for measured in opened.measurements:
            device = measured.candidate.name
            row = {"pack": pack.manifest.name, "device": device, "ok": True}
            row |= {"latency_ms": round(measured.latency_ms_median, 2)}
            yield row | {"detail": "chosen" if device == opened.runner.device else ""}
        for why in opened.fell_back:
            yield _failed(pack.manifest.name, why)


def _failed(pack: str, why: str) -> dict[str, Any]:
    return {"pack": pack, "device": None, "ok": False, "latency_ms": None, "detail": why}


def selftest_line(row: dict[str, Any]) -> str:
    """One row for a person."""
    time = f"{row['latency_ms']:7.2f} ms" if row["latency_ms"] is not None else " " * 10
    return f"{'ok ' if row['ok'] else 'BAD'} {row['pack']:<34} {row['device'] or '–':<18} {time}  {row['detail']}"
