"""Bands of words above or below a picture, never on it: a result must not hide anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]
Colour = tuple[int, int, int]
WHITE, YELLOW = (255, 255, 255), (255, 220, 80)


def with_words_below(rgb: RgbImage, lines: Sequence[tuple[str, Colour]]) -> RgbImage:
    """``(rows, columns, 3)`` uint8, RGB, and a band of words under it."""
    return np.concatenate([rgb, band(lines, rgb.shape[1])])


def band(lines: Sequence[tuple[str, Colour]], width: int) -> RgbImage:
    """Lines of text on black, ``width`` pixels wide; a line too long for it is set smaller."""
    size = max(12, width // 34)
    step = round(size * 1.6)
    drawn = np.zeros((step * len(lines) + size // 2, width, 3), np.uint8)
    for number, (words, colour) in enumerate(lines):
        fitted = size
        face = cv2.FontFace("sans")
        while fitted > 6 and _text_width(words, face, fitted) > width - size:
            fitted -= 1
        cv2.putText(drawn, words, (size // 2, step * number + round(size * 1.25)), colour, face, fitted, 500)
    return drawn


def _text_width(words: str, face: cv2.FontFace, size: int) -> int:
    box: Any = cv2.getTextSize((0, 0), words, (0, 0), face, size, 500)
    return int(box[2])
