"""What a valid configuration needs and the machine does not give: ports, secrets, certificates, folders."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from appliance.audit.syslog import syslog_context
from appliance.configuration import secret
from appliance.dicomweb.door import dicomweb_token
from appliance.errors import ConfigurationInvalid, Problem
from appliance.home import site_key_of
from appliance.privacy.errors import SiteKeyUnusable
from appliance.results.stow import stow_token
from appliance.results.webhook import signing_key
from appliance.settings import Audit, DicomWeb, Oidc, Settings, Standby
from appliance.standby.keeper import standby_token
from appliance.tls import page_context, server_context
from appliance.uplink import identity_of
from appliance.web.provider import oidc_client

#: Parts of the page's process, and of the uplink's, that stay closed while what they need is not there.
DICOMWEB: Final = "dicomweb"
OIDC: Final = "oidc"
STANDBY: Final = "standby"
SYSLOG: Final = "audit syslog"
_DELIVERIES: Final = "deliveries to "


@dataclass(frozen=True)
class Obstacle:
    """A problem, and the processes and parts that are not started while it lasts; none: it is only said."""

    problem: Problem
    holds: frozenset[str]


def obstacles(settings: Settings, held: frozenset[str] | None = None) -> tuple[Obstacle, ...]:
    """Everything in the way of a start; with ``held`` only what is still in the way of these.

    Raises OSError: the home cannot be used.
    """
    found = []
    for holds, look in _looks(settings):
        stopped = frozenset(holds) if held is None else frozenset(holds) & held
        if stopped or not holds:
            found += [Obstacle(problem, stopped) for problem in look()]
    return tuple(found)


def process_of(part: str) -> str:
    """The process that has to be started again when this part can be opened."""
    if part.startswith(_DELIVERIES) or part == SYSLOG:
        return "uplink"
    return "web" if part in (DICOMWEB, OIDC, STANDBY) else part


def _looks(settings: Settings) -> Iterator[tuple[tuple[str, ...], Callable[[], list[Problem]]]]:
    dicom, page = settings.dicom, settings.page
    yield ("receiver",), lambda: _port("dicom.port", dicom.host, dicom.port)
    if (tls := dicom.tls) is not None:
        yield ("receiver",), lambda: _port("dicom.tls.port", dicom.host, tls.port)
        yield ("receiver",), lambda: _asked("dicom.tls", lambda: server_context(tls))
    yield ("web",), lambda: _port("page.port", page.host, page.port)
    yield ("web",), lambda: _asked("page", lambda: page_context(page))
    yield (f"{_DELIVERIES}cloud",), partial(_asked, "cloud.ca", partial(identity_of, settings))
    if (syslog := settings.audit.syslog) is not None:
        yield (SYSLOG,), partial(_asked, "audit.syslog", partial(syslog_context, syslog))
    yield (f"{_DELIVERIES}cloud",), partial(_asked, "cloud.token_file", partial(_cloud_token, settings))
    for server in settings.stow:
        yield (f"{_DELIVERIES}{server.name}",), partial(_asked, f"stow {server.name}", partial(stow_token, server))
    for hook in settings.webhook:
        yield (f"{_DELIVERIES}{hook.name}",), partial(_asked, f"webhook {hook.name}", partial(signing_key, hook))
    yield ("uplink", STANDBY), lambda: _asked("standby.token_file", lambda: standby_token(settings))
    yield (DICOMWEB,), lambda: _asked("dicomweb.token_file", lambda: dicomweb_token(settings))
    yield (OIDC,), lambda: _asked("oidc", lambda: oidc_client(settings))
    yield ("triage",), lambda: _site_key(settings)
    yield (), lambda: _packs(settings)


def _asked(key: str, ask: Callable[[], object]) -> list[Problem]:
    try:
        ask()
    except ConfigurationInvalid as invalid:
        about = "" if invalid.source == key else f"{invalid.source} "
        return [Problem(key, f"{about}{one.reason}", one.repair) for one in invalid.details]
    return []


def _site_key(settings: Settings) -> list[Problem]:
    try:
        site_key_of(settings)
    except SiteKeyUnusable as unusable:
        return [Problem("home", unusable.why, unusable.repair)]
    return []


def _packs(settings: Settings) -> list[Problem]:
    folder = settings.triage.packs
    if folder is None or (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        return []
    why = "cannot be read" if folder.is_dir() else "is no folder"
    repair = "make it readable for this user, or correct the path, and start the box again; other packs read on"
    return [Problem("triage.packs", f"{folder} {why}", repair)]


def _port(key: str, host: str, port: int) -> list[Problem]:
    """Whether it can be listened on now; 0 is any that is free."""
    if port == 0:
        return []
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        repair = "end the other program, or give another port or an address of this machine"
        return [
            Problem(key, f"{host}:{port} cannot be listened on: {error.strerror or error}", repair, value=f" = {port}")
        ]
    return []


def _cloud_token(settings: Settings) -> str | None:
    return secret(settings.cloud.token_file, settings.cloud.token_variable)


def open_parts(settings: Settings) -> Settings:
    """What can be opened of it now: without DICOMweb, the other box and the destinations whose secret is missing.

    Deliveries to a destination that is left out wait.
    """
    closed: dict[str, object] = {
        "stow": tuple(one for one in settings.stow if not _asked("", partial(stow_token, one))),
        "webhook": tuple(one for one in settings.webhook if not _asked("", partial(signing_key, one))),
    }
    if _asked("", partial(dicomweb_token, settings)):
        closed["dicomweb"] = DicomWeb()
    if _asked("", partial(oidc_client, settings)):
        closed["oidc"] = Oidc()
    if _asked("", partial(standby_token, settings)):
        closed["standby"] = Standby(token_variable="")  # nosec B106: no variable at all
    if (syslog := settings.audit.syslog) is not None and _asked("", partial(syslog_context, syslog)):
        closed["audit"] = Audit()
    if _asked("", partial(_cloud_token, settings)) or _asked("", partial(identity_of, settings)):
        closed["cloud"] = settings.cloud.model_copy(update={"url": None, "token_file": None})  # nosec B105
    return settings.model_copy(update=closed)
