"""Signing in at an OpenID provider, and what comes of one that lies, is away, or vouches for somebody else."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from pydantic import ValidationError
from sqlalchemy import select
from starlette.testclient import TestClient

from appliance.audit.trail import rows as rows_of
from appliance.errors import ConfigurationInvalid
from appliance.people.roles import Role
from appliance.people.tables import vouched_users
from appliance.people.throttle import FORGOTTEN_AFTER_S, FREE_FOR_ACCOUNT
from appliance.people.users import User, lock_user, remove_user, user_named
from appliance.settings import Oidc
from appliance.web.app import build_app
from appliance.web.cookies import PROVIDER, SESSION
from appliance.web.provider import Provider, ProviderUnreachable, oidc_client
from store_forward.database import reading, writing
from tests.openid_provider import CLIENT, SECRET, Claims, OpenIdProvider, openid_provider
from tests.signed_in import put_user
from tests.unit.appliance.web.rows import NOW, Rows

HERE = "http://127.0.0.1:8080"
ROLES = {"viewer": ("radiology", "ward"), "operator": ("techs",), "administrator": ("it",), "names": ("radiology",)}


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    """On this machine."""
    with openid_provider() as listening:
        yield listening


@pytest.fixture
def browser(rows: Rows, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Of somebody who has not signed in, at a box with an administrator of its own."""
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    monkeypatch.setenv("SCANSIDE_OIDC_SECRET", SECRET)
    own = Oidc.model_validate({"issuer": provider.issuer, "client_id": CLIENT, "name": "Hospital", **ROLES})
    settings = rows.settings.model_copy(update={"oidc": own})
    app = build_app(settings, rows.engine, rows.spool, lambda: rows.now, lambda: rows.now)
    return TestClient(app, base_url=HERE, client=("192.0.2.7", 50_000))


def leave(browser: TestClient, place: str = "/link") -> str:
    """Away to the provider, and what it sends the browser back with."""
    sent = browser.get("/sign-in/provider", params={"next": place}, follow_redirects=False)
    assert sent.status_code == 303, sent.text
    there = httpx2.get(sent.headers["location"], trust_env=False, follow_redirects=False)
    return str(there.headers["location"])


def user(rows: Rows, name: str) -> User | None:
    """As the box has them."""
    with reading(rows.engine) as connection:
        return user_named(connection, name)


def sign_ins(rows: Rows) -> list[tuple[str, int]]:
    """Who signed in or tried to, and whether it came to anything."""
    with reading(rows.engine) as connection:
        events = [row.event for row in rows_of(connection)]
    return [
        (one["participants"][0]["user_id"], one["outcome"])
        for one in events
        if (one["event_type"] or ["", ""])[1] == "Login"
    ]


def test_who_is_vouched_for_gets_in_with_the_role_of_their_groups(
    browser: TestClient, rows: Rows, provider: OpenIdProvider
) -> None:
    """And goes on to where they wanted to, by a page of the box; the next time the same user has the new role."""
    form = browser.get("/sign-in?next=/link").text
    assert "Sign in with Hospital" in form
    answer = browser.get(leave(browser), follow_redirects=False)
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/link">' in answer.text
    cookies = answer.headers.get_list("set-cookie")
    assert any(one.startswith(f"{SESSION}=") and "SameSite=strict" in one for one in cookies)
    assert any(one.startswith(f'{PROVIDER}=""') for one in cookies)
    found = user(rows, "zoë@ward")
    assert found is not None
    assert (found.role, found.sees_patients) == (Role.VIEWER, True)
    assert browser.get("/link").status_code == 200
    provider.claims = {"sub": "7", "preferred_username": "renamed", "groups": "it"}
    browser.cookies.clear()
    assert browser.get(leave(browser)).status_code == 200
    found = user(rows, "zoë@ward")
    assert found is not None
    assert (found.role, found.sees_patients, user(rows, "renamed")) == (Role.ADMINISTRATOR, False, None)
    assert sign_ins(rows) == [("zoë@ward", 0)] * 2
    assert provider.asked.count("/.well-known/openid-configuration") == 1


def test_nobody_signs_in_with_a_password_of_a_vouched_user(browser: TestClient, rows: Rows) -> None:
    """They have one that nobody knows."""
    browser.get(leave(browser))
    found = user(rows, "zoë@ward")
    assert found is not None
    assert found.password_hash.startswith("$argon2id$")


def _expired(claims: Claims) -> Claims:
    return {**claims, "iat": int(time.time()) - 900, "exp": int(time.time()) - 600}


