"""Features that came in place of the image, read with the head of the very pack that they come from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from models.decision import ImageResult
from models.errors import CannotTriage, PackRejected
from models.head_reader import HeadReader
from models.installed import installed_packs
from models.pack import ModelPack
from models.reasons import Reason
from models.registry import Registry
from store_forward.features import MOST_BYTES, parse_features
from store_forward.protocol import Verdict


class Heads:
    """The heads at hand, by the digest of their pack."""

    def __init__(self, packs: Iterable[ModelPack] = ()) -> None:
        self._packs = {pack.digest: pack for pack in packs if pack.manifest.head is not None}

    @classmethod
    def of(cls, registry: Registry, installed: Path | None) -> Heads:
        """Those of the shipped packs and of every installed one, activated or not; damaged ones are left out."""
        found = list(registry.defaults.values())
        if installed is not None:
            found += [pack for pack in installed_packs(installed) if isinstance(pack, ModelPack)]
        return cls(found)

    def reader(self, pack_digest: str) -> HeadReader | None:
        """The head of this very pack; None when it is not at hand or cannot be used."""
        pack = self._packs.get(pack_digest)
        try:
            return HeadReader(pack) if pack is not None else None
        except PackRejected:
            return None


def read_features(path: Path, heads: Heads, most_pictures: int) -> list[ImageResult] | Verdict:
    """What the head says about each picture, or the answer that it says nothing: the box then sends the image."""
    if path.stat().st_size > MOST_BYTES:
        return _not_understood(f"the features are over {MOST_BYTES} bytes")
    try:
        study = parse_features(path.read_bytes())
    except ValueError as error:
        return _not_understood(str(error))
    if len(study.pictures) > most_pictures:
        return _not_understood(f"the features are of more than {most_pictures} pictures")
    reader = heads.reader(study.pack_digest)
    if reader is None:
        return _not_understood(f"no head for pack {study.pack} {study.pack_version} ({study.pack_digest[:12]})")
    try:
        return [reader.read(picture.features, picture.sop_instance_uid) for picture in study.pictures]
    except CannotTriage as refused:
        return _not_understood(refused.detail)


def _not_understood(detail: str) -> Verdict:
    reason = Reason.features_not_understood.value
    return Verdict(decision="not_triaged", reason=reason, detail=detail[:1000], basis="features")
