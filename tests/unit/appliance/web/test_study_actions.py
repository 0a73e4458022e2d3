"""What may be asked of a study over HTTP, and by whom; its images, its results and its export."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless
from sqlalchemy import select
from starlette.testclient import TestClient

from appliance.labels import labels
from appliance.schema import instances, studies, study_events
from appliance.web import site as site_module
from appliance.web.app import build_app
from appliance.web.cookies import VISITOR
from appliance.web.forms import HEADER, token_for
from appliance.web.people import Person, Role
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest, deliveries, enqueue
from tests.dicom_factory import read_back
from tests.small_box import NOW, MakeBox, SmallBox, image
from tests.unit.appliance.web.rows import Rows

SAME = {"Origin": "http://127.0.0.1:8080"}


def client(box: SmallBox) -> TestClient:
    """The page over this box, in process; files are opened in processes of their own."""
    app = build_app(box.settings, box.engine, box.spool, lambda: NOW)
    headers = {HEADER: token_for("visitor")}
    page = TestClient(app, base_url="http://127.0.0.1:8080", follow_redirects=False, headers=headers)
    page.cookies.set(VISITOR, "visitor")
    return page


@pytest.fixture
def as_role(monkeypatch: pytest.MonkeyPatch) -> Callable[[Role, bool], None]:
    """Makes whoever asks somebody else."""

    def become(role: Role, sees_patients: bool = True) -> None:
        monkeypatch.setattr(site_module, "person_of", lambda *_: Person("Ada", role, sees_patients))

    return become


@pytest.fixture
def box(make_box: MakeBox) -> Iterator[SmallBox]:
    """A box with one urgent study of one image."""
    made = make_box()
    study = made.receive(image("urgent"))
    with made.engine.begin() as connection:
        of_study = studies.update().where(studies.c.study_instance_uid == study)
        connection.execute(of_study.values(decision="urgent", state="settled", pack="p"))
    yield made


def uid_of(box: SmallBox) -> str:
    """The study's UID."""
    return str(box.rows(studies)[0].study_instance_uid)


def test_a_label_is_kept_with_who_said_it(box: SmallBox, as_role: Any) -> None:
    """And the browser goes back to the study."""
    as_role(Role.OPERATOR)
    answer = client(box).post(f"/studies/{uid_of(box)}/label", data={"decision": "routine"}, headers=SAME)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{uid_of(box)}")
    (kept,) = box.rows(labels)
    assert (kept.decision, kept.person, kept.box_decision) == ("routine", "Ada", "urgent")
    assert "Ada corrects: Routine" in client(box).get(f"/studies/{uid_of(box)}").text
    assert "Ada corrects: Routine" in client(box).get("/").text


@pytest.mark.parametrize("what", ["label", "rerun", "escalate", "resend"])
def test_viewers_and_other_sites_may_not(box: SmallBox, as_role: Any, what: str) -> None:
    """Nothing is changed by a form that came from elsewhere, or from somebody who only looks."""
    before = box.count(study_events)
    as_role(Role.OPERATOR)
    elsewhere = client(box).post(f"/studies/{uid_of(box)}/{what}", headers={"Origin": "http://other.example"})
    as_role(Role.VIEWER)
    looking = client(box).post(f"/studies/{uid_of(box)}/{what}", headers=SAME)
    assert (elsewhere.status_code, looking.status_code) == (403, 403)
    assert box.count(study_events) == before
    assert "Escalate now" not in client(box).get(f"/studies/{uid_of(box)}").text


def test_what_cannot_be_done_says_why(box: SmallBox, as_role: Any) -> None:
    """With what to do instead."""
    as_role(Role.OPERATOR)
    page = client(box)
    escalated = page.post(f"/studies/{uid_of(box)}/escalate", headers=SAME)
    assert escalated.status_code == 409
    assert "set cloud.url" in escalated.text
    sent = page.post(f"/studies/{uid_of(box)}/resend", data={"destination": "archive"}, headers=SAME)
    assert "no results for that destination" in sent.text
    assert page.post(f"/studies/{uid_of(box)}/label", data={"decision": "odd"}, headers=SAME).status_code == 400
    assert page.post(f"/studies/{uid_of(box)}/label", content=b"x" * 20_000, headers=SAME).status_code == 413
    assert page.post("/studies/1.2.3/rerun", headers=SAME).status_code == 409


