"""What machine this is."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from hardware.inventory import take_inventory
from hardware.processor import cpu_model


def test_the_numbers_are_plausible(tmp_path: Path) -> None:
    """Positive, and the free part is not more than the whole."""
    found = take_inventory(tmp_path)
    assert found.cores >= 1
    assert found.memory_bytes > 1 << 28
    assert 0 <= found.disk_free_bytes <= found.disk_total_bytes
    assert found.cpu_model
    assert "onnxruntime:CPU" in found.devices
    assert set(found.backends) == {"openvino", "onnxruntime"}


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The free space of another disk would be a lie."""
    with pytest.raises(OSError, match="gone"):
        take_inventory(tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Quick CPU @ 2 GHz\n", "Quick CPU @ 2 GHz"),
        ("processor : 0\nHardware : BCM2835\nModel : Raspberry Pi 5\n", "Raspberry Pi 5"),
        ("Hardware : BCM2835\n", "BCM2835"),
        ("processor : 0\nmodel : 85\n", platform.machine()),
    ],
)
def test_cpu_names_of_two_worlds(tmp_path: Path, text: str, model: str) -> None:
    """x86 and ARM write different keys; a bare number is no name."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(text)
    assert cpu_model(cpuinfo) == model


def test_no_cpuinfo_leaves_the_architecture(tmp_path: Path) -> None:
    """As on systems without /proc."""
    assert cpu_model(tmp_path / "none") == platform.machine()