@pytest.mark.parametrize(
    "tells",
    [
        _expired,
        lambda claims: {**claims, "aud": "another"},
        lambda claims: {**claims, "aud": [CLIENT, "another"], "azp": "another"},
        lambda claims: {**claims, "iss": "https://elsewhere.example"},
        lambda claims: {**claims, "nonce": "of another sign-in"},
        lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
        lambda claims: {name: value for name, value in claims.items() if name != "exp"},
        lambda claims: {**claims, "groups": ["cleaning"]},
        lambda claims: {**claims, "groups": {"radiology": True}},
        lambda claims: {**claims, "preferred_username": ""},
        lambda claims: {**claims, "preferred_username": ["anna"]},
    ],
    ids=[
        "expired", "audience", "party", "issuer", "nonce", "no nonce", "no end", "group", "no list", "no name", "names",
    ],
)  # fmt: skip
def test_a_token_that_does_not_hold_opens_nothing(
    browser: TestClient, rows: Rows, provider: OpenIdProvider, tells: Callable[[Claims], Claims]
) -> None:
    """No session, no user, and it stands in the audit trail."""
    provider.tells = tells
    answer = browser.get(leave(browser))
    assert answer.status_code == 403
    assert "did not confirm" in answer.text
    assert SESSION not in browser.cookies
    assert user(rows, "zoë@ward") is None
    assert sign_ins(rows) == [("unknown", 4)]


@pytest.mark.parametrize(
    "signs",
    [
        lambda claims: jwt.encode(claims, "", algorithm="none"),
        lambda claims: jwt.encode(claims, SECRET.ljust(32), algorithm="HS256", headers={"kid": "one"}),
        lambda claims: jwt.encode(claims, generate_private_key(SECP256R1()), algorithm="ES256", headers={"kid": "one"}),
        lambda claims: jwt.encode(
            claims, generate_private_key(SECP256R1()), algorithm="ES256", headers={"kid": "unknown"}
        ),
        lambda _: "not a token",
    ],
    ids=["none", "symmetric", "forged", "unknown key", "nonsense"],
)
def test_a_signature_that_is_not_the_providers(
    browser: TestClient, rows: Rows, provider: OpenIdProvider, signs: Callable[[Claims], str]
) -> None:
    """Neither none, nor one that the client's secret could make, nor another's."""
    provider.signs = signs
    assert browser.get(leave(browser)).status_code == 403
    assert user(rows, "zoë@ward") is None


def test_a_new_key_of_the_provider_is_asked_for(browser: TestClient, rows: Rows, provider: OpenIdProvider) -> None:
    """Keys are changed from time to time; not more often than once a minute is asked, whatever tokens say."""
    assert browser.get(leave(browser)).status_code == 200
    provider.key, provider.key_id = generate_private_key(SECP256R1()), "two"
    browser.cookies.clear()
    assert browser.get(leave(browser)).status_code == 403
    rows.now += 61.0
    assert browser.get(leave(browser)).status_code == 200
    assert provider.asked.count("/keys") == 2


def test_coming_back_with_anothers_sign_in(browser: TestClient, provider: OpenIdProvider, rows: Rows) -> None:
    """A link that somebody sends to sign a browser in as themselves, an old one, and one without a code."""
    back = leave(browser)
    browser.cookies.clear()
    assert browser.get(back).status_code == 400
    sent = browser.get("/sign-in/provider", follow_redirects=False)
    state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
    assert browser.get(f"/sign-in/provider/back?state={state}&error=access_denied").status_code == 403
    rows.now += FORGOTTEN_AFTER_S + 1  # it is not the guessing that is tried here
    assert browser.get(back).status_code == 400, "what the browser kept has been used"
    sent = browser.get("/sign-in/provider", follow_redirects=False)
    state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
    assert browser.get(f"/sign-in/provider/back?state={state}&code=x&iss=https://other.example").status_code == 403
    assert "/token" not in provider.asked
    assert user(rows, "zoë@ward") is None


def test_a_code_counts_once(browser: TestClient) -> None:
    """The provider sees to it; what it says is no sign-in."""
    back = leave(browser)
    kept = browser.cookies[PROVIDER]
    assert browser.get(back).status_code == 200
    browser.cookies.clear()
    browser.cookies.set(PROVIDER, kept)
    assert browser.get(back).status_code == 403


def test_guessing_is_slowed(browser: TestClient) -> None:
    """As with passwords, for the address it comes from."""
    codes = [browser.get("/sign-in/provider/back?code=x&state=y").status_code for _ in range(FREE_FOR_ACCOUNT + 1)]
    assert codes == [400] * FREE_FOR_ACCOUNT + [429]


def test_a_name_that_is_somebody_elses(browser: TestClient, rows: Rows, provider: OpenIdProvider) -> None:
    """A user of the box, or another person of the provider who had the name before: neither is taken over."""
    provider.claims = {"sub": "8", "preferred_username": "Anna", "groups": ["ward"]}
    answer = browser.get(leave(browser))
    assert (answer.status_code, "has your name" in answer.text) == (403, True)
    provider.claims = {"sub": "9", "preferred_username": "ben", "groups": ["ward"]}
    assert browser.get(leave(browser)).status_code == 200
    browser.cookies.clear()
    provider.claims["sub"] = "10"
    assert browser.get(leave(browser)).status_code == 403
    anna = user(rows, "anna")
    assert anna is not None
    assert anna.role is Role.ADMINISTRATOR


