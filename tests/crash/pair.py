"""Two boxes that get the same studies, a cloud and a PACS: real processes on loopback."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import evt
from sqlalchemy import Table, select

from appliance.configuration import load_settings
from appliance.demo.archive import Archive
from appliance.demo.link import Link
from appliance.demo.stage import free_port, listening
from appliance.home import open_home
from appliance.privacy.package import site_key
from appliance.results.pacs import PacsLink
from appliance.schema import studies
from appliance.standby.state import Turn, standing
from store_forward.cloud.cases import answer_feed, cases, senders
from store_forward.database import open_database, reading
from store_forward.durable import make_folder
from store_forward.errors import DeliveryDeferred
from store_forward.outbox import deliveries, delivery_events
from tests.crash.processes import Running, fork
from tests.crash.small_site import wait_until
from tests.dicom_factory import as_file, uid
from tests.small_box import image
from tests.tiny_pack import Says, write_tiny_pack

SILENT_AFTER_S = 8.0
_SETTLES_S = 100.0
_BOX = ("receiver", "triage", "uplink", "web")
_CLOUD = ("cloud-endpoint", "cloud-analysis")


class CountingArchive(Archive):
    """Also counts how often each SOP Instance UID came."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        super().__init__()

    def _on_store(self, event: evt.Event) -> int:
        self.came[str(event.request.AffectedSOPInstanceUID)] += 1
        return super()._on_store(event)


class Box:
    """One of the two; its processes are started and killed together."""

    def __init__(self, folder: Path, sections: str, token: str) -> None:
        make_folder(folder)
        self.dicom_port, self.page_port = free_port(), free_port()
        self._config, self._log, self._token = folder / "scanside.toml", folder / "log.txt", token
        own = f'home = "{folder / "box"}"\n[dicom]\nport = {self.dicom_port}\nquiet_time_s = 0.0\n'
        own += f"[page]\nport = {self.page_port}\n"
        self._config.write_text(own + sections, encoding="utf-8")
        self.settings = load_settings(self._config)
        self.home = open_home(self.settings)
        self._running: dict[str, Running] = {}

    def start(self) -> None:
        """Start every process and wait until it listens."""
        for name in _BOX:
            self._running[name] = fork(name, self._config, self._log, self._token)
            self._running[name].release()
        wait_until(lambda: listening(self.dicom_port) and listening(self.page_port), 60.0, "a box to listen")

    def kill(self) -> None:
        """SIGKILL to every process, the uplink first."""
        for name in sorted(self._running, reverse=True):
            self._running[name].process.kill()
        for running in self._running.values():
            running.kill()
        self._running = {}

    def kill_one(self, name: str) -> None:
        """SIGKILL to one process, which nobody starts again."""
        self._running.pop(name).kill()

    def take(self, path: Path) -> bool:
        """One C-STORE as of a modality."""
        try:
            PacsLink("127.0.0.1", self.dicom_port, "SCANSIDE", "SCANNER", 20.0).deliver(path)
        except DeliveryDeferred:
            return False
        return True

    def rows(self, table: Table) -> list[Any]:
        """All rows of a table."""
        with reading(self.home.engine) as connection:
            return list(connection.execute(select(table)))

    def turn(self) -> str | None:
        """Whether it stands by or stands in, if it is a standby that has started."""
        return next((row.turn for row in self.rows(standing)), None)

    def attempts(self) -> list[int]:
        """The number of the delivery for every attempt that was ever made here, in order."""
        return [row.delivery_id for row in self.rows(delivery_events) if row.state_to == "leased"]

    def settled(self, number: int) -> bool:
        """Whether so many studies are here and all are settled, with every delivery done."""
        found = self.rows(studies)
        done = all(row.state == "settled" for row in found)
        return len(found) == number and done and all(row.state == "delivered" for row in self.rows(deliveries))


class Pair:
    """Use :func:`pairs`. Between standby and first lies a link that can be cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = secrets.token_hex(16)
        write_tiny_pack(folder / "packs" / "tiny-box", "box", "tiny-box", thresholds=(0.2, 0.8))
        write_tiny_pack(folder / "packs" / "tiny-cloud", "cloud", "tiny-cloud", thresholds=(0.5, 0.5))
        self.archive = CountingArchive()
        self._cloud_port = free_port()
        self._cloud_config = folder / "cloud.toml"
        self._cloud_config.write_text(
            f'home = "{folder / "far"}"\n[limits]\nfree_disk_floor_bytes = 0\n[triage]\npacks = "{folder / "packs"}"\n'
            f"[cloud_endpoint]\nport = {self._cloud_port}\n"
        )
        self._secret = folder / "standby.token"
        self._secret.write_text(secrets.token_hex(16))
        self.first = Box(folder / "first", self._sections(None), self._token)
        self.link = Link(self.first.page_port)
        self.standby = Box(folder / "standby", self._sections(self.link.port), self._token)
        key = site_key(self.first.home.site_key_path, self.first.home.spool.seal)
        self.standby.home.site_key_path.write_bytes(key)
        self.standby.home.site_key_path.chmod(0o600)
        self._cloud: list[Running] = []

    def _sections(self, first_port: int | None) -> str:
        of = "" if first_port is None else f'of = "http://127.0.0.1:{first_port}"\n'
        return f"""[limits]
