"""The cloud's two processes.

The endpoint, which decodes nothing, and the analysis, which may die of what it decodes.
"""

from __future__ import annotations

import fcntl
import resource
import shutil
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import structlog
import uvicorn

from models.activations import activations_mark
from models.asking_again import AskingAgain
from models.in_use import open_packs
from models.pixels import PixelLimits
from models.registry import SHIPPED, Registry
from models.triage import Triage
from store_forward.cloud.analysis import Analysis
from store_forward.cloud.authority import Authority
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.endpoint import build_app
from store_forward.cloud.errors import AlreadyRunning
from store_forward.cloud.heads import Heads
from store_forward.cloud.peer import TellingProtocol
from store_forward.cloud.settings import CloudSettings
from store_forward.database import create_schema, open_database
from store_forward.durable import make_folder
from store_forward.spool import Spool

log = structlog.get_logger()
_GRACE_S = 5
_PAUSE_AFTER_FAILURE_S = 1.0


def run_endpoint(settings: CloudSettings, stop: threading.Event | None = None) -> None:
    """Serve boxes until ``stop`` is set, or SIGTERM or SIGINT when run in the main thread.

    Raises DatabaseUnusable and OSError when the home folder cannot be used, SystemExit when the port cannot.
    """
    until = stop or threading.Event()
    server = build_server(settings)
    ended = threading.Event()
    watcher = threading.Thread(target=_stop_when_told, args=(server, until, ended), daemon=True)
    watcher.start()
    try:
        server.run()
    finally:
        ended.set()
        watcher.join()


def build_server(settings: CloudSettings) -> uvicorn.Server:
    """The HTTP server, not yet running."""
    running: list[uvicorn.Server] = []
    app = build_app(settings, stopping=lambda: any(server.should_exit for server in running))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=TellingProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
        ssl_ca_certs=str(Authority(settings.authority).ca_file) if settings.certificate else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if settings.certificate else ssl.CERT_NONE,
    )
    running.append(uvicorn.Server(config))
    return running[0]


def run_analysis(
    settings: CloudSettings,
    stop: threading.Event | None = None,
    opening: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Answer cases until ``stop`` is set. A case that takes too long or too much memory ends the whole process.

    ``opening`` is entered whenever packs are opened, which may take long and commits nothing.
    The supervisor then starts it again, and the attempt has been counted. Raises AlreadyRunning when another
    analysis works on this home folder, DatabaseUnusable, OSError.
    """
    until = stop or threading.Event()
    make_folder(settings.home)
    with _alone(settings):
        _remove_scratch(settings)
        _limit_memory(settings.analysis_memory_bytes)
        engine = open_database(settings.database)
        create_schema(engine, CLOUD_METADATA)
        spool = Spool(settings.spool, settings.free_floor_bytes, settings.free_bulk_bytes, settings.free_warn_bytes)
        mark, asking_again = _packs_mark(settings), AskingAgain()
        with opening():
            triage = open_triage(settings)
        analysis = Analysis(settings, engine, spool, triage, open_heads(settings))
        asking_again.note(triage.lacks_packs)
        while not until.is_set():
            if (now := _packs_mark(settings)) != mark or asking_again.due:
                with opening():
                    mark, triage = now, open_triage(settings)
                analysis.read_with(triage, open_heads(settings))
                asking_again.note(triage.lacks_packs)
                log.info("packs.reloaded")
            if asking_again.images_wait:
                until.wait(settings.analysis_poll_s)
            else:
                _step(analysis, settings, until)
        engine.dispose()


def open_triage(settings: CloudSettings) -> Triage:
    """The cloud's packs, each on the fastest device that reproduces its golden set; what cannot be opened is told."""
    packs = open_packs(Registry(_folders(settings), settings.installed_packs), "cloud", settings.home / "devices.json")
    for rejection in packs.rejected:
        log.error("pack.rejected", pack=rejection.pack, why=rejection.why, repair=rejection.repair)
    for pack, why in [*packs.unopened, *packs.replaced]:
        log.error("pack.unopened", pack=pack.manifest.name, version=pack.manifest.version, cause=why)
    limits = PixelLimits(settings.max_pixels, settings.max_decoded_bytes)
    runners = [opened.runner for _, opened in packs.opened]
    return Triage(runners, limits, without_backend=[pack for pack, _ in packs.unopened], unreadable=packs.unreadable)


def open_heads(settings: CloudSettings) -> Heads:
    """The heads of all box packs that are known here, in use or not: a box may be a version behind or ahead."""
    return Heads.of(Registry(_folders(settings)), settings.installed_packs)


def _folders(settings: CloudSettings) -> list[Path]:
    return [SHIPPED, *([settings.packs] if settings.packs else [])]


def _packs_mark(settings: CloudSettings) -> object:
    return activations_mark(settings.installed_packs) if settings.installed_packs is not None else None


def _step(analysis: Analysis, settings: CloudSettings, until: threading.Event) -> None:
    try:
        with _killed_after(settings.analysis_timeout_s):
            busy = analysis.step(time.time())
    except Exception as error:  # noqa: BLE001 - the outermost loop: one bad case must not keep the others waiting
        log.error("case.failed", kind=type(error).__name__)
        until.wait(_PAUSE_AFTER_FAILURE_S)
        analysis.put_back()
        return
    if not busy:
        until.wait(settings.analysis_poll_s)


def _stop_when_told(server: uvicorn.Server, until: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        if until.is_set():
            server.should_exit = True


@contextmanager
def _killed_after(seconds: float) -> Iterator[None]:
    """SIGALRM with its default action ends the process even while a decoder's C code never returns."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _alone(settings: CloudSettings) -> Iterator[None]:
    """Hold the analysis's lock file; the kernel lets go of it however the process ends."""
    with (settings.home / "analysis.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning("another analysis works on this home folder") from error
        yield


def _remove_scratch(settings: CloudSettings) -> None:
    for left_over in settings.home.glob("analysis-*"):
        shutil.rmtree(left_over)


def _limit_memory(size_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = size_bytes if hard == resource.RLIM_INFINITY else min(size_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
