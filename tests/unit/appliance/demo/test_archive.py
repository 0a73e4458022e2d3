"""The archive's stand-in stores by UID, as a PACS does."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.demo.archive import Archive
from appliance.demo.scanner import send_all
from appliance.demo.stage import free_port
from store_forward.errors import DeliveryDeferred
from tests.dicom_factory import as_file, uid
from tests.small_box import image


@pytest.fixture
def archive() -> Iterator[Archive]:
    """An archive on a loopback port."""
    made = Archive()
    yield made
    made.close()


def test_many_files_over_one_association(archive: Archive, tmp_path: Path) -> None:
    """Each is answered, and counted under its study."""
    files = [as_file(image(seed=str(n), StudyInstanceUID=uid("s")), tmp_path / f"{n}.dcm") for n in range(3)]
    assert list(send_all(files, "127.0.0.1", archive.port, "ARCHIVE")) == [0x0000] * 3
    assert archive.studies == {uid("s"): 3}


def test_the_same_uid_replaces(archive: Archive, tmp_path: Path) -> None:
    """Sent twice, there is one."""
    path = as_file(image(), tmp_path / "a.dcm")
    for _ in range(2):
        list(send_all([path], "127.0.0.1", archive.port, "ARCHIVE"))
    assert archive.studies == {uid("study 0"): 1}
    assert len(archive.classes) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_there(tmp_path: Path) -> None:
    """The scanner says that no association is taken."""
    path = as_file(image(), tmp_path / "a.dcm")
    with pytest.raises(DeliveryDeferred, match="takes no association"):
        list(send_all([path], "127.0.0.1", free_port(), "ARCHIVE"))
    gc.collect()  # the library leaves the socket of a refused connection open; that is complained of here
