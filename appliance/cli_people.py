"""``scanside users`` and ``scanside tokens``: who may use the page. They work whatever state the page is in."""
# ruff: noqa: PLC0415

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from appliance.cli_output import Config, Json, emit, fail, say
from appliance.configuration import load_settings

users_app = typer.Typer(no_args_is_help=True, help="Who may sign in to the page.")
tokens_app = typer.Typer(no_args_is_help=True, help="Tokens with which programs use the page's API.")


class RoleWord(StrEnum):
    """What a user may do; as appliance.people.roles has them."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class ScopeWord(StrEnum):
    """What a token is for; as appliance.people.tokens has them."""

    STATUS = "status"
    STUDIES = "studies"
    OPERATE = "operate"
    ADMINISTER = "administer"


Name = Annotated[str, typer.Argument(help="The name to sign in with.")]
Names = Annotated[bool, typer.Option("--names/--no-names", help="Whether patients' names are shown.")]
Last = Annotated[bool, typer.Option("--even-last", help="Also when it is the last administrator.")]


@users_app.command("add")
def users_add(
    name: Name,
    role: Annotated[RoleWord, typer.Option("--role", help="What the user may do.")] = RoleWord.VIEWER,
    names: Names = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Add a user; the password is asked for, or is the first line of standard input."""
    from appliance.commands.people import add, asked_password, change_of

    settings = load_settings(config)
    row = change_of(settings, add(name, asked_password(), role.value, names))
    _done(row, as_json)


@users_app.command("list")
def users_list(config: Config = None, as_json: Json = False) -> None:
    """Every user."""
    from appliance.commands.people import list_users, user_line

    for row in list_users(load_settings(config)):
        emit(row) if as_json else say(user_line(row))


@users_app.command("role")
def users_role(
    name: Name,
    role: Annotated[RoleWord, typer.Argument(help="What the user may do from now on.")],
    names: Names = False,
    even_last: Last = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Give another role, and show patients' names or not; ends the user's sessions."""
    from appliance.commands.people import change_of, role_of

    _done(change_of(load_settings(config), role_of(name, role.value, names, even_last)), as_json)


@users_app.command("password")
def users_password(name: Name, config: Config = None, as_json: Json = False) -> None:
    """Give another password, asked for or the first line of standard input; ends the user's sessions."""
    from appliance.commands.people import asked_password, change_of, password_of

    settings = load_settings(config)
    _done(change_of(settings, password_of(name, asked_password())), as_json)


@users_app.command("lock")
def users_lock(name: Name, even_last: Last = False, config: Config = None, as_json: Json = False) -> None:
    """Let a user sign in no more; ends the user's sessions."""
    from appliance.commands.people import change_of, lock

    _done(change_of(load_settings(config), lock(name, even_last)), as_json)


@users_app.command("unlock")
def users_unlock(name: Name, config: Config = None, as_json: Json = False) -> None:
    """Let a locked user sign in again."""
    from appliance.commands.people import change_of, unlock

    _done(change_of(load_settings(config), unlock(name)), as_json)


@users_app.command("remove")
def users_remove(name: Name, even_last: Last = False, config: Config = None, as_json: Json = False) -> None:
    """Remove a user; what it did stays in the histories."""
    from appliance.commands.people import change_of, remove

    _done(change_of(load_settings(config), remove(name, even_last)), as_json)


@tokens_app.command("add")
def tokens_add(
    name: Annotated[str, typer.Argument(help="What the token is called, such as the program's name.")],
    scope: Annotated[
        ScopeWord, typer.Option("--scope", help="What it is for; each may do all that those before it may.")
    ] = ScopeWord.STATUS,
    names: Names = False,
    days: Annotated[float | None, typer.Option("--days", min=0.01, help="It expires after so many days.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Add a token and print its secret, which is not kept and cannot be shown again."""
    from appliance.commands.people import change_of, token

    row = change_of(load_settings(config), token(name, scope.value, names, days))
    if "error" in row:
        raise fail(row["error"])
    emit(row) if as_json else say(row["token"])


@tokens_app.command("list")
def tokens_list(config: Config = None, as_json: Json = False) -> None:
    """Every token, without its secret."""
    from appliance.commands.people import list_tokens, token_line

    for row in list_tokens(load_settings(config)):
        emit(row) if as_json else say(token_line(row))


@tokens_app.command("remove")
def tokens_remove(
    name: Annotated[str, typer.Argument(help="Its name.")], config: Config = None, as_json: Json = False
) -> None:
    """It opens nothing from now on."""
    from appliance.commands.people import change_of, token_removed

    _done(change_of(load_settings(config), token_removed(name)), as_json)


def _done(row: dict[str, str], as_json: bool) -> None:
    if "error" in row:
        raise fail(f"{row['error']}. Nothing has changed.")
    emit(row) if as_json else say(f"{row['name']}: {row['done']}")
