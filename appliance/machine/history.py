"""Since when which packs have read here, and what the machine's devices say of themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from appliance.machine.machine_tables import device_abilities, pack_uses
from hardware.choice import Ability
from models.pack import ModelPack

KEPT_USES: Final = 1000
_c = pack_uses.c


@dataclass(frozen=True)
class PackUse:
    """A pack that has read here from ``at`` (epoch s) on."""

    at: float
    pack: str
    version: str
    digest: str


@dataclass(frozen=True)
class DeviceAbility:
    """What a device says of itself: its full name and the kinds of number it computes with; empty if nothing."""

    device: str
    full_name: str
    kinds: tuple[str, ...]


def note_uses(conn: Connection, packs: Iterable[ModelPack], now: float) -> None:
    """Write down every pack that is another than the last noted of its name."""
    for pack in packs:
        own = pack.manifest
        last = select(_c.digest).where(_c.pack == own.name).order_by(_c.id.desc()).limit(1)
        if conn.scalar(last) != pack.digest:
            row = {"at": now, "pack": own.name, "version": own.version, "digest": pack.digest}
            conn.execute(insert(pack_uses).values(row))
    newest = conn.scalar(select(func.max(_c.id))) or 0
    conn.execute(delete(pack_uses).where(_c.id <= newest - KEPT_USES))


def uses_of(conn: Connection, pack: str, most: int) -> list[PackUse]:
    """Which packs of this name have read here, the latest first."""
    query = select(_c.at, _c.pack, _c.version, _c.digest).where(_c.pack == pack).order_by(_c.id.desc()).limit(most)
    return [PackUse(*row) for row in conn.execute(query)]


def note_abilities(conn: Connection, found: Iterable[Ability]) -> None:
    """What the devices say now takes the place of what they said before."""
    conn.execute(delete(device_abilities))
    for one in found:
        row = {"device": one.candidate.name, "full_name": one.full_name, "kinds": ",".join(one.kinds)}
        conn.execute(insert(device_abilities).values(row))


def noted_abilities(conn: Connection) -> list[DeviceAbility]:
    """What the devices said when the triage worker last opened its packs."""
    rows = conn.execute(select(device_abilities).order_by(device_abilities.c.device))
    return [DeviceAbility(row.device, row.full_name, tuple(filter(None, row.kinds.split(",")))) for row in rows]
