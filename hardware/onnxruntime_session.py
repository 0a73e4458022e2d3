"""ONNX Runtime on the CPU: runs everywhere. The only file that imports ``onnxruntime``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.errors import BackendUnavailable
from hardware.session import Session

_PROVIDER = "CPUExecutionProvider"
_ERRORS_ONLY = 3
_EXACT_BYTES = "session.x64quantprecision"
"""On x86 without VNNI: unsigned weights instead of products that saturate.

See :func:`hardware.processor.multiplies_bytes_exactly`."""


class _ONNXRuntimeSession:
    name = "onnxruntime:CPU"

    def __init__(self, session: Any, failures: tuple[type[Exception], ...]) -> None:
        self._session = session
        self._failures = failures
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        try:
            found = self._session.run(self._outputs, {self._input: image})
        except self._failures as error:
            raise BackendUnavailable(f"{self.name} did not finish a run: {_first_line(error)}") from error
        return {name: np.asarray(value, dtype=np.float32) for name, value in zip(self._outputs, found, strict=True)}


def open_onnxruntime(network: Path, threads: int | None = None) -> Session:
    """Load an ONNX file for the CPU execution provider; ``threads`` None leaves the number to ONNX Runtime.

    Raises:
        BackendUnavailable: ONNX Runtime is missing, or the network does not load.
    """
    runtime = _import_onnxruntime()
    failures = _failures(runtime)
    not_loaded: tuple[type[Exception], ...] = (OSError, *failures)
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry(_EXACT_BYTES, "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = runtime.InferenceSession(network.read_bytes(), options, providers=[_PROVIDER])
    except not_loaded as error:
        why = f"onnxruntime:CPU cannot load {network.name}: {_first_line(error)}"
        raise BackendUnavailable(why) from error
    return _ONNXRuntimeSession(session, failures)


def onnxruntime_version() -> str | None:
    """The version of ONNX Runtime, None when it is not installed."""
    try:
        return str(_import_onnxruntime().__version__)
    except BackendUnavailable:
        return None


def _import_onnxruntime() -> Any:
    os.environ["ORT_DISABLE_TELEMETRY"] = (
        "1"  # since 1.29 it tells its maker of every network, unless it is told not to
    )
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(f"ONNX Runtime cannot be imported: {_first_line(error)}") from error
    return onnxruntime


def _failures(runtime: Any) -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: a family of its own without a common parent, and the built-in ones."""
    state = runtime.capi.onnxruntime_pybind11_state
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, OSError)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
