"""``scanside serve`` and ``scanside cloud``: a supervisor and its processes."""

from __future__ import annotations

import hashlib
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import structlog
from sqlalchemy.exc import OperationalError

from appliance.audit.events import EventType, application
from appliance.audit.trail import record
from appliance.configuration import load_settings, secret
from appliance.confined import confine
from appliance.errors import ConfigurationInvalid
from appliance.home import Home, open_home
from appliance.packs import installed_in_new_home
from appliance.people.users import has_users
from appliance.process import PROCESSES, run_process
from appliance.settings import Limits, Settings
from appliance.start.plan import Plan, make_plan
from appliance.start.standing import SAFE_PAGE
from appliance.start.watch import StartWatch
from appliance.supervisor import Supervisor, ends_at_once, stop_event, supervisor_stop
from store_forward.cloud.serve import run_analysis, run_endpoint
from store_forward.cloud.settings import CloudSettings
from store_forward.database import reading, writing

log = structlog.get_logger()
_CLOUD_PROCESSES = ("cloud-endpoint", "cloud-analysis")
#: Those that start no program, and whether they make no connection, either. The page's starts those that read files.
_CONFINED = {"receiver": False, "triage": True, "uplink": False, "cloud-endpoint": False, "cloud-analysis": True}


def serve_box(config: Path | None) -> bool:
    """Run the box until SIGTERM or SIGINT; whether it then ran with the file that is meant, and all of it.

    A file that cannot be used changes nothing: the box goes on with what was last in force, or, where there is
    nothing such, shows its page alone; and it takes the file up as soon as it is mended.
    """
    _log_to_stderr()
    stop = supervisor_stop()
    plan = make_plan(config, time.time())
    lacking = plan.lacking
    while not stop.is_set():
        _announce(plan)
        _note(plan, EventType.APPLICATION_START)
        watch = StartWatch(plan, config)
        names = tuple(PROCESSES) if plan.settings else (SAFE_PAGE,)
        per_minute = (plan.settings.limits if plan.settings else Limits()).restarts_per_minute
        supervisor = Supervisor(_commands(names, plan.config), per_minute, stop)
        with watch.telling():
            supervisor.held = plan.held
            supervisor.run(partial(watch.look, supervisor))
        lacking = watch.lacking
        _note(plan, EventType.APPLICATION_STOP)
        if not stop.is_set():
            plan = make_plan(config, time.time())
    return not plan.refused and not any(one.holds for one in lacking)


def _announce(plan: Plan) -> None:
    """Where the box listens, on standard output; what is wrong, on standard error."""
    if plan.refused:
        sys.stderr.write(f"{ConfigurationInvalid(str(plan.file or 'defaults'), plan.refused)}\n")
    for one in plan.lacking:
        sys.stderr.write(f"{one.problem}\n")
    if plan.mode == "kept":
        sys.stderr.write(f"The box goes on with what was last in force, {plan.config}, until the file is mended.\n")
    if plan.mode == "safe":
        sys.stderr.write("Safe mode: the box receives and sends nothing until this is mended.\n")
    dicom = plan.settings.dicom if plan.settings else None
    if dicom is not None and "receiver" not in plan.held:
        sys.stdout.write(f"DICOM  {dicom.ae_title} at {dicom.host}:{dicom.port}\n")
        if dicom.tls is not None:
            sys.stdout.write(f"       over TLS at {dicom.host}:{dicom.tls.port}\n")
        if dicom.lets_nobody_in is not None:
            sys.stdout.write(f"       {dicom.lets_nobody_in}\n")
    scheme = "https" if plan.page.certificate and plan.settings else "http"
    sys.stdout.write(f"page   {scheme}://{plan.page.host}:{plan.page.port}/\n")
    if plan.settings is not None and not plan.page.is_local and _nobody_may_sign_in(plan.settings):
        repair = "scanside users add NAME --role administrator"
        sys.stdout.write(f"       shows nothing before there is a user: {repair}\n")
    sys.stdout.write("Research use only, not for diagnosis.\n")
    sys.stdout.flush()
    sys.stderr.flush()


def _nobody_may_sign_in(settings: Settings) -> bool:
    with _opened(settings) as home, reading(home.engine) as connection:
        return not has_users(connection)


def _note(plan: Plan, what: EventType) -> None:
    """In the audit trail: which program, and which configuration. In safe mode nothing in the home is touched."""
    if plan.settings is None:
        return
    digest = hashlib.sha256(plan.config.read_bytes()).hexdigest()[:12] if plan.config else "defaults"
    try:
        with _opened(plan.settings) as home, writing(home.engine) as connection:
            detail = f"scanside {version('scanside')}, configuration {digest}"
            record(connection, application(what, detail), time.time())
    except (OperationalError, OSError) as error:  # a full disk; the box goes on, and the trail lacks this
        log.error("audit.not_recorded", kind=type(error).__name__)


@contextmanager
def _opened(settings: Settings) -> Iterator[Home]:
    home = open_home(settings)
    try:
        yield home
    finally:
        home.engine.dispose()


def serve_cloud(settings: Settings, config: Path | None) -> None:
    """Run the cloud sync endpoint and its analysis until SIGTERM or SIGINT.

    Raises:
        ConfigurationInvalid: boxes have no token to show.
    """
    _log_to_stderr()
    stop = supervisor_stop()
    own = settings.cloud_endpoint
    cloud_settings(settings)
    scheme = "https" if own.certificate else "http"
    sys.stdout.write(f"cloud  {scheme}://{own.host}:{own.port}/\n")
    sys.stdout.flush()
    Supervisor(_commands(_CLOUD_PROCESSES, config), settings.limits.restarts_per_minute, stop).run()


def run_supervised(name: str, config: Path | None) -> None:
    """One process of either supervisor. Raises ConfigurationInvalid."""
    _log_to_stderr()
    structlog.contextvars.bind_contextvars(process=name)
    settings, stop = load_settings(config), stop_event()
    if name in _CONFINED:
        confine(to_the_machine=_CONFINED[name])
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
    """The endpoint's own settings out of the whole configuration. Raises ConfigurationInvalid, KeyUnusable, OSError."""
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
        installed_packs=installed_in_new_home(settings),  # those that come while this runs are sealed, too
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
