"""Who may have an association: every row of the decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.ingest.callers import Caller, Refusal, plain_address, plain_port_is_needed, refusal_of
from appliance.settings import Dicom

NETWORK = {"host": "192.0.2.10"}
TLS = {"tls": {"certificate": "box.pem", "private_key": "box.key", "client_ca": "ca.pem"}}
CT = Caller("CT1", "SCANSIDE", "192.0.2.7")
SHOWN = frozenset({"ct1.example.org", "sha256:" + "ab" * 32})


def _peers(**peer: Any) -> dict[str, Any]:
    return {"peers": {"CT1": peer}}


@pytest.mark.parametrize(
    ("settings", "caller", "refusal"),
    [
        ({}, replace(CT, address="127.0.0.1"), None),
        (NETWORK, CT, Refusal.CALLING_AE_TITLE_UNKNOWN),
        (NETWORK | _peers(plain=True), CT, None),
        (NETWORK | _peers(plain=True), replace(CT, calling_ae_title="CT2"), Refusal.CALLING_AE_TITLE_UNKNOWN),
        (_peers(), replace(CT, calling_ae_title="CT2"), Refusal.CALLING_AE_TITLE_UNKNOWN),
        (_peers(), CT, None),
        (NETWORK | _peers(plain=True, ae_title="MR"), CT, Refusal.CALLING_AE_TITLE_UNKNOWN),
        (NETWORK | _peers(plain=True, ae_title="*"), CT, None),
        (NETWORK | _peers(plain=True, addresses=["192.0.2.0/29"]), CT, None),
        (NETWORK | _peers(plain=True, addresses=["192.0.2.8", "2001:db8::/32"]), CT, Refusal.ADDRESS_NOT_ALLOWED),
        (NETWORK | _peers(plain=True, addresses=["2001:db8::/32"]), replace(CT, address="2001:db8::7"), None),
        (NETWORK | TLS | _peers(), CT, Refusal.TLS_REQUIRED),
        (NETWORK | TLS | _peers(), replace(CT, certificate=frozenset()), None),
        (NETWORK | TLS | _peers(plain=True), CT, None),
        (NETWORK | TLS | _peers(certificates=["ct1.example.org"]), replace(CT, certificate=SHOWN), None),
        (NETWORK | TLS | _peers(certificates=["sha256:" + "AB" * 32]), replace(CT, certificate=SHOWN), None),
        (
            NETWORK | TLS | _peers(certificates=["ct2.example.org"]),
            replace(CT, certificate=SHOWN),
            Refusal.CERTIFICATE_NOT_ALLOWED,
        ),
        (
            NETWORK | TLS | _peers(certificates=["ct1.example.org"]),
            replace(CT, certificate=frozenset()),
            Refusal.CERTIFICATE_NOT_ALLOWED,
        ),
        (TLS | _peers(certificates=["ct1.example.org"]), CT, Refusal.TLS_REQUIRED),
        (_peers(called_ae_title="OLD"), CT, Refusal.CALLED_AE_TITLE_UNKNOWN),
        (_peers(called_ae_title="OLD"), replace(CT, called_ae_title="OLD"), None),
        ({"require_called_ae_title": True}, replace(CT, called_ae_title="OLD"), Refusal.CALLED_AE_TITLE_UNKNOWN),
        (
            {"require_called_ae_title": True} | _peers(),
            replace(CT, called_ae_title="OLD"),
            Refusal.CALLED_AE_TITLE_UNKNOWN,
        ),
        ({}, replace(CT, application_context="1.2.3"), Refusal.APPLICATION_CONTEXT_UNKNOWN),
    ],
)
def test_who_may_come(settings: dict[str, Any], caller: Caller, refusal: Refusal | None) -> None:
    """Title, address, TLS, certificate and called title, in this order."""
    assert refusal_of(caller, Dicom.model_validate(settings)) is refusal


def test_two_peers_with_one_title_are_told_apart_by_address() -> None:
    """What holds for one of them holds for it alone."""
    peers = {
        "near": {"ae_title": "CT1", "addresses": ["192.0.2.7"], "plain": True},
        "far": {"ae_title": "CT1", "addresses": ["198.51.100.7"]},
    }
    settings = Dicom.model_validate(NETWORK | TLS | {"peers": peers})
    assert refusal_of(CT, settings) is None
    assert refusal_of(replace(CT, address="198.51.100.7"), settings) is Refusal.TLS_REQUIRED


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, True),
        (NETWORK, True),
        (NETWORK | TLS, False),
        (NETWORK | TLS | _peers(), False),
        (NETWORK | TLS | _peers(plain=True), True),
    ],
)
def test_the_plain_port_is_open_only_for_somebody(settings: dict[str, Any], needed: bool) -> None:
    """Beyond loopback, with TLS, and nobody who may come without: there is no such port."""
    assert plain_port_is_needed(Dicom.model_validate(settings)) is needed


def test_addresses_are_compared_as_themselves() -> None:
    """IPv4 in IPv6, zones, and what is none."""
    assert plain_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("nowhere") == "nowhere"


def test_no_two_refusals_are_one() -> None:
    """Each cause has its own words and codes of PS3.8 table 9-21."""
    assert len(list(Refusal)) == 7
    reasons = {1: {1, 2, 3, 7}, 2: {1, 2}, 3: {1, 2}}
    assert all(one.reason in reasons[one.source] and one.result in (1, 2) for one in Refusal)
