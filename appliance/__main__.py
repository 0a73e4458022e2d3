"""``python -m appliance`` and the ``scanside`` command are the same program."""

from __future__ import annotations

import sys

from appliance.cli import app
from appliance.errors import ConfigurationInvalid


def main() -> None:
    """Run the command line; a configuration that cannot be used ends with its message and exit status 2."""
    try:
        app()
    except ConfigurationInvalid as invalid:
        sys.stderr.write(f"{invalid}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
