"""``scanside status``: what the page shows, for scripts and terminals. Never anything of a patient's."""

from __future__ import annotations

import time
from typing import Any

from appliance.home import open_home
from appliance.messages import acknowledge
from appliance.settings import Settings
from appliance.standby.view import StandbyView, standby_line
from appliance.web.views import status, status_dict
from appliance.web.wording import ROOM_WORDS, alone_words, filling_words
from store_forward.database import reading, writing


def status_of(settings: Settings) -> dict[str, Any]:
    """The state of the box whose home the configuration names, as plain values."""
    home = open_home(settings)
    with reading(home.engine) as connection:
        found = status_dict(status(connection, settings, home.spool, time.time()))
    home.engine.dispose()
    return found


def status_text(found: dict[str, Any]) -> str:
    """The same in a few lines for a person."""
    lines = [_notice_line(one) for one in found["notices"]]
    tallied = {**found["worklist"]["counts"], "pending": found["worklist"]["pending_count"]}
    counts = ", ".join(f"{count} {name}" for name, count in tallied.items() if count)
    lines.append(f"studies      {counts or 'none yet'}")
    for link in found["destinations"]:
        waiting = link["waiting"] + link["leased"]
        lines.append(f"{link['name']:<12} {link['state']}, {waiting} waiting, {link['parked']} parked")
        if link["awaited"]:
            lines.append(f"{'':<12} {link['awaited']} stored there, commitment awaited")
    if found["standby"] is not None:
        lines.append(f"two boxes    {standby_line(StandbyView(**found['standby']))}")
    lines += _agreement_lines(found["agreement"])
    for device in found["devices"]:
        if device["chosen"]:
            lines.append(f"{device['pack']:<12} on {device['device']}, {device['latency_ms']:.1f} ms")
    disk = found["storage"]
    lines.append(f"disk         {disk['free_bytes'] / 1e9:.1f} GB free, {ROOM_WORDS[disk['room']]}")
    meter = found["autonomy"]
    lines.append(f"autonomy     {alone_words(meter['recorded_days'], meter['alone_days'])}")
    lines.append(f"disk full    {filling_words(meter['recorded_days'], meter['full_in_days'])}")
    lines.append(f"SQLite       {found['sqlite_version']}")
    return "\n".join(lines)


def acknowledge_notice(settings: Settings, number: int) -> bool:
    """A person has read a notice of the cloud's operator; False when there is none with this number."""
    home = open_home(settings)
    with writing(home.engine) as connection:
        known = acknowledge(connection, number, time.time())
    home.engine.dispose()
    return known


def _notice_line(notice: dict[str, Any]) -> str:
    how = f" (scanside status --acknowledge {notice['message']})" if notice["message"] is not None else ""
    return f"{'!' if notice['severity'] == 'problem' else '·'} {notice['text']}{how}"


def _agreement_lines(agreement: dict[str, Any]) -> list[str]:
    return [
        f"{one['name']}: full model agreed {one['agreed']}, disagreed {one['disagreed']}, "
        f"took no side {one['undecided']}, provisional {one['unanswered']}"
        + (f", from features alone {one['from_features']}" if one["from_features"] else "")
        for one in agreement["packs"]
    ]