free_disk_floor_bytes = 0
[triage]
packs = "{self._folder / "packs"}"
[cloud]
url = "http://127.0.0.1:{self._cloud_port}"
answer_wait_s = 2.0
timeout_s = 5.0
backoff_cap_s = 1.0
[standby]
{of}token_file = "{self._secret}"
silent_after_s = {SILENT_AFTER_S}
wait_s = 20.0
[[pacs]]
name = "archive"
host = "127.0.0.1"
port = {self.archive.port}
ae_title = "{self.archive.ae_title}"
results = ["report", "picture"]
timeout_s = 5.0
"""

    def open(self) -> None:
        """Start everything and wait until the standby stands by."""
        for name in _CLOUD:
            self._cloud.append(fork(name, self._cloud_config, self._folder / "cloud.txt", self._token))
            self._cloud[-1].release()
        self.first.start()
        self.standby.start()
        wait_until(lambda: listening(self._cloud_port), 60.0, "the cloud to listen")
        wait_until(lambda: self.stands(Turn.STANDING_BY), 60.0, "the standby to stand by")

    def close(self) -> None:
        """End everything."""
        for box in (self.first, self.standby):
            box.kill()
            box.home.engine.dispose()
        for running in self._cloud:
            running.kill()
        self.link.close()
        self.archive.close()

    def stands(self, turn: Turn) -> bool:
        """Whether this is the standby's turn; and, standing by, whether the first is heard."""
        return any(
            row.turn == turn.value and (turn is Turn.STANDING_IN or (not row.trouble and row.first_log))
            for row in self.standby.rows(standing)
        )

    def studies(self, number: int, seed: str) -> list[Path]:
        """So many studies of one image; every second one is escalated."""
        made = []
        for place in range(number):
            says: Says = "escalate" if place % 2 else "urgent"
            name = f"{seed} {place}"
            made.append(
                as_file(image(says, seed=name, StudyInstanceUID=uid(f"study {name}")), self._folder / f"{name}.dcm")
            )
        return made

    def settle(self, box: Box, number: int) -> None:
        """Wait until so many studies are settled on a box."""
        wait_until(lambda: box.settled(number), _SETTLES_S, f"{number} studies to settle")

    def sent_and_not_told(self) -> int:
        """How many deliveries to the archive the first began before its end, of which the standby had not heard."""
        begun = {row.delivery_id for row in self.first.rows(delivery_events) if row.state_to == "leased"}
        sent = {
            (row.subject, row.revision, row.kind)
            for row in self.first.rows(deliveries)
            if row.destination == "archive" and row.id in begun
        }
        told = {
            (row.subject, row.revision, row.kind)
            for row in self.standby.rows(deliveries)
            if row.destination == "archive" and row.cause == "settled_elsewhere"
        }
        return len(sent - told)

    def expect_each_result_once(self, number: int, escalated: int) -> None:
        """What PACS and cloud hold: report and picture of every study, both amended and the case of each escalated one.

        How often the same instance came does not matter here; two instances with the same to say would.
        """
        assert len(self.archive.classes) == 2 * (number + escalated)
        cloud = open_database(self._folder / "far" / "cloud" / "cloud.sqlite")
        try:
            with reading(cloud) as connection:
                for table in (cases, senders, answer_feed):
                    assert len(connection.execute(select(table)).all()) == escalated, table.name
        finally:
            cloud.dispose()


@contextmanager
def pairs(folder: Path) -> Iterator[Pair]:
    """A pair of boxes that runs; everything ends with the block."""
    pair = Pair(folder)
    with ExitStack() as stack:
        stack.callback(pair.close)
        pair.open()
        yield pair


def send(paths: Sequence[Path], *boxes: Box) -> None:
    """As a modality that sends every study to each of these, until it is acknowledged."""
    for path in paths:
        for box in boxes:
            wait_until(lambda box=box, path=path: box.take(path), _SETTLES_S, "an acknowledgement")  # type: ignore[misc]
