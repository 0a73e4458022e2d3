"""``/healthz`` and ``/readyz``: a line per thing the box depends on, as JSON or as text.

``/healthz`` asks whether the box lives: its database can be read and each of its processes reports. ``/readyz`` asks
whether it can do its work now. A link that is down makes a box neither dead nor unready: that is what it is made for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from appliance.schema import NO_DEVICE
from appliance.start.standing import STANDING, read_standing
from appliance.web.box import Storage, device_views, disk_troubles, process_views, storage
from appliance.web.deliveries import destination_views
from appliance.web.site import Site
from appliance.web.wording import age_words, size_words
from hardware.clock import clock_state
from store_forward.database import reading
from store_forward.room import Room

#: The processes of a box; one that has never reported has not started.
NEEDED = ("receiver", "triage", "uplink", "web")


@dataclass(frozen=True)
class Check:
    """One dependency. Only a ``required`` one that is not ``ok`` makes the answer 503; ``ok`` None is not known."""

    name: str
    ok: bool | None
    required: bool
    detail: str


def probe_routes(site: Site) -> list[Route]:
    """Both probes. They tell nothing of patients or destinations beyond their names, and need nobody to sign in."""

    def healthz(request: Request) -> Response:
        """Whether the box lives: for liveness."""
        checks, silent = _asked(lambda: _health(site))
        wrong = _wrong(site)
        state = "failed" if silent is None else "degraded" if silent or wrong else "ok"
        more = {"silent": silent or []} | ({"configuration": wrong} if wrong else {})
        return _answer(request, state, checks, more)

    def readyz(request: Request) -> Response:
        """Whether the box can do its work now: for readiness."""
        checks, _ = _asked(lambda: (_readiness(site), []))
        return _answer(request, "ready" if _all_well(checks) else "not_ready", checks, {})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _asked(look: Callable[[], tuple[list[Check], list[str]]]) -> tuple[list[Check], list[str] | None]:
    try:
        return look()
    except (DatabaseError, OSError) as error:
        why = "the database cannot be read" if isinstance(error, DatabaseError) else "the disk cannot be read"
        return [Check("database", False, True, why)], None


def _health(site: Site) -> tuple[list[Check], list[str]]:
    with reading(site.engine) as conn:
        found = [Check("database", True, True, "can be read"), _configuration(site)]
        silent = [one.name for one in process_views(conn, site.clock()) if one.silent]
        found += _processes(conn, site.clock(), all_started=False)
    return found, silent


def _wrong(site: Site) -> list[str]:
    standing = read_standing(site.settings.home / STANDING)
    return [f"{one.key}: {one.reason}".removeprefix(": ") for one in (*standing.refused, *standing.lacking)]


def _configuration(site: Site) -> Check:
    """One that is refused is no outage: what was in force before is. What could not be started for it is one."""
    held = read_standing(site.settings.home / STANDING).held
    wrong = _wrong(site)
    return Check("configuration", not wrong, bool(held), "; ".join(wrong) or "all of it is in force")


def _readiness(site: Site) -> list[Check]:
    now, around = site.clock(), site.watch.surroundings()
    with reading(site.engine) as conn:
        troubles = disk_troubles(conn)
        disk = storage(conn, site.settings, site.spool)
        usable = {one.pack_digest for one in device_views(conn, around.packs) if one.device != NO_DEVICE and one.chosen}
        links = destination_views(conn, site.settings)
        found = [Check("database", True, True, "can be read"), _configuration(site)]
        found += _processes(conn, now, all_started=True)
    read = [pack for pack in around.packs if pack.digest in usable]
    packs = ", ".join(f"{one.name} {one.version}" for one in read) or "none has run its golden set here yet"
    found += [
        _room(disk),
        Check("spool", not troubles, False, "; ".join(troubles) or "nothing is missing or damaged"),
        Check("packs", bool(read), True, packs),
        Check("packs_refused", not around.rejected, False, f"{len(around.rejected)} refused"),
        _clock(),
    ]
    for link in links:
        waiting = f"{link.waiting + link.leased:,} waiting, {link.parked:,} parked"
        up = None if link.state == "unknown" else link.state == "up"
        found.append(Check(f"link_{link.name}", up, False, f"{link.state}, {waiting}"))
    return found


def _processes(conn: Connection, now: float, *, all_started: bool) -> list[Check]:
    known = {one.name: one for one in process_views(conn, now)}
    names = [*NEEDED, *(name for name in known if name not in NEEDED)] if all_started else list(known)
    found = []
    for name in names:
        one = known.get(name)
        if one is None:
            found.append(Check(name, False, True, "has not reported yet"))
        else:
            words = (
                f"silent for {age_words(now - one.beat_at)}" if one.silent else f"reports, restarted {one.restarts}×"
            )
            found.append(Check(name, not one.silent, True, words))
    return found


def _room(disk: Storage) -> Check:
    words = f"{size_words(disk.free_bytes)} free of {size_words(disk.total_bytes)}, {disk.room}"
    return Check("disk_room", disk.room != Room.FULL.word, True, words)


def _clock() -> Check:
    state = clock_state()
    words = {True: "synchronised", False: "not synchronised by any time service", None: "not known"}
    return Check("clock", state.synchronised, False, words[state.synchronised])


def _all_well(checks: Iterable[Check]) -> bool:
    return all(one.ok for one in checks if one.required)


def _answer(request: Request, state: str, checks: list[Check], more: dict[str, list[str]]) -> Response:
    code = 200 if _all_well(checks) else 503
    if _prefers_text(request):
        marks = {True: "+", False: "-", None: "?"}
        lines = [
            f"[{marks[one.ok]}] {one.name}{'' if one.required else ' (told only)'}: {one.detail}" for one in checks
        ]
        return PlainTextResponse("\n".join([*lines, state, ""]), code)
    return JSONResponse({"status": state, **more, "checks": [asdict(one) for one in checks]}, code)


def _prefers_text(request: Request) -> bool:
    kinds = [one.partition(";")[0].strip() for one in request.headers.get("accept", "").split(",")]
    first = next((one for one in kinds if one in ("text/plain", "application/json", "*/*")), "")
    return first == "text/plain"
