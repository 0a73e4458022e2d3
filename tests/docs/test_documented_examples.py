"""What a reader is told to type exists: make targets, commands with their options, configuration, scripts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from appliance.configuration import load_settings
from models.recipes.description import read_description
from tests.docs.blocks import ROOT, documents
from tests.docs.tables import all_commands

#: The one document whose TOML describes a network, not a box.
MAKE_A_PACK = ROOT / "docs" / "how-to" / "make-a-pack.md"
EACH = pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))


def _prose(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _examples(path: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", _prose(path), re.DOTALL | re.MULTILINE)


def test_every_make_target_that_is_named_exists() -> None:
    """``make x`` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in documents():
        named = set(re.findall(r"(?:^|`)make ((?:[a-z]+ ?)+)", _prose(path), re.MULTILINE))
        assert {word for words in named for word in words.split()} <= targets, path.name


@EACH
def test_every_test_that_is_named_exists(path: Path) -> None:
    """``tests/x.py`` in a document is a file of the tests, ``tests/x.py::test_y`` a test in it."""
    for file, test in re.findall(r"\b(tests/[\w/]+\.py)(?:::(test_\w+))?", _prose(path)):
        assert (ROOT / file).exists(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


@EACH
def test_every_configuration_example_is_accepted(path: Path, tmp_path: Path) -> None:
    """Each TOML example of a document passes the validation that a box's start makes, or ``models new``."""
    read = read_description if path == MAKE_A_PACK else load_settings
    for number, example in enumerate(_examples(path, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(example, encoding="utf-8")
        read(file)


@EACH
def test_every_command_that_is_shown_exists(path: Path) -> None:
    """``scanside x --y`` in an example is a command with that option."""
    known = {name: {option for one in command.params for option in one.opts} for name, command in all_commands()}
    for example in _examples(path, "sh"):
        for line in example.splitlines():
            words = shlex.split(line, comments=True) if "scanside " in line and "clone" not in line else []
            if not words or not words[0].endswith("scanside"):
                continue
            fitting = [n for n in known if ["scanside", *words[1:]][: len(n.split())] == n.split()]
            name = max(fitting, key=len, default="")
            assert name, line
            assert {word for word in words if word.startswith("--")} <= known[name] | {"--help"}, line


@EACH
def test_every_script_that_is_shown_compiles(path: Path) -> None:
    """What stands between the lines of a here-document is Python."""
    for example in _examples(path, "sh"):
        for script in re.findall(r"<<'END'\n(.*?)^END$", example, re.DOTALL | re.MULTILINE):
            compile(script, str(path), "exec")
