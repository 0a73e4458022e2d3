"""A model pack on disk: a folder that is exactly what its manifest says, or is not used."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from models.decision import Lines, PackIdentity
from models.errors import PackRejected, not_read
from models.manifest import SCHEMA_VERSION, Manifest

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1 << 20
_COPY_AGAIN = "Copy the whole pack again from where it came"


@dataclass(frozen=True, slots=True)
class ModelPack:
    """A verified pack. ``digest`` is the SHA-256 of the manifest's bytes, which name every file's digest."""

    folder: Path
    manifest: Manifest
    digest: str

    @property
    def identity(self) -> PackIdentity:
        """Name, version and digest, as they stand in results and reports."""
        return PackIdentity(self.manifest.name, self.manifest.version, self.digest)

    @property
    def lines(self) -> Lines:
        """The pack's own thresholds, with the bound that its calibration showed for them."""
        bound = self.manifest.calibration.get("bound")
        shown = {name: float(value) for name, value in bound.items()} if isinstance(bound, dict) else None
        return Lines(self.manifest.thresholds, bound=shown)

    @property
    def network(self) -> Path:
        """The ONNX file."""
        return self.folder / self.manifest.network

    @property
    def golden(self) -> Path:
        """The golden set: inputs with the probabilities the network gave where it was made."""
        return self.folder / self.manifest.golden


def load_pack(folder: Path) -> ModelPack:
    """Read and verify a pack.

    Raises:
        PackUnreadable: the disk did not give one of its files.
        PackRejected: the manifest is missing, unreadable or of another schema version; a listed file is
        missing or
            has another SHA-256; the folder holds a file that is not listed.
    """
    content = _manifest_bytes(folder)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        _check_schema_version(folder, content)
        raise PackRejected(folder.name, _first_problem(error), "Correct the manifest or install another pack") from None
    _check_names(folder, manifest)
    for name, digest in manifest.files.items():
        if _sha256(folder / name) != digest:
            raise PackRejected(folder.name, f"{name} is not the file the manifest names (SHA-256)", _COPY_AGAIN)
    return ModelPack(folder, manifest, hashlib.sha256(content).hexdigest())


def check_network(pack: ModelPack) -> None:
    """Read the network's file whole. Raises PackUnreadable or PackRejected when that is not possible."""
    _sha256(pack.network)


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise PackRejected(folder.name, f"{MANIFEST} is over {_MAX_MANIFEST_BYTES} bytes", _COPY_AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise not_read(folder.name, MANIFEST, error, _COPY_AGAIN) from None


def _check_schema_version(folder: Path, content: bytes) -> None:
    """Of a manifest that is refused: an other version is why, however many fields differ with it."""
    try:
        found = json.loads(content)["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if isinstance(found, int) and found != SCHEMA_VERSION:
        why = f"{MANIFEST} has schema version {found}, this version reads {SCHEMA_VERSION}"
        raise PackRejected(folder.name, why, "Install a pack that was made for this version")


def _check_names(folder: Path, manifest: Manifest) -> None:
    try:
        present = {entry.name for entry in folder.iterdir()} - {MANIFEST}
    except OSError as error:
        raise not_read(folder.name, "the folder", error, _COPY_AGAIN) from None
    if missing := sorted(manifest.files.keys() - present):
        raise PackRejected(folder.name, f"{', '.join(missing)} is missing", _COPY_AGAIN)
    if unknown := sorted(present - manifest.files.keys()):
        raise PackRejected(folder.name, f"{', '.join(unknown)} is not in the manifest", "Remove what does not belong")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise not_read(path.parent.name, path.name, error, _COPY_AGAIN) from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in problems[0]["loc"]) or "the whole"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{MANIFEST}: {where}: {problems[0]['msg']}{more}"
