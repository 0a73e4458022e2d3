"""How large an image may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What one image may be at most: pixels in a frame, and bytes of a frame after decompression."""

    max_pixels: int = 100_000_000
    max_decoded_bytes: int = 1 << 30


DEFAULT_LIMITS = PixelLimits()
