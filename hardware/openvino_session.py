"""OpenVINO: Intel CPUs, GPUs and NPUs, and ARM CPUs. The only file that imports ``openvino``."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hardware.errors import BackendUnavailable
from hardware.processor import multiplies_bytes_exactly
from hardware.session import Session


class _OpenVINOSession:
    def __init__(self, compiled: Any, device: str) -> None:
        self._request = compiled.create_infer_request()
        self._outputs = [(port, port.get_any_name()) for port in compiled.outputs]
        self._device = device

    @property
    def name(self) -> str:
        return f"openvino:{self._device}"

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        try:
            found = self._request.infer([image])
        except (RuntimeError, TypeError, ValueError) as error:
            raise BackendUnavailable(f"{self.name} did not finish a run: {_first_line(error)}") from error
        return {name: np.array(found[port], dtype=np.float32) for port, name in self._outputs}


def open_openvino(network: Path, device: str = "CPU", threads: int | None = None) -> Session:
    """Load an ONNX file on an OpenVINO device for single images.

    ``threads`` limits the CPU threads; None leaves the choice to OpenVINO. On a CPU the precision is set to
    float32 explicitly: OpenVINO picks bfloat16 by itself where the CPU has it, which moves probabilities. One that
    multiplies bytes with loss computes quantised layers in float32, too.

    Raises:
        BackendUnavailable: OpenVINO or the device is missing, or the network does not load there.
    """
    openvino = _import_openvino()
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "CPU":
        options["INFERENCE_PRECISION_HINT"] = "f32"
        if not multiplies_bytes_exactly():
            options["LP_TRANSFORMS_MODE"] = False
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
    try:
        core = openvino.Core()
        model = core.read_model(network.read_bytes())
        _fix_batch(model)
        return _OpenVINOSession(core.compile_model(model, device, options), device)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise BackendUnavailable(f"openvino:{device} cannot load {network.name}: {_first_line(error)}") from error


def openvino_devices() -> list[str]:
    """The devices OpenVINO sees, CPU first; empty when OpenVINO is missing or broken."""
    try:
        found: list[str] = list(_import_openvino().Core().available_devices)
    except (BackendUnavailable, RuntimeError):
        return []
    return sorted(found, key=lambda device: (device != "CPU", device))


def openvino_abilities(device: str) -> tuple[str, tuple[str, ...]]:
    """The full name of a device and the kinds of number it computes with, as OpenVINO says; empty where it does not."""
    try:
        core = _import_openvino().Core()
        name = str(core.get_property(device, "FULL_DEVICE_NAME"))
        return name, tuple(str(one) for one in core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    except (BackendUnavailable, RuntimeError, TypeError):
        return "", ()


def openvino_version() -> str | None:
    """The version of OpenVINO, None when it is not installed."""
    try:
        return str(_import_openvino().__version__)
    except BackendUnavailable:
        return None


def _import_openvino() -> Any:
    # It counts its users by this package if it finds it, at every import; without, it counts nobody.
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
    try:
        import openvino
    except ImportError as error:
        raise BackendUnavailable(f"OpenVINO cannot be imported: {_first_line(error)}") from error
    return openvino


def _fix_batch(model: Any) -> None:
    """A fixed batch of one: NPUs need it and CPUs are faster with it."""
    shape = model.inputs[0].partial_shape
    if len(model.inputs) == 1 and shape.rank.is_static and shape[0].is_dynamic:
        shape[0] = 1
        model.reshape(shape)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
