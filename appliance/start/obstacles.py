"""What a valid configuration needs and the machine does not give: ports, secrets, certificates, folders."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from appliance.configuration import secret
from appliance.dicomweb.door import dicomweb_token
from appliance.errors import ConfigurationInvalid, Problem
from appliance.home import SITE_KEY
from appliance.privacy.errors import SiteKeyUnusable
from appliance.privacy.package import site_key
from appliance.results.stow import stow_token
from appliance.results.webhook import signing_key
from appliance.settings import DicomWeb, Settings, Standby
from appliance.standby.keeper import standby_token
from appliance.tls import server_context

#: Parts of the page's process that stay closed while what they need is not there.
DICOMWEB: Final = "dicomweb"
STANDBY: Final = "standby"


@dataclass(frozen=True)
class Obstacle:
    """A problem, and the processes and parts that are not started while it lasts; none: it is only said."""

    problem: Problem
    holds: frozenset[str]


def obstacles(settings: Settings, running: frozenset[str] = frozenset()) -> list[Obstacle]:
    """Everything in the way of a start; what only concerns processes that are ``running`` is not looked at again.

    Raises OSError: the home cannot be used.
    """
    return [
        Obstacle(problem, frozenset(holds) - running)
        for holds, look in _looks(settings)
        if not holds or set(holds) - running
        for problem in look()
    ]


def _looks(settings: Settings) -> Iterator[tuple[tuple[str, ...], Callable[[], list[Problem]]]]:
    dicom, page, cloud = settings.dicom, settings.page, settings.cloud
    yield ("receiver",), lambda: _port("dicom.port", dicom.host, dicom.port)
    if (tls := dicom.tls) is not None:
        yield ("receiver",), lambda: _port("dicom.tls.port", dicom.host, tls.port)
        yield ("receiver",), lambda: _asked("dicom.tls", lambda: server_context(tls))
    yield ("web",), lambda: _port("page.port", page.host, page.port)
    yield ("uplink",), lambda: _asked("cloud.token_file", lambda: secret(cloud.token_file, cloud.token_variable))
    for server in settings.stow:
        yield ("uplink",), partial(_asked, f"stow {server.name}", partial(stow_token, server))
    for hook in settings.webhook:
        yield ("uplink",), partial(_asked, f"webhook {hook.name}", partial(signing_key, hook))
    yield ("uplink", STANDBY), lambda: _asked("standby.token_file", lambda: standby_token(settings))
    yield (DICOMWEB,), lambda: _asked("dicomweb.token_file", lambda: dicomweb_token(settings))
    yield ("triage",), lambda: _site_key(settings.home / SITE_KEY)
    yield (), lambda: _packs(settings)


def _asked(key: str, ask: Callable[[], object]) -> list[Problem]:
    try:
        ask()
    except ConfigurationInvalid as invalid:
        about = "" if invalid.source == key else f"{invalid.source} "
        return [Problem(key, f"{about}{one.reason}", one.repair) for one in invalid.details]
    return []


def _site_key(path: Path) -> list[Problem]:
    try:
        site_key(path)
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


def open_parts(settings: Settings) -> Settings:
    """For the page's process: with those of its parts closed that lack a secret."""
    closed: dict[str, object] = {}
    if _asked(DICOMWEB, lambda: dicomweb_token(settings)):
        closed["dicomweb"] = DicomWeb()
    if _asked(STANDBY, lambda: standby_token(settings)):
        closed["standby"] = Standby(token_variable="")
    return settings.model_copy(update=closed)
