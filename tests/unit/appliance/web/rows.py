"""A real database and spool, and short ways to put rows into them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, insert, update
from starlette.testclient import TestClient

from appliance.schema import findings, studies
from appliance.settings import Settings
from appliance.web.app import build_app
from appliance.web.cookies import VISITOR
from appliance.web.forms import HEADER, token_for
from appliance.web.live import Watch
from store_forward.database import create_schema, open_database, writing
from store_forward.outbox import DeliveryRequest, deferred, delivered, enqueue, lease, refused
from store_forward.spool import Spool

NOW = 1_780_000_000.0
PNG = b"\x89PNG\r\n\x1a\n" + b"picture"


class Rows:
    """A box whose rows a test writes; ``now`` is what its page takes for the time."""

    def __init__(self, home: Path) -> None:
        self.now = NOW
        self.engine: Engine = open_database(home / "box.db")
        create_schema(self.engine)
        self.spool = Spool(home / "spool", 0)
        self.configure(home)

    def configure(self, home: Path, **sections: Any) -> None:
        """Take another configuration."""
        cloud = {"url": "https://cloud.example:8443", "box_id": "north-1"}
        pacs = [{"name": "pacs-main", "host": "192.0.2.1", "port": 104, "ae_title": "PACS"}]
        values = {"home": home, "cloud": cloud, "pacs": pacs, "limits": {"free_disk_floor_bytes": 0}}
        self.settings = Settings.model_validate(values | sections)

    def put(self, table: Table, **values: Any) -> None:
        """Insert one row."""
        with writing(self.engine) as conn:
            conn.execute(insert(table).values(**values))

    def change(self, uid: str, **values: Any) -> None:
        """Update one study."""
        with writing(self.engine) as conn:
            conn.execute(update(studies).where(studies.c.study_instance_uid == uid).values(**values))

    def study(self, uid: str, decision: str | None = None, ago_s: float = 60.0, **values: Any) -> None:
        """Insert a study received ``ago_s`` before NOW, decided when ``decision`` is given."""
        at = NOW - ago_s
        row = {
            "study_instance_uid": uid,
            "state": "decided" if decision else "receiving",
            "completes_at": at,
            "calling_ae_title": "SCANNER",
            "first_received_at": at,
            "last_received_at": at,
            "decision": decision,
        }
        self.put(studies, **(row | values))

    def finding(self, uid: str, name: str, probability: float, source: str = "box", revision: int = 1) -> None:
        """Insert one finding of a study."""
        values = {"source": source, "revision": revision, "sop_instance_uid": "1.2.9"}
        self.put(findings, study_instance_uid=uid, name=name, probability=probability, **values)

    def delivery(
        self, uid: str, kind: str, destination: str, outcome: str = "waiting", priority: int = 2, revision: int = 1
    ) -> int:
        """Enqueue a delivery and bring it to ``outcome``: waiting, deferred, leased, delivered or parked."""
        key = f"{uid}:{kind}:{destination}:{revision}"
        request = DeliveryRequest(key, uid, revision, kind, destination, priority, "0" * 64, 10, "text/plain")
        with writing(self.engine) as conn:
            number = enqueue(conn, request, NOW)
            if outcome == "waiting":
                return number
            taken = lease(conn, destination, "worker", NOW, 60)
            assert taken is not None
            assert taken.id == number
            if outcome == "delivered":
                delivered(conn, taken, "stored", NOW + 1)
            elif outcome == "deferred":
                deferred(conn, taken, "cloud_unreachable", "no route", NOW + 1, random.Random(1))
            elif outcome == "parked":
                refused(conn, taken, "pacs_refused_object", "0xA900 <i>no such class</i>", NOW + 1)
        return number

    def watch(self) -> Watch:
        """What the page keeps between two looks."""
        return Watch(self.settings, self.engine, self.spool, lambda: self.now)

    def client(self) -> TestClient:
        """The page over this box, in process, to a browser whose forms are known; an Origin they give themselves."""
        app = build_app(self.settings, self.engine, self.spool, lambda: self.now, lambda: self.now)
        client = TestClient(app, base_url="http://127.0.0.1:8080", headers={HEADER: token_for("visitor")})
        client.cookies.set(VISITOR, "visitor")
        return client
