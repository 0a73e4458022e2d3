"""Open a pack on the fastest device that gives the right answers, and remember the choice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hardware.choice import Candidate, Measurement, backend_versions, candidates, measure, open_candidate
from hardware.errors import BackendUnavailable
from hardware.processor import cpu_model
from models.golden import GoldenSet, check_golden, load_golden
from models.pack import ModelPack, check_network
from models.runner import PackRunner


@dataclass(frozen=True, slots=True)
class OpenedPack:
    """A pack ready to read. ``fell_back`` says which devices were passed over and why; empty if none was."""

    runner: PackRunner
    measurements: list[Measurement]
    fell_back: list[str]


@dataclass(frozen=True, slots=True)
class _Remembered:
    chosen: str
    measurements: list[Measurement]
    fell_back: list[str]


def open_runner(
    pack: ModelPack,
    cache: Path | None = None,
    *,
    threads: int | None = None,
    among: Sequence[Candidate] | None = None,
) -> OpenedPack:
    """Open ``pack`` on the fastest of the candidates that reproduce its golden set.

    ``cache`` is a JSON file that remembers the choice for this pack, these backend versions and this CPU; the
    golden set is run again all the same. ``among`` replaces what was found on the box.

    Raises:
        BackendUnavailable: no candidate reproduces the golden set; the text says why for each.
        PackUnreadable: the disk did not give the golden set or the network.
        PackRejected: the golden set itself cannot be used.
    """
    golden = load_golden(pack)
    found = list(candidates() if among is None else among)
    key = _key(pack, found, threads)
    remembered = _recall(cache, key)
    for candidate in found:
        if remembered is not None and candidate.name == remembered.chosen:
            try:
                runner = _verified(pack, candidate, golden, threads)
            except BackendUnavailable:
                break  # the device was lost since: look at all of them again
            return OpenedPack(runner, remembered.measurements, remembered.fell_back)
    opened = _fastest(pack, found, golden, threads)
    _remember(cache, key, opened)
    return opened


def _fastest(pack: ModelPack, found: Sequence[Candidate], golden: GoldenSet, threads: int | None) -> OpenedPack:
    runners: dict[Candidate, PackRunner] = {}
    measurements: list[Measurement] = []
    fell_back: list[str] = []
    for candidate in found:
        try:
            session = open_candidate(candidate, pack.network, threads)
            runner = PackRunner(pack, session)
            check_golden(runner, golden)
            measurements.append(measure(session, golden.images[:1]))
            runners[candidate] = runner
        except BackendUnavailable as error:
            fell_back.append(f"{candidate.name}: {error}")
    if not runners:
        check_network(pack)  # when the disk is why, nothing is wrong with the devices
        why = "; ".join(fell_back) or "no backend is installed"
        raise BackendUnavailable(f"nothing here can run {pack.manifest.name}: {why}")
    best = min(measurements, key=lambda one: one.latency_ms_median)
    return OpenedPack(runners[best.candidate], measurements, fell_back)


def _verified(pack: ModelPack, candidate: Candidate, golden: GoldenSet, threads: int | None) -> PackRunner:
    runner = PackRunner(pack, open_candidate(candidate, pack.network, threads))
    check_golden(runner, golden)
    return runner


def _key(pack: ModelPack, found: Sequence[Candidate], threads: int | None) -> str:
    parts = [pack.digest, backend_versions(), cpu_model(), [one.name for one in found], threads]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _entries(cache: Path | None) -> dict[str, object]:
    """A cache that is missing or damaged is an empty one: everything in it can be measured again."""
    if cache is None:
        return {}
    try:
        content = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _recall(cache: Path | None, key: str) -> _Remembered | None:
    entry = _entries(cache).get(key)
    if not isinstance(entry, dict):
        return None
    try:
        measurements = [
            Measurement(**{**one, "candidate": Candidate(**one["candidate"])}) for one in entry["measurements"]
        ]
        return _Remembered(str(entry["chosen"]), measurements, [str(one) for one in entry["fell_back"]])
    except (KeyError, TypeError):
        return None


def _remember(cache: Path | None, key: str, opened: OpenedPack) -> None:
    if cache is None:
        return
    entry = {
        "chosen": opened.runner.device,
        "measurements": [asdict(one) for one in opened.measurements],
        "fell_back": opened.fell_back,
    }
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(_entries(cache) | {key: entry}, indent=1), encoding="utf-8")
