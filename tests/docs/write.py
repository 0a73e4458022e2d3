"""``python -m tests.docs.write``: rewrite the reference tables that follow from the code."""

from __future__ import annotations

import sys

from tests.docs.blocks import ROOT, with_block
from tests.docs.tables import TABLES


def main() -> None:
    """Write every table into its document and say which documents changed."""
    for (document, name), make in TABLES.items():
        path = ROOT / document
        before = path.read_text(encoding="utf-8")
        after = with_block(before, "table", name, make())
        if after != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{document}: {name}\n")


if __name__ == "__main__":
    main()
