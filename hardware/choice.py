"""What could run a network on this box, and how fast it does: chosen by measurement, not by belief.

An INT8 network can be three times faster on one backend and four times slower on another, on the same CPU.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hardware.errors import BackendUnavailable
from hardware.onnxruntime_session import onnxruntime_version, open_onnxruntime
from hardware.openvino_session import open_openvino, openvino_abilities, openvino_devices, openvino_version
from hardware.session import Session

Backend = Literal["openvino", "onnxruntime"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend with one of its devices."""

    backend: Backend
    device: str

    @property
    def name(self) -> str:
        """As :attr:`hardware.session.Session.name`, for example ``openvino:GPU``."""
        return f"{self.backend}:{self.device}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The wall time of one run on a candidate, over ``rounds`` runs after a warm-up."""

    candidate: Candidate
    latency_ms_median: float
    latency_ms_p95: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Ability:
    """What a candidate can do: its full name and the kinds of number it computes with; empty if it does not say."""

    candidate: Candidate
    full_name: str
    kinds: tuple[str, ...]


def abilities() -> list[Ability]:
    """What every candidate of this machine says of itself."""
    return [
        Ability(one, *(openvino_abilities(one.device) if one.backend == "openvino" else ("", ())))
        for one in candidates()
    ]


def candidates() -> list[Candidate]:
    """Everything installed here that could run a network; empty when no backend is installed."""
    found = [Candidate("openvino", device) for device in openvino_devices()]
    if onnxruntime_version() is not None:
        found.append(Candidate("onnxruntime", "CPU"))
    return found


def open_candidate(candidate: Candidate, network: Path, threads: int | None = None) -> Session:
    """Load ``network`` on ``candidate``.

    Raises:
        BackendUnavailable: the backend or device is missing, or the network does not load there.
    """
    if candidate.backend == "openvino":
        return open_openvino(network, candidate.device, threads)
    if candidate.device != "CPU":
        raise BackendUnavailable(f"ONNX Runtime is used on the CPU only, not on {candidate.device}")
    return open_onnxruntime(network, threads)


def measure(session: Session, example: NDArray[np.float32], rounds: int = 15, warmup: int = 3) -> Measurement:
    """Time ``rounds`` runs of ``example (1, c, h, w)`` after ``warmup`` runs that do not count.

    Raises:
        BackendUnavailable: a run failed.
        ValueError: ``rounds`` is not positive.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, at least one is needed")
    for _ in range(warmup):
        session.run(example)
    times_ms = [_timed_ms(session, example) for _ in range(rounds)]
    median, p95 = np.percentile(times_ms, [50, 95])
    return Measurement(candidate_of(session.name), float(median), float(p95), rounds)


def candidate_of(name: str) -> Candidate:
    """The candidate behind a session's name. Raises ValueError for a name no session has."""
    backend, _, device = name.partition(":")
    if backend == "openvino" and device:
        return Candidate("openvino", device)
    if backend == "onnxruntime" and device:
        return Candidate("onnxruntime", device)
    raise ValueError(f"{name!r} is not backend:device")


def backend_versions() -> dict[str, str]:
    """The installed backends with their versions."""
    found = {"openvino": openvino_version(), "onnxruntime": onnxruntime_version()}
    return {name: version for name, version in found.items() if version is not None}


def _timed_ms(session: Session, example: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    session.run(example)
    return (time.perf_counter() - started) * 1000.0
