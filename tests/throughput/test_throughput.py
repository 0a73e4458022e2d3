"""How fast images are taken in, beside DCMTK's and Orthanc's receivers: one sender, one disk, one run.

``make throughput`` starts each of the three with an empty store for every round and sends them the same files with
DCMTK's ``storescu``; what counts is the time from its start to its end, once whoever receives has started and the
machine is quiet. All have TCP_NODELAY. Ours is the whole box and fsyncs each file and its row before it answers.
Orthanc is as it is shipped, which fsyncs each file (``SyncStorageArea``) and not its index; ``storescp`` fsyncs
nothing, and is a process for each association.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom.uid import UID, CTImageStorage, DigitalXRayImageStorageForPresentation
from rich.console import Console
from rich.progress import track
from rich.table import Table

from appliance.schema import devices, instances
from tests.dicom_factory import as_file, chest_radiograph, uid
from tests.interop.peers import ENVIRONMENT, Box, program, storescp, wait
from tests.interop.test_orthanc import orthanc

pytestmark = [pytest.mark.throughput, pytest.mark.timeout(3600)]

_ROUNDS = int(os.environ.get("ROUNDS", "5"))
_SENDERS = 4
_QUIET_PERCENT = 10.0


@dataclass(frozen=True)
class Load:
    """So many images of 16-bit pixels, dealt to four folders, a study in each."""

    name: str
    sop_class_uid: UID
    modality: str
    count: int
    rows: int
    columns: int


LOADS = (
    Load("400 CT of 512 x 512 x 16 bits", CTImageStorage, "CT", 400, 512, 512),
    Load("30 DX of 10 MB", DigitalXRayImageStorageForPresentation, "DX", 30, 2500, 2000),
)

Peer = Callable[[Path], AbstractContextManager[int]]


@contextmanager
def _scanside(folder: Path, more: str = "") -> Iterator[int]:
    folder.mkdir()
    box = Box(folder, more)
    with box.serving("serve"):
        wait(lambda: bool(box.rows(devices)), 120.0, "the packs to be measured on this machine's devices")
        yield box.port
        held = len(box.rows(instances))
    assert held in {load.count for load in LOADS}, f"{held} instances are there"


@contextmanager
def _orthanc(folder: Path) -> Iterator[int]:
    with orthanc(folder) as peer:
        yield peer.dicom_port


PEERS: dict[str, Peer] = {
    "Scanside": _scanside,
    "not encrypted": lambda folder: _scanside(folder, "[at_rest]\nencrypt = false\n"),
    "Orthanc": _orthanc,
    "storescp": lambda folder: storescp(folder, "--fork"),
}


def _written(load: Load, folder: Path) -> list[Path]:
    pixels = np.random.default_rng(20265).integers(0, 4096, (load.rows, load.columns), dtype=np.uint16)
    folders = [folder / f"study-{number}" for number in range(_SENDERS)]
    image = chest_radiograph(seed=load.modality, pixels=pixels, SOPClassUID=load.sop_class_uid, Modality=load.modality)
    image.file_meta.MediaStorageSOPClassUID = load.sop_class_uid
    for number in range(load.count):
        study = number % _SENDERS
        image.StudyInstanceUID = UID(uid(f"{load.name} study {study}"))
        image.SeriesInstanceUID = UID(uid(f"{load.name} series {study}"))
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(uid(f"{load.name} instance {number}"))
        image.InstanceNumber = number
        as_file(image, folders[study] / f"{number}.dcm")
    return folders


def _seconds(port: int, shares: list[list[Path]]) -> float:
    """From the start of all senders to the end of the last; each sends its share over one association."""
    options = ["-aec", "SCANSIDE", "+sd", "+r", "-nh", "127.0.0.1", str(port)]
    started = time.perf_counter()
    senders = [subprocess.Popen([program("storescu"), *options, *map(str, share)], env=ENVIRONMENT) for share in shares]
    statuses = [sender.wait() for sender in senders]
    seconds = time.perf_counter() - started
    assert statuses == [0] * len(senders), "a sender was refused"
    return seconds


@pytest.mark.xfail(
    reason="docs/reference/figures.md says how far below the bar it is, and why", raises=AssertionError, strict=False
)
@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.modality)
@pytest.mark.parametrize("at_once", [1, _SENDERS], ids=["one association", "four at once"])
def test_beside_the_others(load: Load, at_once: int, tmp_path: Path) -> None:
    """Instances a second of each, as medians over the rounds; the peers take turns within a round.

    The bar is 1.5 times Orthanc's over one association, twice over four.
    """
    folders = _written(load, tmp_path / "files")
    shares = [folders] if at_once == 1 else [[folder] for folder in folders]
    rates: dict[str, list[float]] = {name: [] for name in PEERS}
    for number in track(range(_ROUNDS), f"{load.name}, {at_once} at once"):
        for name, peer in PEERS.items():
            with peer(tmp_path / f"{name}-{number}") as port:
                wait(lambda: psutil.cpu_percent(0.5) < _QUIET_PERCENT, 60.0, "the machine to be quiet")
                rates[name].append(load.count / _seconds(port, shares))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    table = Table("receiver", "instances/s", "of Orthanc's", title=f"{load.name}, {at_once} association(s) at once")
    for name, median in medians.items():
        table.add_row(name, f"{median:.0f}", f"{median / medians['Orthanc']:.2f} x")
    Console().print(table)
    assert medians["Scanside"] >= (1.5 if at_once == 1 else 2.0) * medians["Orthanc"]
