"""Which of the two this box is, and who keeps the gate of its lanes."""

from __future__ import annotations

from sqlalchemy import Engine

from appliance.configuration import secret
from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from appliance.standby.hand_over import HandOver
from appliance.standby.link import FirstBox
from appliance.standby.state import remember, standing_row
from appliance.standby.turn import StandbyTurn
from store_forward.database import reading, writing

SHORTEST_TOKEN = 16


def standby_token(settings: Settings) -> str | None:
    """The secret that both boxes share; None when this box is alone.

    Raises:
        ConfigurationInvalid: it cannot be read, is too short, or is missing on a standby.
    """
    own = settings.standby
    token = secret(own.token_file, own.token_variable)
    if token is None and own.of is not None:
        repair = f"set standby.token_file or the environment variable {own.token_variable}, as on the first box"
        raise ConfigurationInvalid("standby", (f"there is no token to show to {own.of}; {repair}",))
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise ConfigurationInvalid("standby", ("its token is shorter than 16 characters; make a longer one",))
    return token


def keeper_of(settings: Settings, engine: Engine) -> StandbyTurn | HandOver | None:
    """Who keeps the gate of this box's lanes; None for a box that is alone. Raises ConfigurationInvalid."""
    token, own = standby_token(settings), settings.standby
    if token is None:
        _forget_the_other(engine)
        return None
    if own.of is None:
        return HandOver(engine, own.wait_s, own.silent_after_s)
    timeout_s = min(5.0, max(1.0, own.silent_after_s / 4))
    return StandbyTurn(settings, engine, FirstBox(own.of, token, timeout_s))


def _forget_the_other(engine: Engine) -> None:
    with reading(engine) as connection:
        was_of_two = standing_row(connection) is not None
    if was_of_two:
        with writing(engine) as connection:
            remember(connection, turn=None, other_stands_in=False)
