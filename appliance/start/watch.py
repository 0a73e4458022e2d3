"""While the box runs: is a file that was wrong mended, and is what was missing there now?"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from appliance.start.obstacles import obstacles, process_of
from appliance.start.plan import Plan, make_plan, problems_now
from appliance.start.standing import STANDING, STANDING_VARIABLE, said, stamp_of, write_standing
from appliance.supervisor import Supervisor
from store_forward.errors import DatabaseUnusable

log = structlog.get_logger()
_FILE_LOOK_S: Final = 1.0
_LACKING_LOOK_S: Final = 5.0


class StartWatch:
    """For the time of one :class:`Plan`; asked by the supervisor's loop."""

    def __init__(self, plan: Plan, config: Path | None) -> None:
        self._plan = plan
        self._config = config
        self._stamp = self._seen = stamp_of(plan.file)
        self._file_at = self._lacking_at = time.monotonic()
        self._standing = plan.standing
        self._path: Path | None = None
        self.lacking = plan.lacking

    @contextmanager
    def telling(self) -> Iterator[None]:
        """The page can read how things stand until the block ends. In safe mode nothing in the home is touched."""
        with tempfile.TemporaryDirectory(prefix="scanside-") as folder:
            home = self._plan.settings.home if self._plan.settings else Path(folder)
            self._path = home / STANDING
            self._write()
            os.environ[STANDING_VARIABLE] = str(self._path)
            try:
                yield
            finally:
                self._path.unlink(missing_ok=True)  # of a box that does not run there is nothing to say

    def look(self, supervisor: Supervisor) -> bool:
        """Let what is held start when it can; True when all is to be planned anew."""
        now = time.monotonic()
        if now - self._file_at >= _FILE_LOOK_S:
            self._file_at = now
            if self._file_changed():
                return True
        if now - self._lacking_at >= _LACKING_LOOK_S:
            self._lacking_at = now
            if self._plan.mode == "safe":
                return self._can_start()
            if self.lacking:
                self._look_for_the_missing(supervisor)
        return False

    def _file_changed(self) -> bool:
        """A file that was refused and is valid now is taken up; any other change is only said."""
        plan, before, now = self._plan, self._seen, stamp_of(self._plan.file)
        self._seen = now
        if plan.file is None or now != before or now == self._stamp:
            return False  # the same, or somebody may still be writing it
        self._stamp = now
        refused = problems_now(plan.file)
        if plan.refused and not refused:
            log.info("configuration.mended")
            return plan.mode == "kept" or self._can_start()
        changed_at = time.time() if not refused else None
        told = {"refused": tuple(said(one) for one in refused), "changed_at": changed_at}
        self._standing = self._standing.model_copy(update=told)
        self._write()
        return False

    def _can_start(self) -> bool:
        """Out of safe mode, as soon as there is anything to run with."""
        try:
            plan = make_plan(self._config, time.time())
        except DatabaseUnusable:
            return False
        return plan.mode != "safe"

    def _look_for_the_missing(self, supervisor: Supervisor) -> None:
        assert self._plan.settings is not None
        try:
            self.lacking = obstacles(self._plan.settings, supervisor.held)
        except OSError:
            return
        held = frozenset(name for one in self.lacking for name in one.holds) & supervisor.held
        released = supervisor.held - held
        supervisor.held = held
        if released:
            log.info("start.goes_on", released=sorted(released))
        for name in {process_of(part) for part in released} - released - held:
            supervisor.renew(name)
        lacking = tuple(said(one.problem, one.holds) for one in self.lacking)
        if lacking != self._standing.lacking:
            self._standing = self._standing.model_copy(update={"lacking": lacking})
            self._write()

    def _write(self) -> None:
        assert self._path is not None
        try:
            write_standing(self._path, self._standing)
        except OSError as error:  # a full disk: the page then says what was true before
            sys.stderr.write(f"{self._path}: {error.strerror}\n")
