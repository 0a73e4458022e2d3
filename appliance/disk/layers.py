"""The heat map layer of a study: forgotten with what it belongs to."""

from __future__ import annotations

from sqlalchemy import Connection, delete

from appliance.schema import heat_map_layers


def take_layer(connection: Connection, study_instance_uid: str) -> list[str]:
    """Forget the study's heat map layer; returns the digest of its object, if there was one."""
    c = heat_map_layers.c
    gone = delete(heat_map_layers).where(c.study_instance_uid == study_instance_uid).returning(c.digest)
    return list(connection.execute(gone).scalars())
