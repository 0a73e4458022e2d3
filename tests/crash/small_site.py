"""A small site that can be hurt: box, cloud and PACS as real processes, a scanner that keeps what was not acknowledged.

Small images, a pack that is made in a moment, no page: one study takes about a second from the scanner to the answer.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path

from pynetdicom import AE
from pynetdicom.presentation import build_context
from sqlalchemy import select

from appliance.configuration import load_settings
from appliance.demo.archive import Archive
from appliance.demo.stage import free_port, listening
from appliance.home import open_home
from appliance.schema import studies
from store_forward.cloud import messages
from store_forward.database import open_database, reading, writing
from store_forward.protocol import NoticeBody, ThresholdsBody
from tests.crash.processes import Running, fork
from tests.dicom_factory import as_file, uid
from tests.listening_webhook import SECRET, WebhookServer, listening_webhook
from tests.small_box import image
from tests.tiny_pack import Says, write_tiny_pack

NAMES = ("receiver", "triage", "uplink", "cloud-endpoint", "cloud-analysis")
_SETTLES_S = 240.0  # many times what it takes; a busy machine must not look like a stranded study


@dataclass(frozen=True)
class Sent:
    """One instance of the scanner."""

    path: Path
    sop_instance_uid: str
    study_instance_uid: str


@dataclass
class Told:
    """The history: every status a sender got, or None where the association broke, in order."""

    statuses: dict[str, list[int | None]] = field(default_factory=dict)

    def note(self, image: Sent, status: int | None) -> None:
        """One more answer, or none, about an image."""
        self.statuses.setdefault(image.sop_instance_uid, []).append(status)

    def acknowledged(self) -> set[str]:
        """The SOP Instance UIDs of which some sender believes that they are safe."""
        return {uid for uid, statuses in self.statuses.items() if 0x0000 in statuses}


class SmallSite:
    """Use :func:`small_sites`. Processes that end are started again at once, as by their supervisor."""

    def __init__(self, folder: Path, archive: Archive, packs: Path, pager: WebhookServer, more: str = "") -> None:
        self.folder = folder
        self.pager = pager
        self.archive = archive
        self.dicom_port, self.cloud_port = free_port(), free_port()
        self._token = secrets.token_hex(16)
        folder.mkdir()
        (folder / "pager-secret").write_text(SECRET, encoding="utf-8")
        self._config = folder / "scanside.toml"
        self._config.write_text(self._configuration(packs) + more, encoding="utf-8")
        self.settings = load_settings(self._config)
        self.home = open_home(self.settings)
        self.log = folder / "log.txt"
        self.told = Told()
        self.starts = 0
        self._running: dict[str, Running] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._start_again, daemon=True)
        self._numbers = itertools.count()

    def _configuration(self, packs: Path) -> str:
        return f"""home = "{self.folder / "box"}"
