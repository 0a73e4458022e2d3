"""How much of a real radiograph goes up the link: as a compressed image, and as features; and what that costs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import pixel_array

from appliance.privacy import compress
from appliance.privacy.deidentify import read_instance
from appliance.privacy.errors import CannotDeidentify
from models.tolerant_reading import quietly
from store_forward.features import PictureFeatures, StudyFeatures, write_features

_RADIOGRAPHS = ("CR", "DX", "MG", "RG")
#: What a payload with the 2,288 features of one picture has, in the longest form of its names.
_STUDY = StudyFeatures(
    pack="cxr-pneumonia-paediatric",
    pack_version="10.10.10",
    pack_digest="0" * 64,
    study_instance_uid="2" * 44,
    pictures=(PictureFeatures(sop_instance_uid="2" * 44, features=bytes(2288)),),
)
_FEATURES_BYTES = len(write_features(_STUDY))


def native_radiographs(folder: Path) -> list[tuple[str, Dataset]]:
    """Those that were never compressed with loss, decoded."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            with quietly():
                dataset = read_instance(path)
                if dataset.get("Modality") not in _RADIOGRAPHS or dataset.get("LossyImageCompression") == "01":
                    continue
                if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
                    if "Lossless" not in dataset.file_meta.TransferSyntaxUID.name:
                        continue
                    dataset.decompress(generate_instance_uid=False)
                if pixel_array(dataset, raw=True).size >= 400 * 400:
                    found.append((path.name, dataset))
        except (
            CannotDeidentify,
            InvalidDicomError,
            OSError,
            ValueError,
            RuntimeError,
            AttributeError,
            KeyError,
            TypeError,
        ):
            continue
    return found


def test_what_goes_up_the_link_is_small(real_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Together at most 0.6 of the raw pixels as images, at most 0.02 as features, each of them bit-exact."""
    rows, raw_bytes, sent_bytes, seconds = [], 0, 0, 0.0
    radiographs = native_radiographs(real_images / "dicom")
    assert len(radiographs) >= 3
    for name, dataset in radiographs:
        raw, made = len(dataset.PixelData), {"deflate": compress._deflated, "JPEG-LS": compress._jpeg_ls}
        with quietly():
            each = {kind: make(dataset) for kind, make in (made | {"HTJ2K": compress._htj2k}).items()}
            began = time.perf_counter()
            sent = compress.compressed(dataset)
            took = time.perf_counter() - began
        raw_bytes, sent_bytes, seconds = raw_bytes + raw, sent_bytes + len(sent), seconds + took
        shares = "  ".join(f"{kind} {len(one) / raw:.3f}" for kind, one in each.items() if one is not None)
        rows.append(
            f"{name[:34]:34} {raw / 1e6:6.2f} MB  {shares}  sent {len(sent) / raw:.3f}  {took / raw * 1e6:.2f} s/MB"
        )
    smallest = min(len(dataset.PixelData) for _, dataset in radiographs)
    median = float(np.median([len(dataset.PixelData) for _, dataset in radiographs]))
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(rows) + "\n")
        sys.stdout.write(f"together {sent_bytes / raw_bytes:.3f} of {raw_bytes / 1e6:.1f} MB, ")
        sys.stdout.write(f"{seconds / raw_bytes * 1e6:.2f} s/MB; as features {_FEATURES_BYTES / smallest:.4f} of the ")
        sys.stdout.write(f"smallest, {_FEATURES_BYTES / median:.4f} of the median\n")
    assert sent_bytes <= 0.6 * raw_bytes
    assert smallest * 0.02 >= _FEATURES_BYTES
