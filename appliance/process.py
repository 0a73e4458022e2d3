"""What each supervised process does: open what it needs, beat, work until told to stop."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
import uvicorn
from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from appliance.audit.syslog import SyslogTeller
from appliance.configuration import secret
from appliance.disk.database_file import home_lock
from appliance.disk.retention import Retention
from appliance.disk.room_watch import RoomWatch
from appliance.disk.upkeep import Upkeep
from appliance.home import Home, open_home
from appliance.ingest.admit import Admission
from appliance.ingest.commitment_reporter import CommitmentReporter
from appliance.ingest.receiver import Receiver, storage_sop_classes
from appliance.ingest.services import open_services
from appliance.ingest.watched_folder import WatchedFolder
from appliance.lane import Lane
from appliance.machine.record import MachineRecord, steady_seconds
from appliance.results.stow import open_stow_servers
from appliance.results.webhook import open_webhooks
from appliance.schema import processes
from appliance.settings import Settings
from appliance.standby.keeper import keeper_of
from appliance.start.obstacles import open_parts
from appliance.supervisor import ends_at_once
from appliance.tls import PageTls, page_context
from appliance.triage.worker import TriageWorker
from appliance.uplink import build_lanes, identity_of, renewal_of
from appliance.web.app import build_app
from hardware.readings import Meter
from store_forward.database import writing
from store_forward.http_connections import TimedConnection

log = structlog.get_logger()
BEAT_S: Final = 5.0
_LANES_END_S: Final = 3.0  # a request that still hangs then is cut, and its delivery is due again
_SWEEP_S: Final = 60.0
_TIDY_S: Final = 1.0  # retention gets a step this often however much there is to read
_PAGE_NICENESS: Final = 5
_IN_MEMORY: Final = "/dev/shm"  # nosec B108: for tempfile, which makes names nobody can guess
_LOOK_S: Final = 2.0  # how often the disk is looked at

Work = Callable[[Settings, Home, threading.Event], None]


def run_process(name: str, settings: Settings, stop: threading.Event) -> None:
    """Run one of :data:`PROCESSES` until ``stop`` is set."""
    with home_lock(settings.home, alone=False):
        _run(name, settings, stop)


def _run(name: str, settings: Settings, stop: threading.Event) -> None:
    home = open_home(settings)
    if home.spool.seal is not None:
        _keep_temporary_files_in_memory()
    beat = threading.Thread(target=_beat, args=(home.engine, name, stop), daemon=True)
    beat.start()
    try:
        PROCESSES[name](settings, home, stop)
    finally:
        stop.set()
        beat.join(2.0)
        home.engine.dispose()


def _keep_temporary_files_in_memory() -> None:
    """What a sealed box writes aside for a moment must not lie open on its disk either."""
    if os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        os.environ["TMPDIR"], tempfile.tempdir = _IN_MEMORY, None


def _beat(engine: Engine, name: str, stop: threading.Event) -> None:
    started_at = time.time()
    restarts = int(os.environ.get("SCANSIDE_RESTARTS", "0"))
    while not stop.is_set():
        row = {"name": name, "pid": os.getpid(), "state": "running", "started_at": started_at}
        statement = insert(processes).values(**row, beat_at=time.time(), restarts=restarts)
        changed = {k: statement.excluded[k] for k in ("pid", "state", "started_at", "beat_at", "restarts")}
        try:
            with writing(engine) as connection:
                connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
        except OperationalError as error:  # a full or broken disk; who looks sees that the beat is old
            log.warning("beat.missed", kind=type(error.orig).__name__)
        stop.wait(BEAT_S)


def _receive(settings: Settings, home: Home, stop: threading.Event) -> None:
    # Hundreds of idle connections must not use up what SQLite and the spool need.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # A line that breaks, or a disk that fills, leaves part of an instance: nobody writes to it after these times.
    patience_s = (settings.dicom.association_timeout_s, settings.limits.triage_timeout_s, settings.dicomweb.silence_s)
    abandoned_s = max(patience_s) + _SWEEP_S
    home.spool.sweep_incoming(time.time() - abandoned_s)
    with contextlib.suppress(OSError):  # a disk that is full or broken is for who sends to hear
        home.spool.make_object_folders()
    room = RoomWatch(home.engine, home.spool)
    room.look(time.time())
    admission = Admission(home.engine, home.spool, settings.limits, settings.dicom)
    admission.resume(time.time())
    services = open_services(settings, home.engine, home.spool, storage_sop_classes(settings.dicom.private_sop_classes))
    receiver = Receiver(settings.dicom, admission, home.spool, services)
    port = receiver.start()
    gc.freeze()  # what has been loaded stays; to look through it again and again holds every association up
    log.info("receiver.listening", ae_title=settings.dicom.ae_title, port=port)
    folder, failed = settings.watched_folder.path, threading.Event()
    upkeep = Upkeep(home, settings)
    threading.Thread(target=_run_lane, args=(upkeep.run, stop, failed), daemon=True).start()
    if folder is not None:
        watched = WatchedFolder(folder, settings.watched_folder.settle_s, admission, home.spool)
        threading.Thread(target=_run_lane, args=(watched.watch, stop, failed), daemon=True).start()
    swept = time.monotonic()
    while not stop.wait(_LOOK_S):
        room.look(time.time())
        if not receiver.is_listening:  # a thread broke; the supervisor starts us anew
            log.error("receiver.deaf")
            failed.set()
            break
        if time.monotonic() - swept > _SWEEP_S:
            home.spool.sweep_incoming(time.time() - abandoned_s)
            swept = time.monotonic()
    receiver.stop()
    if failed.is_set():
        raise SystemExit(1)


def _triage(settings: Settings, home: Home, stop: threading.Event) -> None:
    # A decoder that hangs or grows must end this process, not the box: the kernel enforces both.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit = settings.limits.worker_memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    worker = TriageWorker(settings, home, opening=ends_at_once)
    if stop.is_set():
        return
    worker.start(time.time())
    keeps_committed = settings.commitment.offer != "always"
    retention = Retention(home.engine, home.spool, settings.retention.keep_days, keeps_committed=keeps_committed)
    tidied = time.monotonic()
    while not stop.is_set():
        busy = worker.step(time.time())
        if not busy or time.monotonic() - tidied > _TIDY_S:
            busy = retention.step(time.time()) or busy
            tidied = time.monotonic()
        if not busy:
            stop.wait(0.1)


def _uplink(settings: Settings, home: Home, stop: threading.Event) -> None:
    asked, settings = settings, open_parts(settings)
    if asked != settings:
        log.error("uplink.destinations_closed", repair="scanside check says which secrets are missing")
    token = secret(settings.cloud.token_file, settings.cloud.token_variable)
    title, webhooks = settings.dicom.ae_title, open_webhooks(settings.webhook)
    stow_servers = open_stow_servers(settings.stow)
    identity = identity_of(settings)
    tls = None if identity is None else identity.context
    lanes = build_lanes(
        settings.cloud, token, settings.pacs, title, home.engine, home.spool, webhooks, stow_servers, tls
    )
    keeper = keeper_of(settings, home.engine)
    reporter = CommitmentReporter(
        settings, home.engine, home.spool, storage_sop_classes(settings.dicom.private_sop_classes)
    )
    runs = [*(lane.run for lane in lanes), reporter.run]
    if identity is not None and identity.exists:
        runs.append(renewal_of(settings, identity).run)
    if settings.audit.syslog is not None:
        runs.append(SyslogTeller(settings.audit.syslog, settings.cloud.box_id, home.engine).run)
    if keeper is not None:
        for lane in lanes:
            if isinstance(lane, Lane):
                lane.gate = keeper.gate
        runs.append(keeper.run)
    failed = threading.Event()
    threads = [threading.Thread(target=_run_lane, args=(run, stop, failed), daemon=True) for run in runs]
    for thread in threads:
        thread.start()
    stop.wait()
    deadline = time.monotonic() + _LANES_END_S
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    for lane in lanes:
        if isinstance(lane, Lane):
            lane.give_back()
    if failed.is_set():
        raise SystemExit(1)


def _run_lane(run: Callable[[threading.Event], None], stop: threading.Event, failed: threading.Event) -> None:
    """A lane or folder watch that breaks ends the process, so that the supervisor starts it anew, not in silence."""
    try:
        run(stop)
    except BaseException:
        failed.set()
        stop.set()
        raise


def _web(settings: Settings, home: Home, stop: threading.Event) -> None:
    _give_way()
    opened = open_parts(settings)  # what is shown is the whole configuration
    shown = settings.model_copy(update={"dicomweb": opened.dicomweb, "oidc": opened.oidc, "standby": opened.standby})
    app = build_app(shown, home.engine, home.spool)
    context = page_context(settings.page)
    if context is not None:
        threading.Thread(target=PageTls(settings.page, context).watch, args=(stop,), daemon=True).start()
    config = uvicorn.Config(
        app,
        settings.page.host,
        settings.page.port,
        http=TimedConnection,
        log_level="warning",
        timeout_graceful_shutdown=3,
        proxy_headers=False,  # which proxies are trusted the configuration says, see build_app
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    server = uvicorn.Server(config)
    record = MachineRecord(home.engine, Meter(), time.time, steady_seconds)
    threading.Thread(target=record.run, args=(stop,), daemon=True).start()
    threading.Thread(target=_end_server, args=(server, stop), daemon=True).start()
    server.run()


def _give_way() -> None:
    """However many look at the page, images are taken in and read first."""
    os.nice(_PAGE_NICENESS)
    with contextlib.suppress(OSError):  # where each session of processes has its share, this one's is made smaller
        Path("/proc/self/autogroup").write_text(str(_PAGE_NICENESS), encoding="ascii")


def _end_server(server: uvicorn.Server, stop: threading.Event) -> None:
    stop.wait()
    server.should_exit = True


PROCESSES: Final[dict[str, Work]] = {"receiver": _receive, "triage": _triage, "uplink": _uplink, "web": _web}
