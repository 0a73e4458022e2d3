"""What happens to a picture between two hospitals: noise, blur, compression, exposure, position. 8 bits throughout."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Change = Callable[[Picture, np.random.Generator], Picture]


def as_it_is(picture: Picture, _rng: np.random.Generator) -> Picture:
    """No change: what every other row is compared with."""
    return picture


def noise(spread: float) -> Change:
    """Gaussian noise with a standard deviation of ``spread`` grey levels out of 255."""
    return lambda picture, rng: _grey(picture + rng.normal(0.0, spread, picture.shape))


def blur(sigma: float) -> Change:
    """Gaussian blur; ``sigma`` in hundredths of the shorter side."""
    return lambda picture, _rng: _grey(cv2.GaussianBlur(picture, (0, 0), sigma * min(picture.shape) / 100.0))


def jpeg(quality: int) -> Change:
    """Compressed as JPEG once and opened again."""

    def change(picture: Picture, _rng: np.random.Generator) -> Picture:
        _, codestream = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(codestream, cv2.IMREAD_GRAYSCALE)
        if decoded is None:
            raise ValueError("the picture just encoded as JPEG does not decode")
        return _grey(decoded)

    return change


def exposure(gamma: float) -> Change:
    """Darker with ``gamma`` above 1, brighter below."""
    table = (255.0 * (np.arange(256) / 255.0) ** gamma).astype(np.uint8)
    return lambda picture, _rng: table[picture]


def turned(degrees: float) -> Change:
    """Turned about the middle, counter-clockwise; the corners that come into view are black."""

    def change(picture: Picture, _rng: np.random.Generator) -> Picture:
        rows, columns = picture.shape
        matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0)
        return _grey(cv2.warpAffine(picture, matrix, (columns, rows), flags=cv2.INTER_LINEAR))

    return change


def cropped(edge: float) -> Change:
    """Without ``edge`` (a share of the side) on each of the four sides, and enlarged to the same size again."""

    def change(picture: Picture, _rng: np.random.Generator) -> Picture:
        rows, columns = picture.shape
        top, left = round(rows * edge), round(columns * edge)
        inner = picture[top : rows - top, left : columns - left]
        return _grey(cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_CUBIC))

    return change


def halved(picture: Picture, _rng: np.random.Generator) -> Picture:
    """Sampled down to half the size and up again: half of the resolution is lost."""
    rows, columns = picture.shape
    small = cv2.resize(picture, (max(columns // 2, 1), max(rows // 2, 1)), interpolation=cv2.INTER_AREA)
    return _grey(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC))


def _grey(values: NDArray[np.generic] | NDArray[np.float64]) -> Picture:
    clipped: Picture = np.clip(np.rint(values.astype(np.float64)), 0, 255).astype(np.uint8)
    return clipped


#: The rows of the robustness report that are about the picture.
PICTURE_CHANGES: dict[str, Change] = {
    "as it is": as_it_is,
    "noise 3 %": noise(8.0),
    "noise 8 %": noise(20.0),
    "blur 0.5 %": blur(0.5),
    "blur 1 %": blur(1.0),
    "JPEG quality 50": jpeg(50),
    "JPEG quality 25": jpeg(25),
    "JPEG quality 10": jpeg(10),
    "darker (gamma 1.6)": exposure(1.6),
    "brighter (gamma 0.625)": exposure(0.625),
    "turned +15°": turned(15.0),
    "turned -15°": turned(-15.0),
    "cropped by 8 % a side": cropped(0.08),
    "half the resolution": halved,
}
