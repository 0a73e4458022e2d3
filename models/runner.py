"""A pack on a session: grey image in, calibrated findings and a heat map out."""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hardware.errors import BackendUnavailable
from hardware.session import Session
from models.calibrated import abnormality_of, probabilities_of
from models.decision import Finding
from models.errors import CannotTriage
from models.gate import FEATURES, load_gate
from models.head import load_head
from models.pack import ModelPack
from models.preprocessing import FloatImage, to_tensor
from models.reasons import Reason

LOGITS, MAPS = "logits", "maps"
#: A heat map has a handful of cells; drawn finer than this its shorter side would only cost time.
_MOST_HEAT_PX = 256


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """One run: calibrated ``probabilities (k,)`` float64 in 0..1, and ``evidence (k, h, w)`` float32 in logits.

    ``k`` counts the outputs of the network; the mean of an output's evidence is its logit. ``features (f,)`` float32
    is there when the pack has a gate.
    """

    probabilities: NDArray[np.float64]
    evidence: FloatImage
    features: FloatImage | None
    infer_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a pack says about one image.

    ``abnormality`` is the probability (0..1) that a finding the pack acts on is present, which the decision rests on.
    ``heat_map`` lies over the whole image, at a lower resolution where its shorter side is over 256 pixels, and has
    float32 values in 0..1: how far the evidence for the finding ``shown`` stands out there from the image's median,
    times that finding's probability. Half of the image is therefore cold whatever the score, and an image without a
    finding nearly all of it. Outside the square that the network saw it is 0. ``shown`` is the most probable of the
    findings the decision rests on, or of all when the image is routine. ``reduced`` are the features as the pack's head
    takes them, a byte each; None when it has none.
    """

    findings: tuple[Finding, ...]
    abnormality: float
    heat_map: FloatImage
    shown: str
    infer_ms: float
    reduced: bytes | None = None


class PackRunner:
    """Reads images with one pack on one device. Not safe for use from two threads at once.

    ``lines`` are the pack's own until somebody puts others there.

    Raises:
        PackRejected: the pack names a gate or a head that cannot be used.
    """

    def __init__(self, pack: ModelPack, session: Session) -> None:
        self.pack = pack
        self._session = session
        manifest = pack.manifest
        self._gate = load_gate(pack.folder / manifest.gate, manifest.name) if manifest.gate is not None else None
        head = manifest.head.file if manifest.head is not None else None
        self._head = load_head(pack.folder / head, manifest.name, manifest.outputs) if head is not None else None
        self._first = manifest.outputs - len(manifest.findings)  # softmax has the normal class in front
        self._acting = [manifest.findings.index(name) for name in manifest.acts_on]
        self.lines = pack.lines

    @property
    def device(self) -> str:
        """What runs the network, for example ``openvino:CPU``."""
        return self._session.name

    def read(self, pixels: FloatImage) -> Reading:
        """Read a ``(rows, columns)`` grey image, brighter = denser.

        Raises:
            CannotTriage: ``unreadable_pixels`` when the image does not become a tensor, ``wrong_picture`` when the
                gate refuses it, ``model_failed`` when the run fails or its outputs are not finite or not of the
                announced shape.
        """
        inference = self.infer(self._tensor(pixels))
        if (why := self.refusal(inference)) is not None:
            raise CannotTriage(Reason.wrong_picture, why)
        present, evidence = self._findings_of(inference)
        findings = tuple(
            Finding(name, float(value)) for name, value in zip(self.pack.manifest.findings, present, strict=True)
        )
        abnormality = self.abnormality(inference)
        shown = self._shown(present, abnormality)
        heat = _standing_out(evidence[shown]) * np.float32(present[shown])
        heat_map = _in_frame(heat, pixels.shape)
        reduced = self._reduced(inference)
        return Reading(findings, abnormality, heat_map, findings[shown].name, inference.infer_ms, reduced)

    def abnormality(self, inference: Inference) -> float:
        """The probability of any finding acted on: the sum where they exclude each other, else the highest."""
        return abnormality_of(self._findings_of(inference)[0], self.pack.manifest)

    def refusal(self, inference: Inference) -> str | None:
        """Why the gate refuses what this run saw, in numbers; None when it lets it through or there is no gate."""
        if self._gate is None or inference.features is None:
            return None
        return self._gate.refusal(inference.features)

    def infer(self, tensor: FloatImage) -> Inference:
        """Run a ``(1, 1, size, size)`` tensor. Raises CannotTriage (``model_failed``) as :meth:`read`."""
        started = time.perf_counter()
        try:
            outputs = self._session.run(tensor)
        except BackendUnavailable as error:
            raise CannotTriage(Reason.model_failed, str(error)) from error
        infer_ms = (time.perf_counter() - started) * 1000.0
        logits, maps = self._checked(outputs)
        features = self._features(outputs) if self._gate is not None else None
        return Inference(self._calibrated(logits), maps, features, infer_ms)

    def _reduced(self, inference: Inference) -> bytes | None:
        if self._head is None or inference.features is None:
            return None
        return self._head.reduced(inference.features).tobytes()

    def _findings_of(self, inference: Inference) -> tuple[NDArray[np.float64], FloatImage]:
        """Probabilities and evidence of the findings; with softmax the evidence is that against the normal class."""
        evidence = inference.evidence[self._first :]
        if self._first:
            evidence = evidence - inference.evidence[:1]
        return inference.probabilities[self._first :], evidence

    def _shown(self, present: NDArray[np.float64], abnormality: float) -> int:
        """The finding to draw: a probable harmless one must not stand where a less probable one decides."""
        decides = abnormality >= self.lines.thresholds.routine_below
        return max(self._acting if decides else range(len(present)), key=lambda index: float(present[index]))

    def _features(self, outputs: dict[str, FloatImage]) -> FloatImage:
        features = outputs.get(FEATURES)
        if self._gate is None or features is None or features.shape != (1, self._gate.centre.size):
            raise CannotTriage(Reason.model_failed, f"the network has no output {FEATURES} that fits the gate")
        if not np.isfinite(features).all():
            raise CannotTriage(Reason.model_failed, "the outputs are not finite")
        one: FloatImage = features[0]
        return one

    def _tensor(self, pixels: FloatImage) -> FloatImage:
        try:
            with np.errstate(all="ignore"):
                tensor = to_tensor(pixels, self.pack.manifest.input)
        except (cv2.error, ValueError) as error:
            raise CannotTriage(Reason.unreadable_pixels, type(error).__name__) from error
        if not np.isfinite(tensor).all():
            raise CannotTriage(Reason.unreadable_pixels, "values too large to normalise")
        return tensor

    def _checked(self, outputs: dict[str, FloatImage]) -> tuple[FloatImage, FloatImage]:
        count = self.pack.manifest.outputs
        logits, maps = outputs.get(LOGITS), outputs.get(MAPS)
        if logits is None or maps is None:
            raise CannotTriage(Reason.model_failed, f"the network has no output {LOGITS} or {MAPS}")
        if logits.shape != (1, count) or maps.ndim != 4 or maps.shape[:2] != (1, count):
            raise CannotTriage(Reason.model_failed, "the outputs do not fit the manifest's findings")
        if not (np.isfinite(logits).all() and np.isfinite(maps).all()):
            raise CannotTriage(Reason.model_failed, "the outputs are not finite")
        return logits[0], maps[0]

    def _calibrated(self, logits: FloatImage) -> NDArray[np.float64]:
        manifest = self.pack.manifest
        return probabilities_of(logits, manifest.activation, manifest.temperature, manifest.bias)


def _standing_out(evidence: FloatImage) -> FloatImage:
    """Evidence as 0 at its median and below, 1 at its highest; 0 everywhere when it is the same everywhere."""
    median, highest = float(np.median(evidence)), float(evidence.max())
    if highest <= median:
        return np.zeros_like(evidence)
    above: FloatImage = np.clip((evidence - median) / np.float32(highest - median), 0.0, 1.0)
    return above


def _in_frame(evidence: FloatImage, shape: tuple[int, ...]) -> FloatImage:
    """Put the map of the centre square back where the square was cut out of the image, or of a smaller one like it."""
    scale = min(1.0, _MOST_HEAT_PX / min(shape))
    rows, columns = (round(length * scale) for length in shape)
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    square = cv2.resize(evidence, (side, side), interpolation=cv2.INTER_LINEAR)
    frame = np.zeros((rows, columns), dtype=np.float32)
    frame[top : top + side, left : left + side] = np.clip(square, 0.0, 1.0)
    return frame
