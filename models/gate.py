"""The gate: is this the kind of picture the pack was made for? Asked of what the same run saw, at no second run.

Two questions, both must be answered with yes. *Likeness* is a logistic score learned from pictures of the intended
kind against pictures of other kinds. *Distance* is how far the picture lies from the intended ones altogether
(Mahalanobis distance in their principal axes plus what these axes leave over), which also holds for kinds that nobody
showed to the gate.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import PackRejected, not_read

FEATURES = "features"
_LARGEST_DEVIATION = 10.0
#: So much more likeness is as comfortable as no distance at all.
_LIKENESS_SCALE = 5.0
_REPAIR = "Export the pack again with its gate"


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """``f`` features, ``d`` principal axes; all float32.

    Features are standardised by ``centre (f,)`` and ``spread (f,)`` and cut at ±10. Likeness is ``weight (f,)`` times
    them plus ``offset``; it must be at least ``least``. ``axes (d, f)`` are orthonormal, ``variance (d,)`` is theirs,
    ``left_over`` the mean square outside of them; the distance is a mean over all terms and at most ``farthest``.
    """

    centre: NDArray[np.float32]
    spread: NDArray[np.float32]
    weight: NDArray[np.float32]
    offset: NDArray[np.float32]
    axes: NDArray[np.float32]
    variance: NDArray[np.float32]
    left_over: NDArray[np.float32]
    least: NDArray[np.float32]
    farthest: NDArray[np.float32]

    def likeness(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, f)`` → ``(n,)``; higher is more like the intended kind."""
        score: NDArray[np.float32] = self.standardised(features) @ self.weight + self.offset
        return score

    def distance(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, f)`` → ``(n,)``; about 1 for the intended kind."""
        standardised = self.standardised(features)
        along = standardised @ self.axes.T
        outside = (standardised**2).sum(axis=1) - (along**2).sum(axis=1)
        inside = (along**2 / self.variance).mean(axis=1)
        away: NDArray[np.float32] = (inside + np.maximum(outside, 0.0) / self.left_over) / 2.0
        return away

    def inside(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, f)`` → ``(n,)``: how far within both lines; refused below 0."""
        near = 1.0 - self.distance(features) / self.farthest
        within: NDArray[np.float32] = np.minimum((self.likeness(features) - self.least) / _LIKENESS_SCALE, near)
        return within

    def refusal(self, features: NDArray[np.float32]) -> str | None:
        """Why one picture's features ``(f,)`` are refused, in numbers; None when it is of the intended kind."""
        likeness, distance = float(self.likeness(features[None])[0]), float(self.distance(features[None])[0])
        if likeness >= self.least and distance <= self.farthest:
            return None
        return (
            f"likeness {likeness:.1f} of {float(self.least):.1f}, distance {distance:.1f} of {float(self.farthest):.1f}"
        )

    def save(self, path: Path) -> None:
        """Write the gate as ``npz``; the axes with half precision, which is ample for them."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(path, allow_pickle=False, **(arrays | {"axes": self.axes.astype(np.float16)}))

    def standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, f)`` in units of the intended pictures' spread around their mean, cut at ±10."""
        deviation = (features - self.centre) / self.spread
        cut: NDArray[np.float32] = np.clip(deviation, -_LARGEST_DEVIATION, _LARGEST_DEVIATION).astype(np.float32)
        return cut


def load_gate(path: Path, pack: str) -> Gate:
    """Read a gate.

    Raises:
        PackUnreadable: the disk did not give it.
        PackRejected: it cannot be read, its parts do not fit each other, or a number in it is not finite.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            gate = Gate(**{field.name: arrays[field.name].astype(np.float32) for field in fields(Gate)})
    except OSError as error:
        raise not_read(pack, "the gate", error, _REPAIR) from None
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise PackRejected(pack, f"the gate cannot be read ({type(error).__name__})", _REPAIR) from None
    count = gate.centre.size
    numbers = (gate.offset, gate.left_over, gate.least, gate.farthest)
    fits = gate.centre.shape == gate.spread.shape == gate.weight.shape == (count,) and gate.variance.ndim == 1
    fits = fits and gate.axes.shape == (*gate.variance.shape, count) and all(number.shape == () for number in numbers)
    finite = all(np.isfinite(getattr(gate, field.name)).all() for field in fields(Gate))
    if not (fits and finite and (gate.spread > 0).all() and (gate.variance > 0).all() and gate.left_over > 0):
        raise PackRejected(pack, "the gate's numbers do not fit each other", _REPAIR)
    return gate
