"""``scanside check``: everything a person would want to know before trusting a box with patients' images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.progress import track
from sqlalchemy import select

from appliance.commands.packs import selftest
from appliance.configuration import secret
from appliance.errors import ConfigurationInvalid
from appliance.home import Home, open_home
from appliance.privacy.errors import SiteKeyUnusable
from appliance.privacy.package import site_key
from appliance.schema import instances, set_aside
from appliance.settings import Settings
from store_forward.database import reading, sqlite_version
from store_forward.errors import DatabaseUnusable, SpoolFull
from store_forward.outbox import deliveries


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine(settings: Settings, *, rehash: bool) -> list[CheckResult]:
    """Look at everything; nothing is changed. ``rehash`` reads every spooled file back."""
    results = [CheckResult("configuration", True, "valid"), _secret(settings)]
    try:
        home = open_home(settings)
    except (DatabaseUnusable, OSError) as error:
        return [*results, CheckResult("database", False, str(error))]
    results.append(CheckResult("database", True, f"SQLite {sqlite_version()}, write-ahead log, every commit synced"))
    results += [_disk(home), _site_key(home), _spool(home, rehash), _set_aside(home), *_packs(settings)]
    home.engine.dispose()
    return results


def _secret(settings: Settings) -> CheckResult:
    if settings.cloud.url is None:
        return CheckResult("cloud", True, "none configured; what is uncertain waits for a person")
    try:
        token = secret(settings.cloud.token_file, settings.cloud.token_variable)
    except ConfigurationInvalid as invalid:
        return CheckResult("cloud", False, "; ".join(invalid.problems))
    if token is None:
        repair = f"set {settings.cloud.token_variable} or cloud.token_file"
        return CheckResult("cloud", False, f"no token for {settings.cloud.url}: {repair}")
    return CheckResult("cloud", True, settings.cloud.url)


def _disk(home: Home) -> CheckResult:
    free = home.spool.free_bytes() / 1e9
    try:
        home.spool.require_room()
    except SpoolFull as full:
        return CheckResult("disk", False, f"{full}; make room, then reception goes on by itself")
    return CheckResult("disk", True, f"{free:.1f} GB free")


def _site_key(home: Home) -> CheckResult:
    try:
        site_key(home.site_key_path)
    except SiteKeyUnusable as unusable:
        return CheckResult("site key", False, str(unusable))
    return CheckResult("site key", True, "present, readable by its owner only")


def _spool(home: Home, rehash: bool) -> CheckResult:
    """Every row must have its file."""
    with reading(home.engine) as connection:
        digests = set(connection.execute(select(instances.c.file_digest)).scalars())
        open_payloads = select(deliveries.c.payload).where(deliveries.c.state != "delivered")
        digests |= set(connection.execute(open_payloads).scalars())
    listed = sorted(digests)
    if rehash:
        listed = list(track(listed, description="reading back", console=Console(stderr=True)))
        bad = [digest for digest in listed if not home.spool.verify(digest)]
    else:
        bad = [digest for digest in listed if not home.spool.path(digest).exists()]
    if bad:
        names = ", ".join(digest[:12] for digest in bad[:5])
        return CheckResult("spool", False, f"{len(bad)} of {len(listed)} files missing or damaged ({names})")
    return CheckResult("spool", True, f"{len(listed)} files, {'all read back' if rehash else 'all present'}")


def _set_aside(home: Home) -> CheckResult:
    with reading(home.engine) as connection:
        rows = connection.execute(select(set_aside.c.reason)).scalars().all()
    return CheckResult("set aside", True, f"{len(rows)} instances; the status page shows why" if rows else "none")


def _packs(settings: Settings) -> Iterator[CheckResult]:
    for row in selftest(settings):
        device = row["device"] or "no device"
        latency = f", {row['latency_ms']} ms" if row["latency_ms"] is not None else ""
        detail = f"{device}{latency} {row['detail']}".strip()
        yield CheckResult(f"pack {row['pack']}", bool(row["ok"]), detail)
