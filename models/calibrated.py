"""From logits to calibrated probabilities, and from these to the one a decision rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.manifest import Activation, Manifest

Probabilities = NDArray[np.float64]


def probabilities_of(
    logits: NDArray[np.floating], activation: Activation, temperature: float, bias: Sequence[float]
) -> Probabilities:
    """``(k,)`` logits → ``activation(logit / temperature + bias)``."""
    scaled = logits.astype(np.float64) / temperature + np.array(bias)
    return sigmoid(scaled) if activation == "sigmoid" else softmax(scaled)


def abnormality_of(present: Probabilities, manifest: Manifest) -> float:
    """The probability of any finding acted on: the sum where they exclude each other, else the highest.

    ``present (k,)`` are those of ``manifest.findings``.
    """
    acting = present[[manifest.findings.index(name) for name in manifest.acts_on]]
    together = acting.sum() if manifest.activation == "softmax" else acting.max()
    return float(min(together, 1.0))


def softmax(values: NDArray[np.float64]) -> Probabilities:
    """Probabilities over the last axis that add up to 1, without overflow for any finite value."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(values: NDArray[np.float64]) -> Probabilities:
    """The logistic function, without overflow for any finite value."""
    logistic: Probabilities = 0.5 * (1.0 + np.tanh(0.5 * values))
    return logistic
