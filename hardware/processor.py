"""What Linux says of the processors of this machine."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")
#: x86 writes "model name"; ARM boards write "Model", or only "Hardware".
_MODEL_KEYS: Final = ("model name", "model", "hardware")
_VNNI: Final = {"avx512_vnni", "avx_vnni"}


def cpu_model(cpuinfo: Path = _CPUINFO) -> str:
    """The CPU's name from ``/proc/cpuinfo``, or its architecture where there is no such name."""
    pairs = _pairs(cpuinfo)
    for wanted in _MODEL_KEYS:
        for key, value in pairs:
            if key == wanted and value and not value.isdigit():
                return value
    return platform.machine()


def multiplies_bytes_exactly(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether products of bytes are added without loss; True also where nothing is known, and on ARM.

    x86 without VNNI adds two products of an unsigned and a signed byte in 16 bits (VPMADDUBSW), which saturates: a
    quantised network then gives other answers than the ones it was checked with. Source: "Quantize ONNX models" of
    ONNX Runtime's documentation, on AVX2 and AVX512.
    """
    return all(_VNNI & set(value.split()) for key, value in _pairs(cpuinfo) if key == "flags")


def _pairs(cpuinfo: Path) -> list[tuple[str, str]]:
    """Key in lower case and value of each line; none where there is no such file."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [(key.strip().lower(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
