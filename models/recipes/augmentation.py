"""What may change between two radiographs of the same chest, so the network cannot rely on it.

In these images sharpness, JPEG history, brightness and border alone tell the classes apart at AUC 0.77–0.87.
Each is drawn anew for every image here, so that only anatomy stays informative.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Change = Callable[[Image, np.random.Generator], Image]
_RINGS = 56


def _geometry(image: Image, rng: np.random.Generator) -> Image:
    size = image.shape[0]
    scale = rng.uniform(0.98, 1.25)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-10, 10), scale)
    matrix[:, 2] += rng.uniform(-0.06, 0.06, size=2) * size
    border = int(rng.integers(0, 60))
    return cv2.warpAffine(image, matrix, (size, size), borderValue=border).astype(np.uint8)


def _grey_scale(image: Image, rng: np.random.Generator) -> Image:
    gamma = float(np.exp(rng.uniform(-0.6, 0.6)))
    gain, offset = rng.uniform(0.65, 1.2), rng.uniform(-30, 30)
    table = np.clip(255.0 * (np.arange(256) / 255.0) ** gamma * gain + offset, 0, 255)
    return cv2.LUT(image, table.astype(np.uint8)).astype(np.uint8)


def _resampling(image: Image, rng: np.random.Generator) -> Image:
    size = image.shape[0]
    small = int(rng.integers(size * 2 // 5, size))
    down = [cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC][int(rng.integers(3))]
    reduced = cv2.resize(image, (small, small), interpolation=down)
    return cv2.resize(reduced, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def _blur(image: Image, rng: np.random.Generator) -> Image:
    return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 2.0))).astype(np.uint8)


def _sharpen(image: Image, rng: np.random.Generator) -> Image:
    soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.8, 3.0)))
    amount = float(rng.uniform(0.3, 1.5))
    return cv2.addWeighted(image, 1 + amount, soft, -amount, 0).astype(np.uint8)


def _jpeg(image: Image, rng: np.random.Generator) -> Image:
    quality = int(rng.integers(15, 95))
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise ValueError("the image just encoded as JPEG does not decode")
    return decoded.astype(np.uint8)


def _noise(image: Image, rng: np.random.Generator) -> Image:
    noise = rng.normal(0, rng.uniform(1, 8), image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _masked_patch(image: Image, rng: np.random.Generator) -> Image:
    """A flat patch, like a marker, a lead or a collimator blade."""
    size, changed = image.shape[0], image.copy()
    height, width = (int(rng.integers(size // 12, size // 4)) for _ in range(2))
    top, left = int(rng.integers(size - height)), int(rng.integers(size - width))
    changed[top : top + height, left : left + width] = int(rng.integers(256))
    return changed


#: Each change with the probability that it happens; the order is that of an imaging chain.
CHAIN: tuple[tuple[Change, float], ...] = (
    (_geometry, 0.9),
    (_masked_patch, 0.25),
    (_resampling, 0.5),
    (_blur, 0.5),
    (_sharpen, 0.4),
    (_grey_scale, 0.8),
    (_noise, 0.3),
    (_jpeg, 0.5),
)


def exchange_fine_structure(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """The image with the fine-structure spectrum of another: sharpness and file history change, anatomy stays.

    Above a random cut (0.06–0.15 cycles per pixel) the amplitudes of both are averaged over rings, and the image's
    are scaled to the other's. Given an image of another class, the spectrum stops telling the classes apart.
    """
    size = image.shape[0]
    spectrum, theirs = np.fft.rfft2(image.astype(np.float32)), np.fft.rfft2(other.astype(np.float32))
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    ring = np.minimum((radius * 2 * _RINGS).astype(np.int64), _RINGS)
    count = np.bincount(ring.ravel())
    mine = np.bincount(ring.ravel(), np.abs(spectrum).ravel()) / count
    wanted = np.bincount(ring.ravel(), np.abs(theirs).ravel()) / count
    gain = np.clip(wanted / np.maximum(mine, 1e-6), 0.1, 8.0)[ring]
    share = np.clip((radius - rng.uniform(0.06, 0.15)) / 0.04, 0.0, 1.0)
    exchanged = np.fft.irfft2(spectrum * (1 + (gain - 1) * share), s=image.shape)
    return np.clip(exchanged, 0, 255).astype(np.uint8)


def augment(image: Image, rng: np.random.Generator, strain: float = 1.0) -> Image:
    """One random passage of a square 8-bit image through the chain; mirrored half of the time.

    Each change happens ``strain`` times as often as its probability says.
    """
    for change, probability in CHAIN:
        if rng.random() < probability * strain:
            image = change(image, rng)
    return image[:, ::-1] if rng.random() < 0.5 else image


def _gamma(exponent: float) -> Change:
    table = (255.0 * (np.arange(256) / 255.0) ** exponent).astype(np.uint8)
    return lambda image, _rng: cv2.LUT(image, table).astype(np.uint8)


def _fixed_jpeg(quality: int) -> Change:
    def apply(image: Image, _rng: np.random.Generator) -> Image:
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        return decoded.astype(np.uint8)

    return apply


def _fixed_sharpen(image: Image, _rng: np.random.Generator) -> Image:
    return cv2.addWeighted(image, 2.2, cv2.GaussianBlur(image, (0, 0), 1.5), -1.2, 0).astype(np.uint8)


def _coarse(image: Image, _rng: np.random.Generator) -> Image:
    small = cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def _crop(image: Image, _rng: np.random.Generator) -> Image:
    edge = image.shape[0] // 12
    inner = image[edge:-edge, edge:-edge]
    return cv2.resize(inner, image.shape[::-1], interpolation=cv2.INTER_CUBIC).astype(np.uint8)


#: Fixed versions of a validation split that are hard on purpose; a choice is made on the worst of them.
HARD_VERSIONS: dict[str, Change] = {
    "as it is": lambda image, _rng: image,
    "blurred": lambda image, _rng: cv2.GaussianBlur(image, (0, 0), 1.8).astype(np.uint8),
    "sharpened": _fixed_sharpen,
    "jpeg 25": _fixed_jpeg(25),
    "96 px": _coarse,
    "cropped": _crop,
    "dark": _gamma(1.6),
    "bright": _gamma(0.65),
}
