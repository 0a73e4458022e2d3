"""Whether this processor multiplies bytes without loss.

x86 without VNNI adds two products of an unsigned and a signed byte in 16 bits (VPMADDUBSW), which saturates: a
quantised network then gives other answers than the ones it was checked with. Source: "Quantize ONNX models" of ONNX
Runtime's documentation, on AVX2 and AVX512.
"""

from __future__ import annotations

from pathlib import Path

_CPU = Path("/proc/cpuinfo")
_VNNI = {"avx512_vnni", "avx_vnni"}


def multiplies_bytes_exactly(cpu: Path = _CPU) -> bool:
    """True also where nothing is known, and on ARM; ``cpu`` is what the system says of its processors."""
    try:
        lines = cpu.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    flags = [set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return all(_VNNI & found for found in flags)
