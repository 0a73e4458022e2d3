"""``scanside models new``: a calibrated INT8 pack from a network and labelled images of one's own.

Needs the extra ``packs``; the command line imports this module only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import PackRejected
from models.pack import load_pack
from models.recipes.adopted_pack import adopted_pack
from models.recipes.description import read_description


def new_pack(
    description: Path, network: Path, images: Path, labels: Path, foreign: Sequence[Path], out: Path
) -> dict[str, Any]:
    """Make the pack's folder in ``out`` and return what was measured on its test part.

    Raises:
        PackRejected: something given does not fit.
    """
    described = read_description(description)
    try:
        folder = adopted_pack(described, network, (images, labels, foreign), out)
    except (OSError, ValueError) as error:
        raise PackRejected(described.name, str(error), "Correct the images or their labels") from None
    pack = load_pack(folder)
    return {"folder": str(folder), "digest": pack.digest, **pack.manifest.figures["test"]}
