"""A stolen disk: after a power cut nothing on it names a patient, in whatever file, and what was erased stays so."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.presentation import build_context

from appliance.disk.erasure import erase_studies
from store_forward.database import reading
from tests.crash.small_site import Sent, SmallSite, small_sites
from tests.dicom_factory import as_file, uid
from tests.small_box import image

pytestmark = [pytest.mark.crash, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

#: Words that are nowhere else on the machine, each in an element of its own.
PLANTED = {
    "PatientName": "Zwetschgenmus^Adelgunde",
    "PatientID": "PLANTED-4711",
    "AccessionNumber": "PLANTACC-0815",
    "PatientComments": "plantedwords in a comment",
    "InstitutionName": "Plantedhospital",
    "StudyDescription": "Plantedstudy",
}
_SETTLED_S = 120.0


def _encodings(value: str) -> Iterator[bytes]:
    for word in (value, value.upper(), value.partition("^")[0]):
        yield from (word.encode(), word.encode("utf-16-le"))


NEEDLES = {keyword: set(_encodings(value)) for keyword, value in PLANTED.items()}


def found_in(*folders: Path) -> dict[str, set[str]]:
    """Of every file below, which planted elements can be read in it."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        named = {keyword for keyword, needles in NEEDLES.items() if any(one in content for one in needles)}
        if named:
            found[path.name] = named
    return found


def _study(site: SmallSite, number: int, says: str) -> Sent:
    study = uid(f"planted {number}")
    dataset = image(says, seed=f"planted {number}", StudyInstanceUID=study, **PLANTED)  # type: ignore[arg-type]
    path = as_file(dataset, site.folder.parent / "scanner" / f"{number}.dcm")
    return Sent(path, str(dataset.SOPInstanceUID), study)


def _begin_and_break_off(site: SmallSite, one: Sent) -> None:
    """Half an instance, so that a file of it lies about when the power goes."""
    ae = AE(ae_title="SCANNER")
    ae.requested_contexts = [build_context("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.1.2.1")]
    association = ae.associate("127.0.0.1", site.dicom_port, ae_title="SCANSIDE")
    assert association.is_established
    association.dul.socket.socket.sendall(b"\x04\x00" + (10_000).to_bytes(4, "big") + one.path.read_bytes()[:4000])
    time.sleep(0.3)


@pytest.fixture(params=[True, False], ids=["sealed", "open"])
def stolen(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallSite]:
    """A site with studies read, delivered, escalated and on the way, all of whose processes were killed."""
    (tmp_path / "scanner").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    more = "" if request.param else "[at_rest]\nencrypt = false\n"
    with small_sites(tmp_path, 1, more) as (site,):
        sent = [_study(site, number, says) for number, says in enumerate(("escalate", "urgent", "routine"))]
        assert site.send(sent) == []
        assert site.settles(sent, _SETTLED_S)
        _begin_and_break_off(site, _study(site, 9, "urgent"))
        site.close()
        yield site


def test_the_disk_of_a_stolen_box(stolen: SmallSite, tmp_path: Path) -> None:
    """Home, database with its log, spool, half-received files, logs, temporary files, and the cloud's home beside them.

    The same box without encryption shows that the search finds what is there.
    """
    found = found_in(stolen.folder, tmp_path / "tmp")
    if stolen.home.spool.seal is not None:
        assert found == {}
        return
    assert set.union(*found.values()) == set(PLANTED)
    assert "scanside.db" in found
    assert all(name == "scanside.db-wal" or not name.startswith("cloud") for name in found)


def test_an_erased_study_is_gone(stolen: SmallSite, tmp_path: Path) -> None:
    """Also for who has the keys: from rows and files, of which the history keeps that they were."""
    uids = [uid(f"planted {number}") for number in range(3)]
    with reading(stolen.home.engine) as connection:
        assert b"zwetschgenmus" in b"".join(connection.exec_driver_sql("SELECT block FROM study_search_data").scalars())
        before = connection.exec_driver_sql("SELECT count(*) FROM study_events").scalar_one()
    assert erase_studies(stolen.home, uids, "somebody", time.time()) > 0
    assert erase_studies(stolen.home, uids, "somebody", time.time()) == 0
    tables = ["studies", "study_search", "findings", "held_headers", "deliveries", "answers", "procedure_steps"]
    with reading(stolen.home.engine) as connection:
        text = " ".join(
            str(row) for table in tables for row in connection.exec_driver_sql(f"SELECT * FROM {table}").all()
        )
        words = b"".join(connection.exec_driver_sql("SELECT block FROM study_search_data").scalars())
        after = connection.exec_driver_sql("SELECT count(*) FROM study_events").scalar_one()
    assert not [value for value in PLANTED.values() if value in text]
    assert b"zwetschgenmus" not in words
    assert after > before
    assert not [path for path in (stolen.home.folder / "spool" / "objects").rglob("*") if path.is_file()]
