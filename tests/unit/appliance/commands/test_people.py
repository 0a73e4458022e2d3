"""``scanside users`` and ``scanside tokens``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance.cli import app

PASSWORD = "correct horse battery"
runner = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A box of its own."""
    path = tmp_path / "scanside.toml"
    path.write_text(f'home = "{tmp_path / "box"}"\n', encoding="utf-8")
    return path


def call(config: Path, *words: str, typed: str | None = None) -> Result:
    """One command."""
    return runner.invoke(app, [*words, "--config", str(config)], input=typed)


def test_the_first_administrator_is_added_from_the_console(config: Path) -> None:
    """The password comes from standard input and is nowhere in what is said."""
    added = call(config, "users", "add", "Anna", "--role", "administrator", "--names", typed=f"{PASSWORD}\n")
    assert (added.exit_code, added.output) == (0, "anna: added\n")
    (row,) = [json.loads(line) for line in call(config, "users", "list", "--json").output.splitlines()]
    assert row == {"name": "anna", "role": "administrator", "names": True, "locked": False, "signed_in_at": None}
    assert PASSWORD not in call(config, "users", "list").output


def test_a_user_is_changed_and_removed(config: Path) -> None:
    """Each command says what is so now."""
    for name, role in (("anna", "administrator"), ("ben", "viewer")):
        call(config, "users", "add", name, "--role", role, typed=f"{PASSWORD}\n")
    said = [
        call(config, "users", "role", "ben", "operator", "--names"),
        call(config, "users", "password", "ben", typed="another horse battery\n"),
        call(config, "users", "lock", "ben"),
        call(config, "users", "unlock", "ben"),
        call(config, "users", "remove", "ben"),
    ]
    assert [one.exit_code for one in said] == [0] * 5
    assert [one.output.strip() for one in said] == [
        "ben: operator from now on", "ben: password changed", "ben: locked", "ben: unlocked", "ben: removed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "typed", "why"),
    [
        (("users", "add", "anna", "--role", "administrator"), "short\n", "at least 12 characters"),
        (("users", "add", "anna", "--role", "administrator"), "", "at least 12 characters"),
        (("users", "add", "a/b", "--role", "administrator"), f"{PASSWORD}\n", "a name begins with"),
        (("users", "add", "ben"), f"{PASSWORD}\n", "the first user is an administrator"),
        (("users", "lock", "nobody"), None, "scanside users list"),
        (("tokens", "remove", "nothing"), None, "scanside tokens list"),
    ],
)
def test_what_cannot_be_done_is_status_1_with_the_repair(
    config: Path, words: tuple[str, ...], typed: str | None, why: str
) -> None:
    """And nothing has changed."""
    ended = call(config, *words, typed=typed)
    assert (ended.exit_code, why in ended.stderr, ended.stdout) == (1, True, "")
    assert call(config, "users", "list", "--json").output == ""


def test_the_last_administrator_goes_only_when_that_is_said(config: Path) -> None:
    """On the console it is possible: whoever stands there can make another one."""
    call(config, "users", "add", "anna", "--role", "administrator", typed=f"{PASSWORD}\n")
    assert call(config, "users", "remove", "anna").exit_code == 1
    assert call(config, "users", "remove", "anna", "--even-last").exit_code == 0


def test_a_password_is_no_word_of_the_command_line(config: Path) -> None:
    """There it would stand in the shell's history and in the list of processes."""
    assert call(config, "users", "add", "anna", "--role", "administrator", "--password", PASSWORD).exit_code == 2


def test_a_token_is_printed_once(config: Path) -> None:
    """By its secret alone, so that a script can take it."""
    secret = call(config, "tokens", "add", "grafana", "--days", "90").output.strip()
    assert secret.startswith("scanside_")
    listed = call(config, "tokens", "list").output
    assert "grafana" in listed
    assert secret not in listed
    assert call(config, "tokens", "add", "grafana").exit_code == 1
    assert call(config, "tokens", "remove", "grafana").exit_code == 0
    assert call(config, "tokens", "list", "--json").output == ""
