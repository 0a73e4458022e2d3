"""What every command has: where its configuration is, and how it says what it has to say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[Path | None, typer.Option("--config", help="TOML file; without it, the defaults.")]
Json = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]


def emit(data: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for a person."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def fail(text: str) -> typer.Exit:
    """Say on standard error what went wrong; raise what this returns."""
    sys.stderr.write(text + "\n")
    return typer.Exit(1)
