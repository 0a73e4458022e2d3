"""A small real box in a temporary folder: validated settings, SQLite, a spool, and calls that act on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy import Row, Table, func, select

from appliance.home import Home, open_home
from appliance.ingest.admit import Admission, Admitted
from appliance.ingest.header import Seen
from appliance.schema import studies
from appliance.settings import Settings
from appliance.triage.worker import TriageWorker
from store_forward.database import reading
from tests.dicom_factory import as_bytes, chest_radiograph
from tests.tiny_pack import Says, picture

#: 2026-05-28, in epoch seconds; tests pass times in, nothing here looks at a clock.
NOW = 1_780_000_000.0
SCANNER = "SCANNER"

_MEASURED: list[bytes] = []

MakeBox = Callable[..., "SmallBox"]


def image(says: Says = "urgent", seed: str = "0", **overrides: Any) -> Dataset:
    """A 96 x 96 radiograph about which the tiny pack says ``says``."""
    return chest_radiograph(seed=seed, pixels=picture(says, 96, 96), **overrides)


class SmallBox:
    """One box; ``sections`` are tables of the configuration file."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        sections.setdefault("limits", {}).setdefault("free_disk_floor_bytes", 0)
        sections.setdefault("dicom", {}).setdefault("port", 0)
        self.settings = Settings.model_validate({"home": folder, **sections})
        self.home: Home = open_home(self.settings)
        self.engine, self.spool = self.home.engine, self.home.spool
        self.admission = Admission(self.engine, self.spool, self.settings.limits, self.settings.dicom)

    @property
    def incoming(self) -> Path:
        """Where received files lie before they are admitted."""
        return self.spool.root / "incoming"

    def admit(
        self,
        content: Dataset | bytes,
        source: str = SCANNER,
        now: float = NOW,
        announced: tuple[str, str] | None = None,
        seen: Seen | None = None,
    ) -> tuple[Admitted, str]:
        """Take one instance in, as the receiver does with a received file."""
        temporary = self.incoming / "received"
        with self.spool.content(temporary).open("wb") as file:
            file.write(as_bytes(content) if isinstance(content, Dataset) else content)
        return self.admission.admit(temporary, source, now, announced, seen)

    def receive(self, *contents: Dataset, now: float = NOW) -> str:
        """Take the instances of one study in and release it, so that it is complete at ``now``."""
        uids = {self.admit(content, now=now)[1] for content in contents}
        self.admission.released(uids, SCANNER, now - self.settings.dicom.quiet_time_s)
        (uid,) = uids
        return uid

    def worker(self) -> TriageWorker:
        """A started triage worker. What one box of these tests has measured, the next need not measure again."""
        cache = self.home.devices_cache
        if not cache.exists() and _MEASURED:
            cache.write_bytes(_MEASURED[-1])
        worker = TriageWorker(self.settings, self.home)
        worker.start(NOW)
        if cache.exists():
            _MEASURED[:] = [cache.read_bytes()]
        return worker

    def rows(self, table: Table) -> list[Row[Any]]:
        """Every row of a table, in the order in which they were written."""
        with reading(self.engine) as connection:
            return list(connection.execute(select(table)).all())

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        with reading(self.engine) as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def study(self, uid: str) -> Row[Any]:
        """The row of one study."""
        with reading(self.engine) as connection:
            return connection.execute(select(studies).where(studies.c.study_instance_uid == uid)).one()

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()


@contextmanager
def boxes(folder: Path) -> Iterator[MakeBox]:
    """A maker of boxes below ``folder``, each with a home of its own; all are closed at the end."""
    made: list[SmallBox] = []

    def make(name: str = "box", **sections: Any) -> SmallBox:
        made.append(SmallBox(folder / name, **sections))
        return made[-1]

    yield make
    for box in made:
        box.close()
