"""``scanside enrol`` at a box, and ``scanside cloud enrol``, ``boxes`` and ``revoke`` at the endpoint."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from appliance.commands.cloud_messages import cloud_database, require_box_id
from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from appliance.uplink import identity_of
from store_forward.cloud import boxes
from store_forward.database import reading, writing
from store_forward.durable import make_folder
from store_forward.exchange import Exchange


def enrol_box(settings: Settings, code: str) -> dict[str, Any]:
    """Get this box's first certificate; returns its name and until when it counts, epoch s.

    Raises ConfigurationInvalid: there is no cloud with https; NotEnrolled, DeliveryDeferred, OSError.
    """
    cloud, identity = settings.cloud, identity_of(settings)
    if cloud.url is None or identity is None:
        raise ConfigurationInvalid("cloud", ("a box is enrolled over https; set cloud.url to the endpoint's address",))
    make_folder(settings.home)
    with closing(Exchange(cloud.url, None, cloud.timeout_s, tls=identity.context)) as exchange:
        until = identity.enrol(exchange, cloud.box_id, code)
    return {"box": cloud.box_id, "expires_at": until}


def make_code(settings: Settings, box: str, hours: float) -> str:
    """A one-time code for a box. Raises typer.BadParameter."""
    require_box_id(box)
    with cloud_database(settings) as engine, writing(engine) as connection:
        return boxes.make_code(connection, box, time.time(), hours)


def known_boxes(settings: Settings) -> list[dict[str, Any]]:
    """Every box with its newest certificate, as plain values."""
    with cloud_database(settings) as engine, reading(engine) as connection:
        return [asdict(one) for one in boxes.known_boxes(connection)]


def revoke_box(settings: Settings, box: str) -> int:
    """Take back a box's certificates; returns how many. Raises typer.BadParameter."""
    require_box_id(box)
    with cloud_database(settings) as engine, writing(engine) as connection:
        return boxes.revoke(connection, box, time.time())


def as_line(row: dict[str, Any], now: float) -> str:
    """One box for a person."""
    if row["revoked_at"] is not None:
        state = f"taken back on {_day(row['revoked_at'])}"
    elif row["expires_at"] <= now:
        state = f"ended on {_day(row['expires_at'])}"
    else:
        state = f"until {_day(row['expires_at'])}"
    return f"{row['box']:<24} {state}  serial {row['serial']}"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
