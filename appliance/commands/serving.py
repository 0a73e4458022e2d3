"""``scanside serve`` and ``scanside cloud``: a supervisor and its processes."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import structlog

from appliance.audit.events import EventType, application
from appliance.audit.trail import record
from appliance.configuration import secret
from appliance.dicomweb.door import dicomweb_token
from appliance.disk.upkeep import prepare_home
from appliance.errors import ConfigurationInvalid
from appliance.home import Home
from appliance.packs import installed_folder_of
from appliance.privacy.package import site_key
from appliance.process import PROCESSES, run_process
from appliance.results.stow import stow_token
from appliance.results.webhook import signing_key
from appliance.settings import Settings
from appliance.standby.keeper import standby_token
from appliance.supervisor import Supervisor, ends_at_once, stop_event
from appliance.tls import server_context
from store_forward.cloud.serve import run_analysis, run_endpoint
from store_forward.cloud.settings import CloudSettings
from store_forward.database import writing

_CLOUD_PROCESSES = ("cloud-endpoint", "cloud-analysis")


def serve_box(settings: Settings, config: Path | None) -> None:
    """Run the box until SIGTERM or SIGINT."""
    _log_to_stderr()
    home = prepare_home(settings)  # made and looked over once here, so that the processes find it
    site_key(home.site_key_path)
    _note(home, EventType.APPLICATION_START)
    home.engine.dispose()
    secret(settings.cloud.token_file, settings.cloud.token_variable)  # a missing secret is said now, not at night
    standby_token(settings)  # likewise
    dicomweb_token(settings)
    for server in settings.stow:
        stow_token(server)
    for webhook in settings.webhook:
        signing_key(webhook)
    dicom, page = settings.dicom, settings.page
    sys.stdout.write(f"DICOM  {dicom.ae_title} at {dicom.host}:{dicom.port}\n")
    if dicom.tls is not None:
        server_context(dicom.tls)
        sys.stdout.write(f"       over TLS at {dicom.host}:{dicom.tls.port}\n")
    if dicom.lets_nobody_in is not None:
        sys.stdout.write(f"       {dicom.lets_nobody_in}\n")
    sys.stdout.write(f"page   http://{page.host}:{page.port}/\n")
    sys.stdout.write("Research use only, not for diagnosis.\n")
    sys.stdout.flush()
    try:
        Supervisor(_commands(tuple(PROCESSES), config), settings.limits.restarts_per_minute).run()
    finally:
        _note(home, EventType.APPLICATION_STOP)
        home.engine.dispose()


def _note(home: Home, what: EventType) -> None:
    with writing(home.engine) as connection:
        record(connection, application(what, f"scanside {version('scanside')}"), time.time())


def serve_cloud(settings: Settings, config: Path | None) -> None:
    """Run the cloud sync endpoint and its analysis until SIGTERM or SIGINT.

    Raises:
        ConfigurationInvalid: boxes have no token to show.
    """
    _log_to_stderr()
    own = settings.cloud_endpoint
    cloud_settings(settings)
    scheme = "https" if own.certificate else "http"
    sys.stdout.write(f"cloud  {scheme}://{own.host}:{own.port}/\n")
    sys.stdout.flush()
    Supervisor(_commands(_CLOUD_PROCESSES, config), settings.limits.restarts_per_minute).run()


def run_supervised(name: str, settings: Settings) -> None:
    """One process of either supervisor."""
    _log_to_stderr()
    structlog.contextvars.bind_contextvars(process=name)
    stop = stop_event()
    if name == "cloud-endpoint":
        run_endpoint(cloud_settings(settings), stop)
    elif name == "cloud-analysis":
        run_analysis(cloud_settings(settings), stop, ends_at_once)
    elif name in PROCESSES:
        run_process(name, settings, stop)
    else:
        known = ", ".join((*PROCESSES, *_CLOUD_PROCESSES))
        raise ConfigurationInvalid("command line", (f"there is no process {name!r}; there are {known}",))


def cloud_settings(settings: Settings) -> CloudSettings:
    """The endpoint's own settings out of the whole configuration."""
    own = settings.cloud_endpoint
    token = secret(own.token_file, own.token_variable)
    if token is None and not own.certificates_only:
        repair = f"set the environment variable {own.token_variable} or cloud_endpoint.token_file"
        raise ConfigurationInvalid("cloud endpoint", (f"there is no token for boxes to show; {repair}",))
    if token is not None and len(token) < 16:
        raise ConfigurationInvalid("cloud endpoint", ("its token is shorter than 16 characters; make a longer one",))
    marks = settings.limits.free_disk
    return CloudSettings(
        home=settings.home / "cloud",
        host=own.host,
        port=own.port,
        token=token,
        max_upload_bytes=own.max_upload_bytes,
        free_floor_bytes=marks.floor_bytes,
        free_bulk_bytes=marks.bulk_bytes,
        free_warn_bytes=marks.warn_bytes,
        certificate=own.certificate,
        private_key=own.private_key,
        certificates_only=own.certificates_only,
        certificate_days=own.certificate_days,
        packs=settings.triage.packs,
        installed_packs=installed_folder_of(settings),
    )


def _commands(names: tuple[str, ...], config: Path | None) -> dict[str, list[str]]:
    tail = ["--config", str(config)] if config else []
    return {name: [sys.executable, "-m", "appliance", "run", name, *tail] for name in names}


def _log_to_stderr() -> None:
    """One JSON object per line on standard error; never anything of a patient's."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # pydicom's remarks quote the value they are about, which may name a patient.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
