"""``scanside keys`` and ``scanside erase``: what opens the box's home, and how it is never opened again."""
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from appliance.cli_output import Config, Json, emit, fail, say
from appliance.configuration import load_settings

keys_app = typer.Typer(no_args_is_help=True, help="The key that opens what lies on the box's disk.")
erase_app = typer.Typer(no_args_is_help=True, help="Make a study, a patient or the box unreadable for good.")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@keys_app.command("show")
def keys_show(config: Config = None, as_json: Json = False) -> None:
    """Whether the home is sealed, where its key is, and the ids of the keys that open it."""
    from appliance.commands.keys import shown

    _tell(shown(load_settings(config)), as_json)


@keys_app.command("rotate")
def keys_rotate(config: Config = None, as_json: Json = False) -> None:
    """Put a new key in the place of the box's; the box goes on running, and no file is touched."""
    from appliance.commands.keys import rotate

    _tell(rotate(load_settings(config)), as_json)


@keys_app.command("add")
def keys_add(
    file: Annotated[Path, typer.Argument(help="A key file; a new key is written there if there is none.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let another key open the home, too: one for the safe, or the next one."""
    from appliance.commands.keys import add

    _tell(add(load_settings(config), file), as_json)


@keys_app.command("remove")
def keys_remove(
    name: Annotated[str, typer.Argument(help="Its id, as scanside keys show lists it.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Shut a key out."""
    from appliance.commands.keys import remove

    _tell(remove(load_settings(config), name), as_json)


@keys_app.command("site-key")
def keys_site_key(
    file: Annotated[Path, typer.Argument(help="Where to write it; must not be there yet.")], config: Config = None
) -> None:
    """Write the site key as the second box of a pair takes it. Whoever has it can link pseudonyms."""
    from appliance.commands.keys import write_site_key

    try:
        write_site_key(load_settings(config), file)
    except FileExistsError:
        raise fail(f"{file} is there already") from None
    say(f"{file}: put it into the other box's home as site.key before that takes its first study, then delete this one")


@keys_app.command("unseal")
def keys_unseal(
    file: Annotated[Path, typer.Argument(help="A file of this home, such as one in quarantine.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write it; must not be there yet.")],
    config: Config = None,
) -> None:
    """Write what is in a sealed file in the clear."""
    from appliance.commands.keys import unseal

    try:
        unseal(load_settings(config), file, target)
    except FileExistsError:
        raise fail(f"{target} is there already") from None
    except OSError as error:
        raise fail(f"{file} cannot be read: {error.strerror}") from None
    say(f"{target}: not encrypted; delete it when you are done")


@erase_app.command("study")
def erase_study_command(
    uid: Annotated[str, typer.Argument(metavar="STUDY_INSTANCE_UID")],
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Erase a study: its files, what was found, who the patient is. Also what has not arrived anywhere yet."""
    from appliance.commands.keys import erase_study

    _confirm(yes, f"Erase study {uid} for good, with all that has not been delivered?")
    _erased(lambda: erase_study(load_settings(config), uid), as_json)


@erase_app.command("patient")
def erase_patient_command(
    patient_id: Annotated[str, typer.Argument(metavar="PATIENT_ID")],
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Erase every study of a patient."""
    from appliance.commands.keys import erase_patient

    _confirm(yes, "Erase all studies of this patient for good, with all that has not been delivered?")
    _erased(lambda: erase_patient(load_settings(config), patient_id), as_json)


@erase_app.command("box")
def erase_box_command(yes: Yes = False, config: Config = None, as_json: Json = False) -> None:
    """Erase the whole home of a box that does not run, its keys first."""
    from appliance.commands.keys import erase_all
    from appliance.disk.erasure import CannotErase

    settings = load_settings(config)
    _confirm(yes, f"Erase everything in {settings.home} for good?")
    try:
        done = erase_all(settings)
    except CannotErase as error:
        raise fail(str(error)) from None
    if as_json:
        emit(done)
        return
    say(f"{done['erased']} is erased.")
    if done["left"] is not None:
        say(f"Its key {done['left']} opens nothing any more; it lies elsewhere and was left there.")


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        typer.confirm(question, abort=True)


def _erased(erase: Callable[[], dict[str, Any]], as_json: bool) -> None:
    from appliance.disk.erasure import CannotErase

    try:
        done = erase()
    except CannotErase as error:
        raise fail(str(error)) from None
    if as_json:
        emit(done)
        return
    say(f"{len(done['studies'])} studies erased, {done['files']} files with them.")
    if not done["sealed"]:
        say("The home is not encrypted: what a flash disk keeps of deleted files may still be read.")


def _tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit(found)
    elif not found["sealed"]:
        why = "was made without encryption" if found["made"] else "is not there yet; it is made when the box starts"
        say(f"{found['home']} {why}.")
    else:
        say(f"{found['home']} is sealed.")
        say(f"key        {found['in_use']}, {found['key']} ({found['place']})")
        say(f"opened by  {', '.join(found['opened_by'])}")