def test_the_viewer_gets_its_images(box: SmallBox) -> None:
    """The list names no patient; the frame is the stored values."""
    with client(box) as page:
        listed = page.get(f"/images/studies/{uid_of(box)}")
        (series,) = listed.json()["series"]
        (frame,) = series["images"]
        assert "P-0" not in listed.text
        answer = page.get(frame["url"])
        says = json.loads(answer.headers["Scanside-Frame"])
        stored = read_back(box.spool.file(box.rows(instances)[0].file_digest)).pixel_array
        assert np.array_equal(np.frombuffer(answer.content, says["kind"]).reshape(stored.shape), stored)
        place = f"/images/studies/{uid_of(box)}"
        assert page.get(f"{place}/instances/{frame['sop_instance_uid']}/frames/2").status_code == 404
        assert page.get(f"{place}/instances/{frame['sop_instance_uid']}/frames/0").status_code == 404
        assert page.get(f"{place}/instances/1.2.3/frames/1").status_code == 404
        assert page.get("/images/studies/1.2.3").status_code == 404


def test_what_lies_sealed_is_shown_and_given_whole(box: SmallBox, as_role: Any) -> None:
    """A picture of the study, a result as it was sent, and its words on the page."""
    as_role(Role.OPERATOR)
    study = uid_of(box)
    picture, event = b"\x89PNG\r\n\x1a\n and more", b'{"decision": "urgent"}'
    kept = {content: box.spool.keep_bytes(content) for content in (picture, event)}
    request = DeliveryRequest(
        key="k",
        subject=study,
        revision=1,
        kind="event_decided",
        destination="pager",
        priority=1,
        payload=kept[event].digest,
        size_bytes=len(event),
        content_type="application/json",
    )
    with writing(box.engine) as connection:
        connection.execute(studies.update().values(heat_map=kept[picture].digest))
        enqueue(connection, request, NOW)
    assert box.spool.path(kept[event].digest).read_bytes() != event
    page = client(box)
    assert page.get(f"/images/{kept[picture].digest}?study={study}").content == picture
    (row,) = box.rows(deliveries)
    answer = page.get(f"/studies/{study}/results/{row.id}/file")
    assert (answer.content, answer.headers["content-type"]) == (event, "application/json")
    assert f'filename="event_decided-{row.id}.json"' in answer.headers["content-disposition"]
    assert "&#34;decision&#34;: &#34;urgent&#34;" in page.get(f"/studies/{study}/results/{row.id}").text


def test_an_export_is_for_those_who_see_patients(box: SmallBox, as_role: Any) -> None:
    """The files as they came; who took them stands in the history."""
    address = f"/studies/{uid_of(box)}/export.zip"
    with client(box) as page:
        as_role(Role.VIEWER)
        assert page.get(address).status_code == 403
        as_role(Role.OPERATOR, False)
        assert page.get(address).status_code == 403
        assert "export.zip" not in page.get(f"/studies/{uid_of(box)}").text
        as_role(Role.OPERATOR)
        answer = page.get(address)
    with ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert names[:2] == ["README.txt", "DICOMDIR"]
        assert archive.read(names[2]) == box.spool.file(box.rows(instances)[0].file_digest).read_bytes()
    with reading(box.engine) as connection:
        said = (
            connection.execute(select(study_events.c.detail).where(study_events.c.kind == "exported")).scalars().all()
        )
    assert said == ["1 files: Ada"]


def test_results_of_another_study_are_not_shown(rows: Rows) -> None:
    """A result has the address of its own study; what is gone says so."""
    rows.study("1", "urgent")
    rows.study("2", "urgent")
    number = rows.delivery("1", "report", "pacs-main", "delivered")
    page = rows.client()
    assert page.get(f"/studies/2/results/{number}").status_code == 404
    assert page.get(f"/studies/1/results/{number}").status_code == 410
    asked = rows.delivery("1", "escalation", "cloud", "delivered")
    assert page.get(f"/studies/1/results/{asked}").status_code == 404


def test_an_event_is_shown_as_text(rows: Rows, tmp_path: Path) -> None:
    """And nothing in it is taken for markup."""
    rows.study("1", "urgent")
    kept = rows.spool.keep_bytes(b'{"study": "<b>1</b>"}')
    number = rows.delivery("1", "event_decided", "hook", "delivered")
    with rows.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE deliveries SET payload = '{kept.digest}', content_type = 'application/json' WHERE id = {number}"
        )
    text = rows.client().get(f"/studies/1/results/{number}").text
    assert "&lt;b&gt;1&lt;/b&gt;" in text


def test_a_hostile_file_hurts_nobody(make_box: MakeBox) -> None:
    """Its pixels cannot be shown, which is said; the page goes on."""
    hostile = image("urgent")
    hostile.file_meta.TransferSyntaxUID = JPEG2000Lossless
    hostile.PixelData = encapsulate([b"\xff\x4f\xff\x51" + b"\x00\x29" + b"\xff" * 200])
    hostile["PixelData"].is_undefined_length = True
    box = make_box()
    study = box.receive(hostile)
    with client(box) as page:
        listed = page.get(f"/images/studies/{study}").json()
        answer = page.get(listed["series"][0]["images"][0]["url"])
        assert (answer.status_code, answer.text) == (422, "The pixels cannot be shown: unreadable_pixels.\n")
        assert page.get(f"/studies/{study}").status_code == 200
