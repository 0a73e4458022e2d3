"""The head of a box pack: goes on from the pack's features where the image is not at hand.

The box reduces the features of a picture to one byte each, and that is all that leaves it; the head makes logits of
these bytes at the cloud. The bytes mean something to this very pack only, so the head lies in its folder and is found
by its digest.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import PackRejected

_REPAIR = "Export the pack again with its head"
_MOST = 255
MOST_FEATURES = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """``f`` features, ``k`` logits; all float32.

    A feature becomes ``round((feature - low) / step)``, cut to 0..255: ``low (f,)``, ``step (f,)``. The logits are
    ``weight (f, k)`` times these bytes, plus ``offset (k,)``.
    """

    low: NDArray[np.float32]
    step: NDArray[np.float32]
    weight: NDArray[np.float32]
    offset: NDArray[np.float32]

    def reduced(self, features: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Features ``(…, f)`` as one byte each."""
        levels = np.rint((features - self.low) / self.step)
        reduced: NDArray[np.uint8] = np.clip(levels, 0, _MOST).astype(np.uint8)
        return reduced

    def logits(self, reduced: NDArray[np.uint8]) -> NDArray[np.float64]:
        """``(…, f)`` bytes → ``(…, k)`` logits, not yet calibrated."""
        found: NDArray[np.float64] = reduced.astype(np.float64) @ self.weight.astype(np.float64) + self.offset
        return found

    def save(self, path: Path) -> None:
        """Write the head as ``npz``."""
        arrays = {field.name: getattr(self, field.name).astype(np.float32) for field in fields(self)}
        np.savez_compressed(path, allow_pickle=False, **arrays)


def load_head(path: Path, pack: str, outputs: int) -> Head:
    """Read the head of a pack whose network has so many outputs.

    Raises:
        PackRejected: it cannot be read, its parts do not fit each other, or a number in it is not finite.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            head = Head(**{field.name: arrays[field.name].astype(np.float32) for field in fields(Head)})
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise PackRejected(pack, f"the head cannot be read ({type(error).__name__})", _REPAIR) from None
    count = head.low.size
    fits = 0 < count <= MOST_FEATURES and head.low.shape == head.step.shape == (count,)
    fits = fits and head.weight.shape == (count, outputs) and head.offset.shape == (outputs,)
    finite = all(np.isfinite(getattr(head, field.name)).all() for field in fields(Head))
    if not (fits and finite and (head.step > 0).all()):
        raise PackRejected(pack, "the head's numbers do not fit each other", _REPAIR)
    return head
