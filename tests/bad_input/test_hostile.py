"""A file that was made to do harm: it is kept as it came, never executed, and nothing of it goes on as it was."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from starlette.testclient import TestClient

from appliance.privacy.compress import part_10
from appliance.privacy.deidentify import deidentify
from appliance.schema import instances, studies
from appliance.web.app import build_app
from models.pixels import open_dicom
from tests.bad_input.doors import decide, drop, goes_on, kept, kept_aside
from tests.dicom_factory import as_bytes
from tests.small_box import NOW, SmallBox, image

#: pydicom remarks on bad values; the product's processes silence that, because a remark quotes the value.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PROGRAM = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"
NAME = "<script>alert(1)</script>\x1b]0;owned\x07^\u202egpj.exe\r\n<b>"


def _hostile() -> bytes:
    """A program in the preamble (PS3.10 7.1) and in private elements, markup and control characters in the names."""
    dataset = image(PatientName=NAME, PatientID="../../../../etc/cron.d/x", StudyDescription="$(reboot)`id`")
    dataset.add_new(0x00090010, "LO", "SOMEBODY")
    dataset.add_new(0x00091001, "OB", PROGRAM)
    item = Dataset()
    item.add_new(0x00090010, "LO", "SOMEBODY")
    item.add_new(0x00091001, "UN", PROGRAM)
    dataset.add_new(0x00091002, "SQ", Sequence([item]))
    return PROGRAM.ljust(128, b"\0") + as_bytes(dataset)[128:]


def test_a_program_with_markup(box: SmallBox, folder: Path) -> None:
    """Read like any other; what is shown has no control characters, and the file cannot be started."""
    content = _hostile()
    assert drop(box, folder, content)
    kept(box, content)
    assert decide(box).decision == "urgent"
    (row,) = box.rows(studies)
    for text in (row.patient_name, row.patient_id, row.study_description):
        assert text.isprintable()
    (instance,) = box.rows(instances)
    path = box.spool.path(instance.file_digest)
    assert path.resolve().is_relative_to(box.spool.root.resolve())
    assert not path.stat().st_mode & 0o111
    goes_on(box)


def test_nothing_of_it_leaves_the_box(tmp_path: Path) -> None:
    """Neither preamble, private elements nor names go to the cloud."""
    path = tmp_path / "hostile.dcm"
    path.write_bytes(_hostile())
    sent = part_10(deidentify(open_dicom(path), bytes(32)))
    assert sent[:128] == bytes(128)
    for planted in (PROGRAM[:4], b"script", b"cron.d", b"reboot", b"SOMEBODY"):
        assert planted not in sent


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", [b"../../etc/passwd", b"/etc/passwd\0", b"1.2/../../3\0", b"1.2\0/../3 "])
def test_paths_in_uids(box: SmallBox, folder: Path, keyword: str, value: bytes) -> None:
    """Refused by name; a file's own name comes from its content."""
    dataset = image()
    old = str(dataset[keyword].value).encode()
    content = as_bytes(dataset)
    at = content.index(old, 300 if keyword == "SOPInstanceUID" else 0)
    padded = old + b"\0" * (len(old) % 2)
    hostile = content[: at - 2] + len(value).to_bytes(2, "little") + value + content[at + len(padded) :]
    assert drop(box, folder, hostile)
    kept_aside(box, hostile, "cannot_understand", f"{keyword} is not a valid UID")
    goes_on(box)


#: What ends a string or a statement in SQL, asks for everything in FTS5, or means something in LIKE.
SQL = ("Robert'); DROP TABLE studies;--", '" OR 1=1 --', "x' UNION SELECT * FROM users --", "name:* NEAR(a b) %_")


@pytest.mark.parametrize("text", SQL)
def test_sql_in_tags_and_in_searches(box: SmallBox, folder: Path, text: str) -> None:
    """It is a name like any other, found by its words, and finds nothing that is not its own."""
    box.admit(image(seed="other", PatientName="OTHER^PERSON"))
    assert drop(box, folder, as_bytes(image(PatientName=text, PatientID=text[:64], AccessionNumber=text[:16])))
    page = TestClient(build_app(box.settings, box.engine, box.spool, lambda: NOW), base_url="http://127.0.0.1:8080")
    names = {row.patient_name for row in box.rows(studies)}
    assert names == {text, "OTHER^PERSON"}
    for address in (f"/?search={quote(text)}", f"/?after={quote(text)}", f"/api/v1/studies?search={quote(text)}"):
        assert page.get(address).status_code in (200, 400, 404, 422), address
    assert "OTHER" in page.get("/").text
    found = page.get(f"/?search={quote(text)}").text
    assert "OTHER" not in found
    assert {row.patient_name for row in box.rows(studies)} == names
    goes_on(box)
