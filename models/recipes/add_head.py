"""Puts a head into a box pack that is built already, or a new one in place of the one it has.

    python -m models.recipes.add_head cxr_pneumonia_paediatric --images DIR --labels CSV --packs models/packs

The pack's digest changes with it.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from models.recipes.head_fitting import add_head
from models.recipes.labelled_images import load_images, split


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="the name of the recipe's module in models.recipes")
    parser.add_argument("--images", type=Path, required=True, help="folder of the labelled images")
    parser.add_argument("--labels", type=Path, required=True, help="CSV that begins file,label")
    parser.add_argument("--packs", type=Path, required=True, help="folder in which both packs of the task lie")
    given = parser.parse_args()
    task = importlib.import_module(f"models.recipes.{given.recipe}").TASK
    parts = split(load_images(given.images, given.labels, task), task)
    add_head(given.packs / task.name, given.packs / f"{task.name}-full", task, parts)


if __name__ == "__main__":
    main()
