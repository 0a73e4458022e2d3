"""Links lead somewhere, the version is one, and the text keeps to what belongs into a public repository."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.blocks import ROOT, block, documents

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ADDRESS = re.compile(r"https?://[^\s)>\"'`]+")
#: Addresses that a document may name: this machine, examples, and where a standard is published.
HOSTS = frozenset(
    {
        "127.0.0.1",
        "localhost",
        "cloud.example.org",
        "first.example.org",
        "host:port",
        "keepachangelog.com",
        "semver.org",
        "tus.io",
        "www.standardwebhooks.com",
        "pager.example.org",
        "192.0.2.10",
        "viewer.example.org",
        "box.example.org",
        "sso.example.org",
        "archive.example.org",
        "diataxis.fr",
        "dicom.nema.org",
    }
)
#: Folders that exist on somebody's machine and mean nothing on a reader's.
MACHINE_PATH = re.compile(r"(?<![\w./])/(?:work|tmp|home|root|Users|mnt|media)(?:/|\b)")
RELATIVE_TO_DOCS = pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))


def _prose(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _without_examples(path: Path) -> str:
    return re.sub(r"^```.*?^```", "", _prose(path), flags=re.DOTALL | re.MULTILINE)


def _anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as the usual renderers make them."""
    titles = re.findall(r"^#+ (.+)$", _without_examples(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@RELATIVE_TO_DOCS
def test_every_relative_link_resolves(path: Path) -> None:
    """A link to a file of the project leads to a file, and its anchor to a heading."""
    for target in LINK.findall(_prose(path)):
        if urlsplit(target).scheme:
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        assert not anchor or anchor in _anchors(found), target


@RELATIVE_TO_DOCS
def test_only_known_hosts_are_named(path: Path) -> None:
    """No address of a package registry, of a person's machine or of a site that has nothing to do with it."""
    assert {urlsplit(address).hostname or "" for address in ADDRESS.findall(_prose(path))} <= HOSTS


@RELATIVE_TO_DOCS
def test_no_path_of_somebodys_machine(path: Path) -> None:
    """Examples use the reader's own folder or the places a Debian machine has."""
    assert not MACHINE_PATH.findall(_prose(path))


@RELATIVE_TO_DOCS
def test_every_document_has_one_title_and_short_lines(path: Path) -> None:
    """One heading of the first level; no line of prose over 120 characters."""
    outside = _without_examples(path)
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1
    long = [line for line in outside.splitlines() if len(line) > 120 and not line.startswith("|")]
    assert not long


def test_every_document_is_reached_from_the_readme() -> None:
    """Nobody has to guess a file name: each document is linked from the README or from one that is."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for target in LINK.findall(_prose(path)):
            file = target.partition("#")[0]
            found = (path.parent / file).resolve() if file and not urlsplit(target).scheme else path
            if found.suffix == ".md" and found.exists():
                waiting.append(found)
    assert set(documents()) <= reached


def test_the_changelog_has_the_version_of_the_package() -> None:
    """The newest entry is the version that ``pyproject.toml`` names."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## \[(\d[^\]]*)\]", _prose(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_every_file_of_the_code_map_exists() -> None:
    """What the README names along the path of an image is there."""
    named = re.findall(r"`([a-z_]+/[a-z_/.]*)`", block(_prose(ROOT / "README.md"), "names", "code-map"))
    assert len(named) >= 15
    assert [name for name in named if not (ROOT / name).exists()] == []
