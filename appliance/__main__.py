"""``python -m appliance`` and the ``scanside`` command are the same program."""

from __future__ import annotations

import sys

from appliance.cli import app
from appliance.errors import ConfigurationInvalid
from store_forward.errors import DatabaseUnusable


def main() -> None:
    """Run the command line; an unusable configuration ends with its message and exit status 2, a database with 1."""
    try:
        app()
    except ConfigurationInvalid as invalid:
        sys.stderr.write(f"{invalid}\n")
        sys.exit(2)
    except DatabaseUnusable as unusable:
        sys.stderr.write(f"{unusable}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
