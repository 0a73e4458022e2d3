"""In what two boxes that should answer as one differ: packs, site key, destinations."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

from sqlalchemy import Connection, select

from appliance.home import SITE_KEY, site_key_of
from appliance.privacy.errors import SiteKeyUnusable
from appliance.schema import devices
from appliance.settings import Settings
from appliance.standby.words import Sameness


def sameness_of(connection: Connection, settings: Settings) -> Sameness:
    """This box's side of the comparison; nothing secret is in it."""
    chosen = select(devices.c.pack, devices.c.pack_digest).where(devices.c.chosen).order_by(devices.c.pack)
    return Sameness(
        version=version("scanside"),
        site_key=_fingerprint(settings),
        packs=tuple(f"{row.pack} {row.pack_digest[:12]}" for row in connection.execute(chosen)),
        destinations=destinations_of(settings),
    )


def destinations_of(settings: Settings) -> dict[str, str]:
    """Every destination by its name here, and what it is."""
    found = {peer.name: f"{peer.ae_title} at {peer.host}:{peer.port}" for peer in settings.pacs}
    found |= {server.name: f"{server.url} by STOW-RS" for server in settings.stow}
    found |= {webhook.name: f"{webhook.url}, a study by its {webhook.study}" for webhook in settings.webhook}
    if settings.cloud.url is not None:
        found["cloud"] = f"{settings.cloud.url} as {settings.cloud.box_id}"
    return found


def differences(own: Sameness, first: Sameness) -> list[str]:
    """Sentences for a person, one for each difference that matters; packs only once both boxes have opened theirs."""
    found = []
    if own.site_key != first.site_key:
        found.append(
            "The two boxes have different site keys: the cloud would see two cases where there is one. "
            "Copy site.key from the first box to this one before it takes its first study."
        )
    if own.packs and first.packs and set(own.packs) != set(first.packs):
        found.append(f"The first box reads with {', '.join(first.packs)}; this one reads with {', '.join(own.packs)}.")
    for name in sorted(own.destinations.keys() | first.destinations.keys()):
        here, there = own.destinations.get(name, "nothing"), first.destinations.get(name, "nothing")
        if here != there:
            found.append(f"The destination {name} is {there} on the first box and {here} on this one.")
    if own.version != first.version:
        found.append(f"The first box runs version {first.version}, this one {own.version}.")
    return found


def _fingerprint(settings: Settings) -> str:
    """Tells two site keys apart and says nothing of them; empty where there is none."""
    if not (settings.home / SITE_KEY).exists():
        return ""
    try:
        return hashlib.sha256(b"scanside site key\0" + site_key_of(settings)).hexdigest()[:16]
    except (OSError, SiteKeyUnusable):
        return ""
