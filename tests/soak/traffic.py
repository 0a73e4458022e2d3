"""What a box has to live with for an hour: images, bare TCP probes, aborted associations, a page that is looked at."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE

from appliance.demo.stage import Stage
from appliance.demo.studies import DemoImage, synthetic_studies

_BACKLOG = 30  # studies on their way; above it the scanner pauses, as no clinic outruns its box for an hour


@dataclass
class Nuisances:
    """How often each was done."""

    probes: int = 0
    aborted: int = 0
    cuts: int = 0
    cloud_restarts: int = 0


class Traffic:
    """Images from a scanner of its own thread, and nuisances from the caller's."""

    def __init__(self, stage: Stage, folder: Path, rng: random.Random) -> None:
        self._stage = stage
        self._folder = folder
        self._rng = rng
        (folder / "drawn").mkdir(parents=True)
        drawn = [dcmread(image.path) for image in synthetic_studies(folder / "drawn")]
        self._drawn = cycle(drawn)
        self._numbers = count()
        self.acknowledged: list[DemoImage] = []
        self.done = Nuisances()

    def run(self, seconds: float) -> None:
        """All of it for so long; then everything settles."""
        until = time.monotonic() + seconds
        with self._sending():
            for turn in count():
                if time.monotonic() > until:
                    break
                self._probe()
                self._abort()
                self._look_at_the_page()
                if turn % 20 == 10:
                    self._flap(restart=turn % 100 == 50)
                time.sleep(0.5)
        self._stage.wait(lambda: set(self._stage.states()) <= {"settled"}, 600.0, "every study to settle")

    @contextmanager
    def _sending(self) -> Iterator[None]:
        stop = threading.Event()
        sender = threading.Thread(target=self._send_images, args=(stop,))
        sender.start()
        try:
            yield
        finally:
            stop.set()
            sender.join(60.0)

    def _send_images(self, stop: threading.Event) -> None:
        while not stop.wait(0.3):
            states = self._stage.states()
            if sum(states.values()) - states.get("settled", 0) < _BACKLOG:
                image = self._next_image()
                if self._stage.send(image.path):
                    self.acknowledged.append(image)
                image.path.unlink()

    def _next_image(self) -> DemoImage:
        dataset: Dataset = next(self._drawn)
        dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (generate_uid() for _ in "123")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        path = self._folder / f"{next(self._numbers)}.dcm"
        dcmwrite(path, dataset, enforce_file_format=True)
        return DemoImage(path, dataset.StudyInstanceUID, dataset.SOPInstanceUID)

    def _probe(self) -> None:
        """A port scanner: connect and leave, or say something that is no DICOM."""
        for port in (self._stage.dicom_port, self._stage.page_port):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2.0) as probe:
                if self._rng.random() < 0.5:
                    probe.sendall(self._rng.randbytes(64))
            self.done.probes += 1

    def _abort(self) -> None:
        """A scanner that gives up: by A-ABORT, or by a line that breaks."""
        ae = AE(ae_title="ABORTER")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 5.0
        ae.add_requested_context("1.2.840.10008.1.1")
        association = ae.associate("127.0.0.1", self._stage.dicom_port, ae_title="SCANSIDE")
        if association.is_established and self._rng.random() < 0.5:
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        if association.is_established:
            association.abort()
        self.done.aborted += 1

    def _look_at_the_page(self) -> None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{self._stage.page_port}/", timeout=10.0).read()

    def _flap(self, *, restart: bool) -> None:
        self._stage.link.cut()
        self.done.cuts += 1
        if restart:
            self._restart_the_cloud()
        time.sleep(2.0)
        self._stage.link.restore()

    def _restart_the_cloud(self) -> None:
        (cloud,) = [one for one in self._stage.programs() if isinstance(one.args, list) and "cloud" in one.args]
        cloud.terminate()
        cloud.wait(120.0)  # on a busy machine, too
        if cloud.stdin is not None:
            cloud.stdin.close()
        self._stage.start("cloud")
        self.done.cloud_restarts += 1
