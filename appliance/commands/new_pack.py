"""``scanside models new``: a calibrated INT8 pack from a network and labelled images of one's own.

Needs the extra ``packs``; the command line imports this module only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.archive import SUFFIX, write_archive
from models.errors import PackRejected
from models.pack import load_pack
from models.recipes.adopted_pack import adopted_pack
from models.recipes.description import read_description


def new_pack(
    description: Path, network: Path, data: tuple[Path, Path, Sequence[Path]], out: Path
) -> tuple[dict[str, Any], str]:
    """Make the pack's folder in ``out`` and its archive beside it.

    ``data`` are the folder of images, the CSV of their labels, and folders of pictures of other kinds. Returns where
    both lie with what was measured on the test part, and the same for a person.

    Raises:
        PackRejected: something given does not fit, or cannot be read or written.
    """
    described = read_description(description)
    archive = out / f"{described.name}-{described.version}{SUFFIX}"
    try:
        if archive.exists():
            raise FileExistsError(f"{archive} exists; name another folder or remove it")
        folder = adopted_pack(described, network, data, out)
        pack = load_pack(folder)
        with archive.open("xb") as stream:
            write_archive(pack, stream)
    except (OSError, ValueError) as error:
        raise PackRejected(described.name, str(error), "Correct that and run the command again") from None
    row: dict[str, Any] = {"name": described.name, "version": described.version, "digest": pack.digest}
    row |= {"folder": str(folder), "archive": str(archive), "thresholds": pack.manifest.thresholds.model_dump()}
    row |= pack.manifest.figures["test"]
    return row, _text(row)


def _text(row: dict[str, Any]) -> str:
    """Where the pack lies, what it can do, and what comes next."""
    lines, share = row["thresholds"], "–" if row["coverage"] is None else f"{row['coverage']:.0%}"
    auc = "–" if row["auc"] is None else f"{row['auc']:.3f}"
    silent = [
        word
        for word, off in (("routine", lines["routine_below"] == 0.0), ("urgent", lines["urgent_from"] == 1.0))
        if off
    ]
    said = [f"{row['folder']}: {row['n']} test images, AUC {auc}, {share} of them settled"]
    said += [f"It calls nothing {word}: the images are too few or too hard to show the bound." for word in silent]
    said += [f"Read its card, {row['folder']}/card.md, and then take it into use:"]
    reference = f"{row['name']}@{row['digest'][:12]}"
    said += [f"  scanside models install {row['archive']}", f"  scanside models activate {reference}"]
    return "\n".join(said)
