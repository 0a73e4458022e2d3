"""The set-up page: peers, destinations and their tests, certificates, rules, and the configuration in force."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from appliance.demo.archive import Archive
from appliance.errors import Problem
from appliance.results.probe_book import probes
from appliance.schema import instances
from appliance.settings import Settings
from appliance.start.standing import STANDING, Standing, said, write_standing
from appliance.web.language import COOKIE
from store_forward.database import reading, writing
from tests.certificates import Authority
from tests.dicom_factory import as_bytes, chest_radiograph
from tests.listening_box import wait_until
from tests.unit.appliance.web.rows import NOW, Rows

ORIGIN = {"origin": "http://127.0.0.1:8080"}
RULES = [
    {"name": "qa", "match": {"PatientID": "QA*"}, "triage": "phantom"},
    {"name": "desk", "senders": ["DESK"], "send_to": []},
]


def text(rows: Rows, path: str = "/setup") -> str:
    """A page that must be there, without its spaces."""
    answer = rows.client().get(path)
    assert answer.status_code == 200
    return " ".join(answer.text.split())


@pytest.fixture
def archive() -> Iterator[Archive]:
    """One that answers."""
    made = Archive()
    yield made
    made.close()


def test_peers_with_when_they_were_heard(rows: Rows, tmp_path: Path) -> None:
    """Titles, addresses, identity, number of instances, and that one without an address cannot be called."""
    peers = {
        "CT1": {"addresses": ["192.0.2.7"], "quiet_time_s": 30, "report_host": "192.0.2.7"},
        "US1": {"ae_title": "SONO", "plain": True},
    }
    rows.configure(tmp_path, dicom={"peers": peers})
    rows.study("1", calling_ae_title="CT1", instance_count=1200)
    rows.study("2", calling_ae_title="CT1", instance_count=34)
    rows.study("3", calling_ae_title="STRANGER", instance_count=5)
    shown = text(rows)
    for words in ("CT1", "192.0.2.7:104", "1,234", "SONO", "never", "30.0 s", "STRANGER", "enter report_host"):
        assert words in shown
    assert shown.count('action="/setup/test/peer%20CT1"') == 1
    assert "peer%20US1" not in shown


def test_a_test_is_carried_out_beside_the_page_and_kept(rows: Rows, tmp_path: Path, archive: Archive) -> None:
    """The button answers at once; the outcome is on the page, and the page knows that it changed."""
    peer = {"name": "archive", "host": "127.0.0.1", "port": archive.port, "ae_title": archive.ae_title}
    rows.configure(tmp_path, pacs=[peer])
    client = rows.client()
    assert "Never tested." in text(rows)
    answer = client.post("/setup/test/archive", headers=ORIGIN, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/setup")
    wait_until(lambda: _ended(rows) == 1, "the test to end")
    shown = text(rows)
    assert "Answered" in shown
    assert "answered the C-ECHO" in shown


def _ended(rows: Rows) -> int:
    with reading(rows.engine) as connection:
        return len(connection.execute(select(probes.c.id).where(probes.c.ended_at.is_not(None))).all())


def test_a_test_that_fails_says_why_and_what_to_do(rows: Rows) -> None:
    """In plain words, with the cause that the reference explains."""
    rows.put(
        probes, target="pacs-main", asked_by="<b>Mara</b>", began_at=NOW - 9, ended_at=NOW - 4, ok=False,
        cause="pacs_unreachable", words="the archive cannot be reached", duration_s=5.0,
    )  # fmt: skip
    shown = text(rows)
    for words in ("Failed", "5.00 s", "the archive cannot be reached", "pacs_unreachable", "look at host and port"):
        assert words in shown
    assert "&lt;b&gt;Mara" in shown


def test_not_twice_at_once(rows: Rows) -> None:
    """The second is told so, and the button is off meanwhile."""
    rows.put(probes, target="pacs-main", asked_by="", began_at=NOW - 2)
    assert rows.client().post("/setup/test/pacs-main", headers=ORIGIN).status_code == 409
    shown = text(rows)
    assert "Being tested" in shown
    assert "disabled>" in shown


def test_only_what_is_configured_is_asked_and_only_from_the_page(rows: Rows) -> None:
    """No address can be made up, and no other site can press the button."""
    client = rows.client()
    assert client.post("/setup/test/other", headers=ORIGIN).status_code == 404
    assert client.post("/setup/test/pacs-main", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/setup/test/pacs-main").status_code == 405


def test_certificates_and_their_notices(rows: Rows, tmp_path: Path) -> None:
    """Whose, how long, and among the notices of every page when one ends soon."""
    own = Authority(tmp_path).vouch("box.example.org", expired=True)
    tls = {"certificate": own.certificate, "private_key": own.private_key, "require_client_certificate": False}
    rows.configure(tmp_path, dicom={"tls": tls})
    rows.now = time.time()
    shown = text(rows)
    for words in ("dicom.tls.certificate", "name of box.example.org", "belongs to it", "this certificate alone"):
        assert words in shown
    assert "has ended; renew it" in text(rows, "/")
    assert own.private_key.read_text().splitlines()[1] not in shown


def test_a_refused_file_is_said_everywhere(rows: Rows, tmp_path: Path) -> None:
    """On the worklist, on the set-up page with key, line and repair, and to machines."""
    before = rows.client().get("/").text
    problem = Problem("dicom.prot", "there is no such key", "see the reference", 7)
    lacking = said(Problem("dicom.port", "it is taken", "free it"), frozenset({"receiver"}))
    write_standing(
        tmp_path / STANDING,
        Standing(mode="kept", file="/etc/<x>.toml", since=NOW, refused=(said(problem),), lacking=(lacking,)),
    )
    assert _digest(before) != _digest(rows.client().get("/").text)
    assert "cannot be used (1 problem). The box goes on" in text(rows, "/")
    assert "Not started: receiver. Free it." in text(rows, "/")
    shown = text(rows)
    for words in ("/etc/&lt;x&gt;.toml", "dicom.prot", "<dd>7</dd>", "see the reference"):
        assert words in shown
    health = rows.client().get("/healthz")
    assert health.status_code == 503
    assert health.json()["configuration"] == ["dicom.prot: there is no such key", "dicom.port: it is taken"]


def _digest(html: str) -> str:
    return html.partition('data-digest="')[2].partition('"')[0]


def test_the_configuration_can_be_searched_and_taken_along(rows: Rows, tmp_path: Path) -> None:
    """Every setting with its source; what is handed out is TOML that means the same."""
    rows.configure(tmp_path, dicom={"port": 104})
    shown = text(rows, "/setup/configuration?find=dicom.port")
    assert "1 of " in shown
    assert "104" in shown
    assert "11112" in shown
    assert "0 of " in text(rows, "/setup/configuration?find=%3Cscript%3E")
    answer = rows.client().get("/setup/configuration.toml")
    assert "attachment" in answer.headers["content-disposition"]
    assert Settings.model_validate(tomllib.loads(answer.text)) == rows.settings


def test_the_dry_run_of_a_file(rows: Rows, tmp_path: Path) -> None:
    """Which rule does what, from which sender; nothing of it is kept."""
    rows.configure(tmp_path, rule=RULES)
    data = as_bytes(chest_radiograph(PatientID="QA-7"))
    client = rows.client()
    answer = client.post("/setup/rules", headers=ORIGIN, files={"file": ("a<b>.dcm", data)}, data={"sender": "DESK"})
    shown = " ".join(answer.text.split())
    assert answer.status_code == 200
    for words in (
        "a&lt;b&gt;.dcm",
        "qa</b> matches",
        "desk</b> matches",
        "is not read, and nothing is sent",
        "by rule qa",
    ):
        assert words in shown
    with reading(rows.engine) as connection:
        assert connection.execute(select(instances)).first() is None
    broken = client.post("/setup/rules", headers=ORIGIN, files={"file": ("a", b"no DICOM")}, data={"sender": ""})
    assert "It cannot be read" in broken.text


def test_the_dry_run_quotes_no_header_where_patients_are_hidden(rows: Rows, tmp_path: Path) -> None:
    """Which rule matches is said, and not what stood there."""
    rules = [{"name": "qa", "match": {"PatientID": "QA*"}, "triage": "phantom"}]
    data = {"file": ("a.dcm", as_bytes(chest_radiograph(PatientID="SECRET-7")))}
    for show, shown in ((True, True), (False, False)):
        rows.configure(tmp_path, rule=rules, page={"show_patient": show})
        answer = rows.client().post("/setup/rules", headers=ORIGIN, files=data, data={"sender": ""})
        assert "does not match" in answer.text
        assert ("SECRET-7" in answer.text) is shown


def test_the_dry_run_of_a_study(rows: Rows, tmp_path: Path) -> None:
    """With its own sender unless another is given."""
    rows.configure(tmp_path, rule=RULES)
    kept = rows.spool.keep_bytes(as_bytes(chest_radiograph(PatientID="P1")))
    rows.study("1.2", calling_ae_title="DESK")
    with writing(rows.engine) as connection:
        connection.execute(
            instances.insert().values(
                sop_instance_uid="1.2.3", study_instance_uid="1.2", series_instance_uid="1.2.1", sop_class_uid="1",
                transfer_syntax_uid="1", file_digest=kept.digest, size_bytes=1, source="DESK", received_at=NOW,
            )
        )  # fmt: skip
    client = rows.client()
    shown = " ".join(client.post("/setup/rules", headers=ORIGIN, data={"study": "1.2", "sender": ""}).text.split())
    assert "desk</b> matches" in shown
    assert "no archive" in shown
    assert client.post("/setup/rules", headers=ORIGIN, data={"study": "9", "sender": ""}).status_code == 404
    assert client.post("/setup/rules", headers=ORIGIN, data={"study": "", "sender": ""}).status_code == 400
    assert client.post("/setup/rules", data={"study": "1.2"}).status_code == 403


def test_a_dry_run_has_a_limit(rows: Rows) -> None:
    """Said before anything is read."""
    headers = {**ORIGIN, "content-length": str(2**40), "content-type": "multipart/form-data; boundary=x"}
    assert rows.client().post("/setup/rules", headers=headers, content=b"").status_code == 413


@pytest.mark.parametrize("path", ["/setup", "/setup/rules", "/setup/configuration", "/fragments/setup"])
def test_every_page_of_it_speaks_every_language(rows: Rows, path: str) -> None:
    """None breaks for want of a sentence, also from right to left."""
    client = rows.client()
    for language in ("en", "es", "fr", "pt", "ar"):
        client.cookies.set(COOKIE, language)
        assert client.get(path).status_code == 200