[dicom]
port = {self.dicom_port}
quiet_time_s = 0.0
association_timeout_s = 10.0
[limits]
free_disk_floor_bytes = 0
[triage]
packs = "{packs}"
[cloud]
url = "http://127.0.0.1:{self.cloud_port}"
answer_wait_s = 2.0
timeout_s = 5.0
backoff_cap_s = 1.0
chunk_bytes = 4096
[cloud_endpoint]
port = {self.cloud_port}
[[webhook]]
name = "pager"
url = "{self.pager.url}"
secret_file = "{self.folder / "pager-secret"}"
[[pacs]]
name = "archive"
host = "127.0.0.1"
port = {self.archive.port}
ae_title = "{self.archive.ae_title}"
timeout_s = 5.0
"""

    def open(self) -> None:
        """Start every process and wait until box and cloud listen."""
        for name in NAMES:
            self.start(name)
        self._supervisor.start()
        wait_until(lambda: listening(self.dicom_port) and listening(self.cloud_port), 60.0, "the site to listen")

    def close(self) -> None:
        """End every process."""
        self._closing.set()
        self._supervisor.join(5.0)
        for running in self._running.values():
            running.kill()
        self.home.engine.dispose()

    def start(self, name: str, before: Callable[[int], None] = lambda pid: None) -> None:
        """Fork a process; ``before`` it does anything, something can be attached to its process id."""
        running = fork(name, self._config, self.log, self._token)
        before(running.pid)
        running.release()
        self.starts += 1
        self._running[name] = running

    def replace(self, name: str, before: Callable[[int], None]) -> Running:
        """End the running process of this name and start one to which something is attached first."""
        with self._lock:
            self._running[name].kill()
            self.start(name, before)
            return self._running[name]

    def warn(self) -> int:
        """The cloud's operator sends this box a notice and lines that settle more; returns the last number."""
        engine = open_database(self.settings.home / "cloud" / "cloud.sqlite")
        with writing(engine) as connection:
            box = [self.settings.cloud.box_id]
            messages.send(connection, box, NoticeBody(level="info", text="hello"), time.time())
            lines = ThresholdsBody(pack_digest="f" * 64, routine_below=0.5, urgent_from=0.5)
            [last] = messages.send(connection, box, lines, time.time())
        engine.dispose()
        return last

    def hears(self, last: int, timeout_s: float = _SETTLES_S) -> bool:
        """Wait until the cloud knows what became of every message up to this number; False when it does not by then."""
        give_up = time.monotonic() + timeout_s
        while not (done := self.heard(last)) and time.monotonic() < give_up:
            time.sleep(0.05)
        return done

    def heard(self, last: int) -> bool:
        """Whether the cloud knows what became of every message up to this number."""
        engine = open_database(self.settings.home / "cloud" / "cloud.sqlite")
        with reading(engine) as connection:
            known = [one.outcome for one in messages.sent(connection, None, 10_000) if one.seq <= last]
        engine.dispose()
        return bool(known) and None not in known

    def running(self, name: str) -> Running:
        """The process that has this name now."""
        with self._lock:
            return self._running[name]

    def send(self, images: Sequence[Sent], give_up_s: float = _SETTLES_S) -> list[Sent]:
        """Send over one association after another until each image is acknowledged; what never was is returned."""
        give_up = time.monotonic() + give_up_s
        left = list(images)
        while left and time.monotonic() < give_up:
            left = self.send_once(left)
            if left:
                time.sleep(0.05)
        return left

    def send_once(self, images: Sequence[Sent]) -> list[Sent]:
        """One association for all; returns what was not acknowledged. Every answer goes into the history."""
        if not images:
            return []
        ae = AE(ae_title="SCANNER")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 10.0
        ae.requested_contexts = [build_context("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.1.2.1")]
        association = ae.associate("127.0.0.1", self.dicom_port, ae_title="SCANSIDE")
        refused = []
        for one in images:
            status = None
            if association.is_established:
                answer = association.send_c_store(one.path)
                status = int(answer.Status) if "Status" in answer else None
                self.told.note(one, status)
            if status != 0x0000:
                refused.append(one)
        if association.is_established:
            association.release()
        return refused

    def new_images(self) -> list[Sent]:
        """Two studies: one the box escalates, of one image, and one it reads by itself, of two."""
        number = next(self._numbers)
        kinds: tuple[tuple[str, Says], ...] = (("a", "escalate"), ("b", "urgent"), ("b", "routine"))
        return [self._new_image(number, place, *kind) for place, kind in enumerate(kinds)]

    def _new_image(self, number: int, place: int, study: str, says: Says) -> Sent:
        seed = f"{self.folder.name} {number} {place}"
        study_uid = uid(f"{self.folder.name} {number} {study}")
        dataset = image(says, seed=seed, StudyInstanceUID=study_uid)
        path = as_file(dataset, self.folder / "scanner" / f"{number:05}-{place}.dcm")
        return Sent(path, str(dataset.SOPInstanceUID), study_uid)

    def settled(self, images: Sequence[Sent]) -> bool:
        """Whether every study of these images is settled."""
        wanted = {image.study_instance_uid for image in images}
        query = select(studies.c.study_instance_uid).where(studies.c.study_instance_uid.in_(sorted(wanted)))
        with reading(self.home.engine) as connection:
            done = set(connection.execute(query.where(studies.c.state == "settled")).scalars())
        return done == wanted

    def settles(self, images: Sequence[Sent], timeout_s: float = _SETTLES_S) -> bool:
        """Wait for every study of these images to settle; False when they have not by then."""
        give_up = time.monotonic() + timeout_s
        while not (done := self.settled(images)) and time.monotonic() < give_up:
            time.sleep(0.1)  # each look costs as much as what is looked at
        return done

    def _start_again(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                sentinels = {running.process.sentinel: name for name, running in self._running.items()}
            for ended in wait_for_any(list(sentinels), 0.05):
                with self._lock:
                    name = sentinels[ended]  # type: ignore[index]
                    if not self._running[name].alive():
                        self._running[name].kill()
                        self.start(name)


@contextmanager
def small_sites(folder: Path, number: int, more: str = "") -> Iterator[list[SmallSite]]:
    """So many sites, each with everything of its own but the PACS; ``more`` ends their configuration."""
    packs = folder / "packs"
    write_tiny_pack(packs / "tiny-box", "box", "tiny-box", thresholds=(0.2, 0.8))
    write_tiny_pack(packs / "tiny-cloud", "cloud", "tiny-cloud", thresholds=(0.5, 0.5))
    archive = Archive()
    with ExitStack() as stack:
        stack.callback(archive.close)
        sites = []
        for place in range(number):
            pager = stack.enter_context(listening_webhook())
            sites.append(SmallSite(folder / f"site-{place}", archive, packs, pager, more))
            stack.callback(sites[-1].close)
            sites[-1].open()
        yield sites


def wait_until(done: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until ``done``."""
    give_up = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.02)
