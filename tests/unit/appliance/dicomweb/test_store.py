"""STOW-RS: what is stored, what is refused, and what the sender is told of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from appliance.dicomweb.words import SOURCE
from appliance.schema import instances, set_aside, studies
from tests.dicom_factory import as_bytes, uid
from tests.full_disk import large_radiograph, no_file_may_grow
from tests.small_box import NOW, image
from tests.unit.appliance.dicomweb.stow import RELATED, ROOT, Web, body_of

OpenWeb = Callable[..., Web]


def test_what_is_stored_is_filed_durable_and_named(web: OpenWeb) -> None:
    """Two instances of one study: 200, both in the spool, each with its address, the study's quiet time begun."""
    here = web(dicom={"port": 0, "quiet_time_s": 7.0})
    sent = [image(seed=seed, StudyInstanceUID=uid("s")) for seed in ("a", "b")]
    answer = here.store(*sent)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    module = answer.json()
    stored = {item["00081155"]["Value"][0]: item["00081190"]["Value"][0] for item in module["00081199"]["Value"]}
    assert stored.keys() == {one.SOPInstanceUID for one in sent}
    assert module["00081190"]["Value"] == [f"http://127.0.0.1:8080{ROOT}/studies/{uid('s')}"]
    for row in here.box.rows(instances):
        assert here.box.spool.verify(row.file_digest)
        assert row.source == SOURCE
    assert here.box.study(uid("s")).completes_at == NOW + 7.0
    assert list(here.box.incoming.iterdir()) == []


def test_one_instance_as_the_body_itself_and_once_more(web: OpenWeb) -> None:
    """A single part is stored; sent again it is acknowledged and kept once."""
    here, sent = web(), as_bytes(image())
    for _ in range(2):
        answer = here.client.post(f"{ROOT}/studies", content=sent, headers={"Content-Type": "application/dicom"})
        assert answer.status_code == 200
    assert here.box.count(instances) == 1


def test_part_of_it_refused_is_202_with_the_reasons(web: OpenWeb) -> None:
    """One good, one of another study than the address says, one that is no DICOM; the last is kept aside."""
    here = web()
    good, foreign = image(seed="a"), image(seed="b")
    answer = here.store(good, foreign, b"no DICOM" * 100, study=good.StudyInstanceUID)
    assert answer.status_code == 202
    module = answer.json()
    (failed,) = module["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [foreign.SOPInstanceUID]
    assert failed["00081197"]["Value"] == [0xA900]
    assert module["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
    assert "another study" in answer.headers["warning"]
    assert [row.sop_instance_uid for row in here.box.rows(instances)] == [good.SOPInstanceUID]
    assert here.box.count(set_aside) == 1


def test_nothing_stored_is_409(web: OpenWeb) -> None:
    """Other content under a known UID."""
    here = web()
    assert here.store(image()).status_code == 200
    answer = here.store(image(PatientName="Other^Name"))
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xC111]


@pytest.mark.parametrize(
    ("content_type", "body", "status", "words"),
    [
        ("image/jpeg", b"x", 415, "application/dicom"),
        ('multipart/related; type="application/dicom+json"; boundary=xyz', b"x", 415, "application/dicom"),
        ('multipart/related; type="application/dicom"', b"x", 400, "boundary"),
        (RELATED, b"a preamble\r\n--xyz--", 400, "RFC 2046"),
        (RELATED, b"", 400, "closing boundary"),
        (RELATED, b"--xyz--\r\n", 400, "no instance"),
        (RELATED, body_of(as_bytes(image()), end=b""), 409, ""),
        (RELATED, body_of(b"{}", media_type="application/json"), 409, ""),
    ],
    ids=["jpeg", "metadata", "no boundary", "preamble", "empty", "no part", "cut off", "a part of another kind"],
)
def test_bad_bodies_have_a_named_outcome(web: OpenWeb, content_type: str, body: bytes, status: int, words: str) -> None:
    """And nothing of them stays on the disk or in the tables."""
    here = web()
    answer = here.client.post(f"{ROOT}/studies", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, words in answer.text) == (status, True)
    assert here.box.count(studies) == 0
    assert list(here.box.incoming.iterdir()) == []


def test_sizes_have_limits(web: OpenWeb) -> None:
    """An instance over its limit, a request over its own, announced and not."""
    here = web(limits={"max_instance_bytes": 4096})
    assert here.store(image()).status_code == 413
    small = web(name="small", dicomweb={"max_request_bytes": 2048})
    assert small.store(image()).status_code == 413
    whole = body_of(as_bytes(image()))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(whole), 1000):
            yield whole[start : start + 1000]

    answer = small.client.post(f"{ROOT}/studies", content=pieces(), headers={"Content-Type": RELATED})
    assert answer.status_code == 413
    assert "max_request_bytes" in answer.text
    for one in (here, small):
        assert one.box.count(instances) == 0
        assert list(one.box.incoming.iterdir()) == []


def test_no_room_is_507_and_the_sender_may_come_again(web: OpenWeb) -> None:
    """Below the floor nothing is taken, whether the request says its length or not."""
    here = web(limits={"free_disk_floor_bytes": 1 << 60})
    answer = here.store(image())
    assert answer.status_code == 507
    assert answer.headers["retry-after"]
    assert here.box.count(instances) == 0


def test_a_disk_that_fills_within_a_request_is_507(web: OpenWeb) -> None:
    """The instance is refused with 0xA700, and nothing half of it kept; the next one is taken."""
    here = web()
    with no_file_may_grow():
        answer = here.store(large_radiograph())
    assert answer.status_code == 507
    assert answer.json()["0008119A"]["Value"][0]["00081197"]["Value"] == [0xA700]
    assert list(here.box.incoming.iterdir()) == []
    assert here.store(large_radiograph()).status_code == 200