def test_locked_and_removed(browser: TestClient, rows: Rows) -> None:
    """Who is locked here stays out whatever the provider says; who was removed comes as new."""
    assert browser.get(leave(browser)).status_code == 200
    with writing(rows.engine) as connection:
        lock_user(connection, "zoë@ward", "anna", NOW)
    assert browser.get("/link", follow_redirects=False).status_code == 303
    answer = browser.get(leave(browser))
    assert (answer.status_code, "locked" in answer.text) == (403, True)
    with writing(rows.engine) as connection:
        remove_user(connection, "zoë@ward", "anna", NOW)
        assert connection.execute(select(vouched_users)).all() == []
    assert browser.get(leave(browser)).status_code == 200


def test_a_provider_that_is_away(browser: TestClient, rows: Rows, provider: OpenIdProvider) -> None:
    """The box goes on: who has a password here gets in."""
    provider.issuer = "http://127.0.0.1:1/other"
    answer = browser.get("/sign-in/provider", follow_redirects=False)
    assert answer.status_code == 503
    assert "Users of the box itself can sign in" in answer.text
    assert re.search(r'<form method="post" action="/sign-in">', answer.text)
    assert user(rows, "zoë@ward") is None


def test_one_that_does_not_answer_is_left_alone_for_a_moment(rows: Rows) -> None:
    """Strangers make the box ask: it must not be held up by it, nor hold anybody else up."""
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    came = 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        own = {"issuer": f"http://127.0.0.1:{server.getsockname()[1]}", "client_id": CLIENT, **ROLES}
        settings = rows.settings.model_copy(update={"oidc": Oidc.model_validate(own)})
        client = TestClient(build_app(settings, rows.engine, rows.spool, lambda: rows.now, lambda: rows.now), HERE)

        def hang_up() -> None:
            nonlocal came
            with suppress(TimeoutError):
                while True:
                    server.accept()[0].close()
                    came += 1

        for wait_s in (0.0, 1.0, 5.0):
            rows.now += wait_s
            hanging_up = threading.Thread(target=hang_up)
            hanging_up.start()
            assert client.get("/sign-in/provider", follow_redirects=False).status_code == 503
            hanging_up.join()
    assert came == 2


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_a_provider_with_an_unsafe_address(browser: TestClient, provider: OpenIdProvider, name: str) -> None:
    """Codes and secrets go over TLS, or not beyond this machine."""
    provider.published = {name: "http://192.0.2.1/x"}
    sent = browser.get("/sign-in/provider", follow_redirects=False)
    if sent.status_code == 303:
        back = httpx2.get(sent.headers["location"], trust_env=False).headers["location"]
        sent = browser.get(back)
    assert sent.status_code == 503


def test_without_one_there_is_no_way_there(rows: Rows) -> None:
    """Nor a link to it."""
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    client = rows.client()
    assert "Sign in with" not in client.get("/sign-in").text
    assert client.get("/sign-in/provider").status_code == 404


@pytest.mark.parametrize(
    "own",
    [
        {"issuer": "http://sso.example.org", "client_id": "x", "viewer": ("a",)},
        {"issuer": "https://sso.example.org", "viewer": ("a",)},
        {"issuer": "https://sso.example.org", "client_id": "x"},
        {"issuer": "https://sso.example.org", "client_id": "x", "viewer": ("a",), "scopes": ("profile",)},
    ],
    ids=["plain http", "no client", "no role", "no openid"],
)
def test_what_cannot_be_meant_is_refused(own: dict[str, object]) -> None:
    """When the configuration is read."""
    with pytest.raises(ValidationError):
        Oidc.model_validate(own)


def test_over_tls_only_whom_an_authority_vouches_for(tmp_path: Path) -> None:
    """The hospital's own, when it is named; no other provider gets to see a code or the secret."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with openid_provider("localhost", tls) as provider:
        own = {"issuer": provider.issuer, "client_id": CLIENT, **ROLES}
        place, _ = Provider(Oidc.model_validate(own | {"ca": tmp_path / "ca.pem"}), lambda: 0.0).begin(HERE)
        assert place.startswith("https://localhost:")
        with pytest.raises(ProviderUnreachable):
            Provider(Oidc.model_validate(own), lambda: 0.0).begin(HERE)


def test_files_that_are_not_there(rows: Rows, tmp_path: Path) -> None:
    """The secret, and the authorities."""
    whole = {"issuer": "https://sso.example.org", "client_id": "x", "viewer": ("a",)}
    for more in ({"client_secret_file": tmp_path / "none"}, {"ca": tmp_path / "none"}):
        with pytest.raises(ConfigurationInvalid):
            Provider(Oidc.model_validate(whole | more), lambda: 0.0)
    assert oidc_client(rows.settings) is None
