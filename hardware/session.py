"""One loaded network, whatever runs it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Session(Protocol):
    """A network on a device. Not safe for use from two threads at once."""

    @property
    def name(self) -> str:
        """Backend and device, for example ``openvino:CPU`` or ``onnxruntime:CPU``."""

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run ``(1, channels, height, width)`` float32 and return every output by its name, float32.

        The arrays are the caller's own: a later run does not change them.

        Raises:
            BackendUnavailable: the device did not finish the run, or the shape is not the network's.
        """
