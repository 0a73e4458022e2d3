"""What ``scanside check`` finds out about the other box of two."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.commands.check_disk import CheckResult
from appliance.errors import ConfigurationInvalid
from appliance.home import Home
from appliance.settings import Settings
from appliance.standby.keeper import standby_token
from appliance.standby.link import NoPulse, look
from appliance.standby.sameness import differences, sameness_of
from appliance.standby.state import ensure_standing
from store_forward.database import writing


def pair_results(home: Home, settings: Settings) -> Iterator[CheckResult]:
    """Of two boxes: whether the token is there, and on the standby whether the first is heard and is like this one."""
    try:
        token = standby_token(settings)
    except ConfigurationInvalid as invalid:
        yield CheckResult("standby", False, "; ".join(invalid.problems))
        return
    of = settings.standby.of
    if token is None:
        return
    if of is None:
        yield CheckResult("standby", True, "this box is the first of two")
        return
    with writing(home.engine) as connection:
        log = ensure_standing(connection).log
        own = sameness_of(connection, settings)
    try:
        pulse = look(of, token, log, 5.0)
    except NoPulse as none:
        yield CheckResult("standby", False, str(none))
        return
    found = [*differences(own, pulse.same), *(f"its {name} process does not report" for name in pulse.silent)]
    yield CheckResult("standby", not found, " ".join(found) or f"{of} is heard and is like this box")
