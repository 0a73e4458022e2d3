"""Reads reduced features with the head of the pack that they come from."""

from __future__ import annotations

import numpy as np

from models.calibrated import abnormality_of, probabilities_of
from models.decision import Finding, ImageResult, decide
from models.errors import CannotTriage, PackRejected
from models.head import load_head
from models.pack import ModelPack
from models.reasons import Reason

DEVICE = "head on features"


class HeadReader:
    """What a pack's head makes of one picture's features.

    Raises:
        PackRejected: the pack has no head, or one that cannot be used.
    """

    def __init__(self, pack: ModelPack) -> None:
        described = pack.manifest.head
        if described is None:
            raise PackRejected(pack.manifest.name, "it has no head", "Install a pack that was built with one")
        self.pack = pack
        self._described = described
        self.head = load_head(pack.folder / described.file, pack.manifest.name, pack.manifest.outputs)

    def read(self, reduced: bytes, sop_instance_uid: str) -> ImageResult:
        """The decision on one picture.

        Raises:
            CannotTriage: ``model_failed`` for another number of features than the head was made for.
        """
        if len(reduced) != self.head.low.size:
            raise CannotTriage(
                Reason.model_failed, f"{len(reduced)} features came, the head takes {self.head.low.size}"
            )
        logits = self.head.logits(np.frombuffer(reduced, np.uint8))
        manifest, described = self.pack.manifest, self._described
        probabilities = probabilities_of(logits, manifest.activation, described.temperature, described.bias)
        present = probabilities[manifest.outputs - len(manifest.findings) :]
        abnormality = abnormality_of(present, manifest)
        return ImageResult(
            sop_instance_uid=sop_instance_uid,
            decision=decide(abnormality, described.thresholds),
            pack=self.pack.identity,
            findings=tuple(Finding(name, float(p)) for name, p in zip(manifest.findings, present, strict=True)),
            abnormality=abnormality,
            device=DEVICE,
        )
