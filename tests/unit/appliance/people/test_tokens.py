"""Tokens of programs: shown once, kept as a digest, of one scope, and gone in time."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from appliance.people.errors import NameTaken, NameUnfit, NoSuchToken
from appliance.people.roles import Role
from appliance.people.tables import api_tokens
from appliance.people.tokens import DAY_S, Scope, add_token, all_tokens, remove_token, who_shows
from appliance.people.users import recent_changes
from store_forward.database import reading, writing


def add(engine: Engine, name: str = "grafana", scope: Scope = Scope.STATUS, names: bool = False) -> str:
    """A token that is good for a day."""
    with writing(engine) as conn:
        return add_token(conn, name, scope, names, 1.0, "anna", 0.0)


def test_the_secret_is_not_kept(engine: Engine) -> None:
    """Its digest is; and who has added it."""
    secret = add(engine)
    with reading(engine) as conn:
        assert secret not in str(conn.execute(select(api_tokens)).all())
        (token,) = all_tokens(conn)
        assert (token.name, token.added_by, token.expires_at) == ("grafana", "anna", DAY_S)
        assert recent_changes(conn)[0].kind == "token_added"
    assert secret.startswith("scanside_")


@pytest.mark.parametrize(
    ("scope", "role", "names"),
    [
        (Scope.STATUS, Role.MONITOR, False),
        (Scope.STUDIES, Role.VIEWER, True),
        (Scope.OPERATE, Role.OPERATOR, True),
        (Scope.ADMINISTER, Role.ADMINISTRATOR, True),
    ],
)
def test_a_scope_is_a_role(engine: Engine, scope: Scope, role: Role, names: bool) -> None:
    """With names only if that was asked for; with the state of the box never."""
    with_names, without = add(engine, "a", scope, True), add(engine, "b", scope, False)
    with reading(engine) as conn:
        shown, hidden = who_shows(conn, with_names, 1.0), who_shows(conn, without, 1.0)
    assert shown is not None
    assert hidden is not None
    assert (shown.name, shown.role, shown.sees_patients) == ("token a", role, names)
    assert not hidden.sees_patients


def test_it_ends(engine: Engine) -> None:
    """In time, or when it is removed; another text never was one."""
    secret = add(engine)
    with writing(engine) as conn:
        assert who_shows(conn, secret, DAY_S - 1) is not None
        assert who_shows(conn, secret, DAY_S) is None
        for other in ("", secret + "x", secret[:-1], "' OR 1=1 --"):
            assert who_shows(conn, other, 1.0) is None
        remove_token(conn, "Grafana", "anna", 1.0)
        assert who_shows(conn, secret, 1.0) is None
        with pytest.raises(NoSuchToken):
            remove_token(conn, "grafana", "anna", 1.0)


def test_its_name_is_its_own(engine: Engine) -> None:
    """So that it is clear which one to remove."""
    add(engine)
    with pytest.raises(NameTaken):
        add(engine, "GRAFANA")
    with pytest.raises(NameUnfit):
        add(engine, "<b>")
