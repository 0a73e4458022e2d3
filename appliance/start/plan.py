"""With what the box starts: the file, else the copy of what was last in force, else its page alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.configuration import configuration_file, read_text, settings_of
from appliance.disk.upkeep import prepare_home
from appliance.errors import ConfigurationInvalid, Problem
from appliance.settings import Page, Settings
from appliance.start.in_force import home_of, keep, kept, page_of
from appliance.start.obstacles import Obstacle, obstacles
from appliance.start.standing import Standing, said
from store_forward.errors import KeyUnusable


@dataclass(frozen=True)
class Plan:
    """What to start. ``settings`` is None in safe mode; ``config`` is the file for the processes to read."""

    mode: Literal["file", "kept", "safe"]
    file: Path | None
    settings: Settings | None
    config: Path | None
    page: Page
    since: float
    refused: tuple[Problem, ...] = ()
    lacking: tuple[Obstacle, ...] = ()

    @property
    def held(self) -> frozenset[str]:
        """What is not started."""
        return frozenset(name for one in self.lacking for name in one.holds)

    @property
    def standing(self) -> Standing:
        """The same for those who look."""
        return Standing(
            mode=self.mode,
            file=str(self.file) if self.file else None,
            since=self.since,
            refused=tuple(said(one) for one in self.refused),
            lacking=tuple(said(one.problem, one.holds) for one in self.lacking),
            page_host=self.page.host,
            page_port=self.page.port,
            home=str(self.settings.home) if self.settings else "",
        )


def make_plan(config: Path | None, now: float) -> Plan:
    """Look at everything a start needs. Raises DatabaseUnusable: the home is another box's, or of another version."""
    file = configuration_file(config)
    text = ""
    try:
        text = read_text(file) if file else ""
        settings = settings_of(text, str(file or "defaults"))
    except ConfigurationInvalid as invalid:
        return _without(file, text, invalid.details, now)
    try:
        lacking = _prepared(settings)
    except KeyUnusable as unusable:
        return _safe(file, settings.page, (_key_problem(unusable),), now)
    except OSError as error:
        return _safe(file, settings.page, (_home_problem(settings, error),), now)
    copy = _copied(settings, file, text, now)
    return Plan("file", file, settings, copy, settings.page, now, lacking=lacking)


def _without(file: Path | None, text: str, problems: tuple[Problem, ...], now: float) -> Plan:
    """The file cannot be used."""
    before = kept(home_of(text), file) if file else None
    if before is None:
        return _safe(file, page_of(text), problems, now)
    settings = before.settings
    try:
        lacking = _prepared(settings)
    except KeyUnusable as unusable:
        return _safe(file, settings.page, (*problems, _key_problem(unusable)), now)
    except OSError as error:
        return _safe(file, settings.page, (*problems, _home_problem(settings, error)), now)
    return Plan("kept", file, settings, before.path, settings.page, before.since, problems, lacking)


def _safe(file: Path | None, page: Page, problems: tuple[Problem, ...], now: float) -> Plan:
    """The page alone."""
    return Plan("safe", file, None, None, page, now, problems)


def _prepared(settings: Settings) -> tuple[Obstacle, ...]:
    """Made and looked over once here, so that the processes find it."""
    prepare_home(settings).engine.dispose()
    return obstacles(settings)


def _copied(settings: Settings, file: Path | None, text: str, now: float) -> Path | None:
    if file is None:
        return None
    try:
        return keep(settings.home, file, text, now)
    except OSError as error:  # a full disk is no reason not to receive
        sys.stderr.write(f"{settings.home}: no copy of the configuration could be kept: {error.strerror}\n")
        return file


def _home_problem(settings: Settings, error: OSError) -> Problem:
    repair = "give a folder that this user may write to, on a disk that works"
    return Problem("home", f"cannot be used: {error.strerror or error}", repair, value=f" = {str(settings.home)!r}")


def _key_problem(unusable: KeyUnusable) -> Problem:
    return Problem("at_rest.key_file", unusable.why, unusable.repair)


def problems_now(file: Path) -> tuple[Problem, ...]:
    """What is wrong with the file as it lies there."""
    try:
        settings_of(read_text(file), str(file))
    except ConfigurationInvalid as invalid:
        return invalid.details
    return ()
