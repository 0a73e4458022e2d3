"""The golden set of a pack: does this backend, on this box, say what the network said where it was made?"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.errors import BackendUnavailable
from models.errors import CannotTriage, PackRejected, not_read
from models.pack import ModelPack
from models.preprocessing import FloatImage
from models.runner import PackRunner


@dataclass(frozen=True, slots=True, eq=False)
class GoldenSet:
    """``images (n, 1, size, size)`` float32 as the network eats them, ``probabilities (n, k)`` expected.

    ``passed (n,)`` says which of them the gate lets through; all of them where the pack has none.
    """

    images: FloatImage
    probabilities: NDArray[np.float64]
    passed: NDArray[np.bool_]


def load_golden(pack: ModelPack) -> GoldenSet:
    """Read a pack's golden set.

    Raises:
        PackUnreadable: the disk did not give it.
        PackRejected: it cannot be read, is empty, or does not fit the manifest's input and findings.
    """
    repair = "Export the pack again with its golden set"
    try:
        with pack.golden.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            images = np.ascontiguousarray(arrays["image"], dtype=np.float32)
            probabilities = np.asarray(arrays["probability"], dtype=np.float64)
            passed = np.asarray(arrays["passed"], dtype=np.bool_)
    except OSError as error:
        raise not_read(pack.manifest.name, "the golden set", error, repair) from None
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        why = f"the golden set cannot be read ({type(error).__name__})"
        raise PackRejected(pack.manifest.name, why, repair) from None
    size, count = pack.manifest.input.size_px, pack.manifest.outputs
    fits = images.shape[1:] == (1, size, size) and probabilities.shape == (len(images), count)
    if len(images) == 0 or not fits or passed.shape != (len(images),):
        raise PackRejected(pack.manifest.name, "the golden set does not fit the manifest", repair)
    return GoldenSet(images, probabilities, passed)


def check_golden(runner: PackRunner, golden: GoldenSet) -> float:
    """Run the golden set one image at a time and return the largest difference of a probability.

    Raises:
        BackendUnavailable: a run fails, the difference is over the manifest's ``golden_tolerance``, or the gate does
            not refuse what it has to refuse and nothing else.
    """
    largest = 0.0
    for index, expected in enumerate(golden.probabilities):
        try:
            found = runner.infer(golden.images[index : index + 1])
        except CannotTriage as failure:
            raise BackendUnavailable(f"{runner.device}: {failure.detail}") from failure
        largest = max(largest, float(np.abs(found.probabilities - expected).max()))
        if (runner.refusal(found) is None) != golden.passed[index]:
            answer = "refuses" if golden.passed[index] else "lets through"
            raise BackendUnavailable(f"{runner.device}: the gate {answer} picture {index + 1} of the golden set")
    tolerance = runner.pack.manifest.golden_tolerance
    if not largest <= tolerance:
        raise BackendUnavailable(
            f"{runner.device} differs from the golden set by {largest:.4f}, allowed is {tolerance}"
        )
    return largest
