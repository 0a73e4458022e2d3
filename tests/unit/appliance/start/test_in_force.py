"""The copy of what the box runs with."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.start.in_force import home_of, keep, kept, page_of


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No home of the machine the tests run on."""
    monkeypatch.delenv("SCANSIDE_HOME", raising=False)


def test_the_copy_means_the_same_and_says_since_when(tmp_path: Path) -> None:
    """Readable by us only, and from this file."""
    file = tmp_path / "scanside.toml"
    path = keep(tmp_path / "box", file, "[page]\nport = 9\n", 1000.0)
    found = kept(tmp_path / "box", file)
    assert found is not None
    assert (found.settings.page.port, found.path, found.since) == (9, path, 1000.0)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoiled", ["", "[page]\nport = 9\n", "# from [", '# from ["x", 1]\n', "# from 3\n"])
def test_a_copy_that_makes_no_sense_is_none(tmp_path: Path, spoiled: str) -> None:
    """Torn, or written by a person: as if there were none."""
    path = keep(tmp_path, tmp_path / "scanside.toml", "", 1000.0)
    path.write_text(spoiled)
    assert kept(tmp_path, tmp_path / "scanside.toml") is None


def test_the_copy_of_another_file_is_not_taken(tmp_path: Path) -> None:
    """A mistyped --config must not start another box."""
    keep(tmp_path, tmp_path / "scanside.toml", "", 1000.0)
    assert kept(tmp_path, tmp_path / "scansied.toml") is None
    assert kept(tmp_path / "none", tmp_path / "scanside.toml") is None


def test_a_copy_that_is_no_longer_valid_is_not_taken(tmp_path: Path) -> None:
    """As after an update that knows a key no more."""
    keep(tmp_path, tmp_path / "scanside.toml", "[page]\nprot = 9\n", 1000.0)
    assert kept(tmp_path, tmp_path / "scanside.toml") is None


@pytest.mark.parametrize(
    ("text", "home", "host", "port"),
    [
        ('home = "/a"\n[page]\nport = 9\nhost = "10.0.0.1"\nx = 1', "/a", "10.0.0.1", 9),
        ('home = 3\n[page]\nport = "x"\nhost = "10.0.0.1"\n', "var", "10.0.0.1", 8080),
        ("page = 3\n", "var", "127.0.0.1", 8080),
        ("[page\nport = 9\n", "var", "127.0.0.1", 8080),
    ],
)
def test_home_and_page_of_a_file_that_cannot_be_used(text: str, home: str, host: str, port: int) -> None:
    """Each part that can be read counts, else the default."""
    assert home_of(text) == Path(home)
    page = page_of(text)
    assert (page.host, page.port) == (host, port)


def test_the_environment_names_the_home_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a file that can be used."""
    monkeypatch.setenv("SCANSIDE_HOME", "/b")
    assert home_of('home = "/a"') == Path("/b")
