"""``scanside status``: what the page shows, for scripts and terminals."""

from __future__ import annotations

from appliance.home import Home
from appliance.ingest.admit import Admission
from appliance.settings import Settings
from tests.dicom_factory import as_bytes
from tests.small_box import NOW, image
from tests.unit.appliance.commands.conftest import Scanside


def test_an_empty_box(scanside: Scanside) -> None:
    """There is something to say before the first study."""
    ended = scanside("status", "--json")
    assert ended.status == 0
    (found,) = ended.rows
    assert {"notices", "worklist", "destinations", "devices", "storage", "sqlite_version"} <= set(found)
    assert "studies      none yet" in scanside("status").out


def test_studies_are_counted_and_nobody_is_named(scanside: Scanside, home: Home, settings: Settings) -> None:
    """Scripts and logs get numbers, never a patient."""
    temporary = home.spool.temporary()
    temporary.write_bytes(as_bytes(image()))
    Admission(home.engine, home.spool, settings.limits, settings.dicom).admit(temporary, "SCANNER", NOW)
    for ended in (scanside("status", "--json"), scanside("status")):
        assert ended.status == 0
        assert "Phantom" not in ended.out
        assert "P-0" not in ended.out
    assert "none yet" not in scanside("status").out
