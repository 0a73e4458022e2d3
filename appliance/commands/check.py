"""``scanside check``: everything a person would want to know before trusting a box with patients' images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import select

from appliance.box_key import key_place
from appliance.commands.check_dicom import certificate_results, dicom_results
from appliance.commands.check_disk import CheckResult, database_result, spool_results
from appliance.commands.check_pair import pair_results
from appliance.commands.packs import selftest
from appliance.configuration import secret
from appliance.confined import missing
from appliance.dicomweb.door import dicomweb_token
from appliance.errors import ConfigurationInvalid
from appliance.home import Home, open_home
from appliance.privacy.errors import SiteKeyUnusable
from appliance.privacy.package import site_key
from appliance.results.probe import targets
from appliance.results.probe_book import at_once
from appliance.results.stow import stow_token
from appliance.results.webhook import signing_key
from appliance.schema import set_aside
from appliance.settings import Settings
from appliance.uplink import identity_of
from appliance.web.provider import oidc_client
from store_forward.database import reading
from store_forward.errors import DatabaseUnusable, SpoolFull


def examine(settings: Settings, *, rehash: bool, repair: bool = False, destinations: bool = False) -> list[CheckResult]:
    """Look at everything; nothing is changed unless ``repair``. ``rehash`` reads every spooled file back."""
    results = [CheckResult("configuration", True, "valid"), *dicom_results(settings)]
    results += certificate_results(settings)
    results += [_secret(settings), *_webhooks(settings)]
    results += [*_stow_servers(settings), *_dicomweb(settings), *_oidc(settings)]
    results.append(database_result(settings, repair=repair))
    if not results[-1].ok:
        return results
    try:
        home = open_home(settings)
    except (DatabaseUnusable, OSError) as error:
        return [*results[:-1], CheckResult("database", False, str(error))]
    results += [
        *pair_results(home, settings),
        _disk(home),
        _at_rest(settings, home),
        _confinement(),
        _site_key(home),
        *spool_results(home, settings, rehash=rehash, repair=repair),
    ]
    results += [_set_aside(home), *_packs(settings)]
    if destinations:
        results += [_asked(settings, home, target) for target in targets(settings)]
    home.engine.dispose()
    return results


def _asked(settings: Settings, home: Home, target: str) -> CheckResult:
    found = at_once(settings, home.engine, target, "scanside check")
    if found is None:
        return CheckResult(f"asked {target}", False, "it is being asked already; try again in a minute")
    words = f"{found.words} after {found.duration_s:.2f} s"
    return CheckResult(f"asked {target}", found.ok, words if found.ok else f"{found.cause}: {words}; {found.repair}")


def _secret(settings: Settings) -> CheckResult:
    if settings.cloud.url is None:
        return CheckResult("cloud", True, "none configured; what is uncertain waits for a person")
    try:
        identity = identity_of(settings)
        token = secret(settings.cloud.token_file, settings.cloud.token_variable)
    except ConfigurationInvalid as invalid:
        return CheckResult("cloud", False, "; ".join(invalid.problems))
    if identity is not None and identity.exists:
        _, end = identity.span()
        until = datetime.fromtimestamp(end, UTC)
        words = f"{settings.cloud.url}, known there by a certificate until {until:%Y-%m-%d}"
        return CheckResult("cloud", end > time.time(), words)
    if token is None:
        repair = f"scanside enrol, or set {settings.cloud.token_variable} or cloud.token_file"
        return CheckResult("cloud", False, f"neither certificate nor token for {settings.cloud.url}: {repair}")
    return CheckResult("cloud", True, settings.cloud.url)


def _webhooks(settings: Settings) -> list[CheckResult]:
    results = []
    for webhook in settings.webhook:
        try:
            signing_key(webhook)
            results.append(CheckResult(f"webhook {webhook.name}", True, webhook.url))
        except ConfigurationInvalid as invalid:
            results.append(CheckResult(f"webhook {webhook.name}", False, "; ".join(invalid.problems)))
    return results


def _stow_servers(settings: Settings) -> Iterator[CheckResult]:
    for server in settings.stow:
        try:
            stow_token(server)
            yield CheckResult(f"stow {server.name}", True, server.url)
        except ConfigurationInvalid as invalid:
            yield CheckResult(f"stow {server.name}", False, "; ".join(invalid.problems))


def _dicomweb(settings: Settings) -> Iterator[CheckResult]:
    if settings.dicomweb.enabled:
        try:
            asks = "asks for its token" if dicomweb_token(settings) else "open to this machine without a token"
            yield CheckResult("dicomweb", True, asks)
        except ConfigurationInvalid as invalid:
            yield CheckResult("dicomweb", False, "; ".join(invalid.problems))


def _oidc(settings: Settings) -> Iterator[CheckResult]:
    try:
        if oidc_client(settings) is not None:
            yield CheckResult("oidc", True, str(settings.oidc.issuer))
    except ConfigurationInvalid as invalid:
        yield CheckResult("oidc", False, "; ".join(invalid.problems))


def _disk(home: Home) -> CheckResult:
    free = home.spool.free_bytes() / 1e9
    try:
        home.spool.require_room()
    except SpoolFull as full:
        return CheckResult("disk", False, f"{full}; make room, then reception goes on by itself")
    return CheckResult("disk", True, f"{free:.1f} GB free")


def _at_rest(settings: Settings, home: Home) -> CheckResult:
    if home.spool.seal is None:
        if settings.at_rest.encrypt:
            why = "the home was made without encryption and stays so; start with an empty one to have it sealed"
            return CheckResult("at rest", False, why)
        return CheckResult("at rest", True, "not encrypted, as at_rest.encrypt = false asks for")
    place = key_place(settings)
    if place.kind == "beside":
        return CheckResult("at rest", True, f"encrypted; the key {place.path} lies beside what it opens")
    return CheckResult("at rest", True, f"encrypted; the key is {place.path}")


def _confinement() -> CheckResult:
    if (why := missing()) is not None:
        said = f"what reads images could start programs and make connections: {why}; install libseccomp2"
        return CheckResult("confinement", False, said)
    return CheckResult("confinement", True, "what reads images starts no program and makes no connection")


def _site_key(home: Home) -> CheckResult:
    try:
        site_key(home.site_key_path, home.spool.seal)
    except SiteKeyUnusable as unusable:
        return CheckResult("site key", False, str(unusable))
    return CheckResult("site key", True, "present, readable by its owner only")


def _set_aside(home: Home) -> CheckResult:
    with reading(home.engine) as connection:
        rows = connection.execute(select(set_aside.c.reason)).scalars().all()
    return CheckResult("set aside", True, f"{len(rows)} instances; the status page shows why" if rows else "none")


def _packs(settings: Settings) -> Iterator[CheckResult]:
    for row in selftest(settings):
        device = row["device"] or "no device"
        latency = f", {row['latency_ms']} ms" if row["latency_ms"] is not None else ""
        detail = f"{device}{latency} {row['detail']}".strip()
        yield CheckResult(f"pack {row['pack']}", bool(row["ok"]), detail)
