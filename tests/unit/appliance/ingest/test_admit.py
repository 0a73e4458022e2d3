"""The gate of the box: what is kept, counted, set aside or turned away, and what each of them leaves behind."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import delete, event, insert, update
from sqlalchemy.exc import OperationalError

from appliance.errors import (
    CannotUnderstand,
    DataSetDoesNotMatch,
    InstanceConflict,
    InstanceTooLarge,
    OutOfResources,
)
from appliance.ingest import admit
from appliance.ingest.admit import Admitted
from appliance.ingest.header import Header, Seen, read_header
from appliance.ingest.plain_header import HEAD_BYTES
from appliance.schema import StudyState, instances, set_aside, studies, study_events
from store_forward.database import writing
from tests.dicom_factory import as_bytes, uid
from tests.small_box import NOW, SCANNER, MakeBox, SmallBox, image


def in_state(box: SmallBox, state: StudyState) -> None:
    """Put every study of the box into ``state``."""
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(state=state))


def test_an_instance_is_on_disk_and_in_its_study(box: SmallBox) -> None:
    """The spool holds the bytes, one row names them, one opens the study."""
    assert box.admit(image()) == (Admitted.STORED, uid("study 0"))
    (row,) = box.rows(instances)
    assert box.spool.file(row.file_digest).read_bytes() == as_bytes(image())
    assert (row.sop_instance_uid, row.source, row.received_at) == (uid("instance 0"), SCANNER, NOW)
    study = box.study(uid("study 0"))
    assert (study.state, study.revision, study.instance_count) == (StudyState.RECEIVING, 1, 1)
    assert (study.patient_id, study.modalities, study.calling_ae_title) == ("P-0", "DX", SCANNER)
    assert study.size_bytes == len(as_bytes(image()))
    assert not list(box.incoming.iterdir())


@pytest.mark.parametrize("head", [b"", b"not plain"], ids=["the plain start of it", "something else"])
def test_a_file_is_read_only_when_what_was_seen_is_not_plain(
    box: SmallBox, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of a plain image comes from what was written; of any other from the file. It is the same."""
    content, read = as_bytes(image()), list[Path]()

    def noted(path: Path) -> Header:
        read.append(path)
        return read_header(path)

    monkeypatch.setattr(admit, "read_header", noted)
    seen = Seen(hashlib.sha256(content).hexdigest(), len(content), head or content[:HEAD_BYTES])
    assert box.admit(content, seen=seen) == (Admitted.STORED, uid("study 0"))
    assert read == ([box.spool.file(seen.digest)] if head else [])
    (row,) = box.rows(instances)
    assert (row.sop_instance_uid, row.file_digest) == (uid("instance 0"), seen.digest)
    assert box.study(uid("study 0")).patient_id == "P-0"


def test_the_same_instance_again_is_acknowledged_once_more(box: SmallBox) -> None:
    """A sender that missed our answer may send again; nothing is counted twice."""
    box.admit(image())
    assert box.admit(image(), now=NOW + 5)[0] is Admitted.ALREADY_HELD
    assert box.study(uid("study 0")).instance_count == 1
    assert box.count(instances) == 1


def test_the_same_data_set_under_another_file_meta_is_the_same(box: SmallBox) -> None:
    """Two routes may write two file headers; the instance is one."""
    box.admit(image())
    again = image()
    again.file_meta.ImplementationVersionName = "OTHER ROUTE"
    assert box.admit(again)[0] is Admitted.ALREADY_HELD
    assert box.count(set_aside) == 0


def test_other_content_under_a_known_uid_is_kept_aside(box: SmallBox) -> None:
    """The first stays what it is, the second is refused with 0xC111, and neither is lost."""
    box.admit(image())
    with pytest.raises(InstanceConflict) as refused:
        box.admit(image("routine"))
    assert refused.value.dicom_status == 0xC111
    (aside,) = box.rows(set_aside)
    assert (aside.reason, aside.sop_instance_uid) == ("uid_known_with_other_content", uid("instance 0"))
    assert box.spool.verify(aside.file_digest)
    (held,) = box.rows(instances)
    assert box.spool.file(held.file_digest).read_bytes() == as_bytes(image())


def test_a_conflict_sent_twice_is_set_aside_once(box: SmallBox) -> None:
    """A sender that retries a refused instance does not fill the table."""
    box.admit(image())
    for _ in range(2):
        with pytest.raises(InstanceConflict):
            box.admit(image("routine"))
    assert box.count(set_aside) == 1


def test_another_uid_than_announced_is_kept_aside(box: SmallBox) -> None:
    """The data set must be what the C-STORE request says (PS3.4 B.2.3, 0xA900)."""
    dataset = image()
    with pytest.raises(DataSetDoesNotMatch) as refused:
        box.admit(dataset, announced=(dataset.SOPClassUID, uid("another")))
    assert refused.value.dicom_status == 0xA900
    (aside,) = box.rows(set_aside)
    assert aside.reason == "data_set_does_not_match"
    assert box.count(studies) == 0
    assert box.admit(dataset, announced=(dataset.SOPClassUID, dataset.SOPInstanceUID))[0] is Admitted.STORED


def test_what_is_not_dicom_is_kept_aside(box: SmallBox) -> None:
    """The bytes stay, under a reason a person can read."""
    with pytest.raises(CannotUnderstand):
        box.admit(b"not dicom at all")
    (aside,) = box.rows(set_aside)
    assert (aside.reason, aside.detail) == (
        "cannot_understand",
        "not a DICOM file: the DICM prefix is missing",
    )
    assert box.spool.file(aside.file_digest).read_bytes() == b"not dicom at all"


def test_an_instance_over_its_limit_is_turned_away(make_box: MakeBox) -> None:
    """Over max_instance_bytes nothing is written and the sender hears which limit it was."""
    box = make_box(limits={"max_instance_bytes": 1024})
    with pytest.raises(InstanceTooLarge, match="max_instance_bytes") as refused:
        box.admit(image())
    assert refused.value.dicom_status == 0xC112
    assert not list(box.incoming.iterdir())
    assert box.count(studies) == 0


def test_a_study_over_its_limit_keeps_the_rest_aside(make_box: MakeBox) -> None:
    """The instance after max_study_instances is refused and kept aside, and the count stays true."""
    box = make_box(limits={"max_study_instances": 1})
    box.admit(image())
    with pytest.raises(InstanceTooLarge, match="max_study_instances"):
        box.admit(image(seed="1", StudyInstanceUID=uid("study 0")))
    assert box.study(uid("study 0")).instance_count == 1
    (aside,) = box.rows(set_aside)
    assert (aside.reason, aside.sop_instance_uid) == ("over_limit", uid("instance 1"))


def test_under_the_floor_nothing_is_taken_and_nothing_is_left(make_box: MakeBox) -> None:
    """Below the free-disk floor the sender is asked to come back (0xA700), and its file does not stay."""
    box = make_box(limits={"free_disk_floor_bytes": 1 << 60})
    with pytest.raises(OutOfResources, match="send again later") as refused:
        box.admit(image())
    assert refused.value.dicom_status == 0xA700
    assert not list(box.incoming.iterdir())
    assert not [path for path in box.spool.root.rglob("*") if path.is_file()]


def test_a_commit_that_fails_is_out_of_resources(box: SmallBox) -> None:
    """Without a committed row there is no acknowledgement; the next attempt finds no trace of the first."""

    def fail(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk I/O error"))

    event.listen(box.engine, "commit", fail)
    with pytest.raises(OutOfResources, match="the database cannot commit"):
        box.admit(image())
    event.remove(box.engine, "commit", fail)
    assert box.count(studies) == box.count(instances) == 0
    assert box.admit(image())[0] is Admitted.STORED


def test_modalities_are_collected(box: SmallBox) -> None:
    """A study of two modalities shows both, as a multi-valued element would."""
    box.admit(image())
    box.admit(image(seed="1", modality="CR", StudyInstanceUID=uid("study 0")))
    assert box.study(uid("study 0")).modalities == "CR\\DX"


def test_until_the_sender_is_done_a_study_waits_for_the_association(make_box: MakeBox) -> None:
    """While the association is open the long time-out counts, after release the short quiet time."""
    box = make_box(dicom={"association_timeout_s": 60, "quiet_time_s": 2})
    _, study = box.admit(image())
    assert box.study(study).completes_at == NOW + 60
    box.admission.released([study], SCANNER, NOW + 1)
    assert box.study(study).completes_at == NOW + 3


def test_that_a_study_is_waited_for_anew_is_not_said_with_each_image(make_box: MakeBox) -> None:
    """What is counted is said at once; so is another modality, and that the study is waited for again."""
    box = make_box(dicom={"association_timeout_s": 60})
    _, study = box.admit(image())
    said = []
    for after_s, modality in ((0.5, "DX"), (0.9, "CR"), (1.5, "CR"), (2.0, "CR"), (2.6, "CR")):
        box.admit(image(seed=str(after_s), modality=modality, StudyInstanceUID=study), now=NOW + after_s)
        row = box.study(study)
        assert row.last_received_at == NOW + after_s
        said.append((row.instance_count, row.modalities, round(row.completes_at - NOW, 3)))
    both = "CR\\DX"
    assert said == [(2, "DX", 60), (3, both, 60.9), (4, both, 60.9), (5, both, 62), (6, both, 62)]
    assert row.size_bytes == sum(one.size_bytes for one in box.rows(instances))


def test_a_study_that_was_done_is_waited_for_again(box: SmallBox) -> None:
    """Its sender has come back within the quiet time."""
    _, study = box.admit(image())
    box.admission.released([study], SCANNER, NOW)
    assert box.study(study).completes_at == NOW + box.settings.dicom.quiet_time_s
    box.admit(image(seed="1", StudyInstanceUID=study), now=NOW + 0.1)
    assert box.study(study).completes_at == NOW + 0.1 + box.settings.dicom.association_timeout_s


def test_times_can_differ_per_peer(make_box: MakeBox) -> None:
    """A slow ultrasound machine gets more patience than the others."""
    peers = {"SLOW": {"quiet_time_s": 30, "association_timeout_s": 600}}
    box = make_box(dicom={"peers": peers})
    _, study = box.admit(image(), source="SLOW")
    assert box.study(study).completes_at == NOW + 600
    box.admission.released([study], "SLOW", NOW)
    assert box.study(study).completes_at == NOW + 30


@pytest.mark.parametrize("state", [StudyState.TRIAGING, StudyState.DECIDED, StudyState.SETTLED])
def test_a_late_image_reopens_the_study(box: SmallBox, state: StudyState) -> None:
    """A decision covers what was there; with one image more the study is read again at a new revision."""
    _, study = box.admit(image())
    in_state(box, state)
    box.admit(image(seed="1", StudyInstanceUID=study))
    row = box.study(study)
    assert (row.state, row.revision, row.triage_attempts) == (StudyState.RECEIVING, 2, 0)
    assert box.rows(study_events)[-1].kind == "reopened"


@pytest.mark.parametrize("state", [StudyState.RECEIVING, StudyState.COMPLETE])
def test_an_image_before_the_reading_reopens_nothing(box: SmallBox, state: StudyState) -> None:
    """Nothing was claimed about the study yet, so its revision stays."""
    _, study = box.admit(image())
    in_state(box, state)
    box.admit(image(seed="1", StudyInstanceUID=study))
    assert (box.study(study).state, box.study(study).revision) == (StudyState.RECEIVING, 1)


def test_a_resend_to_a_decided_study_changes_nothing(box: SmallBox) -> None:
    """The same image once more is no late image."""
    _, study = box.admit(image())
    in_state(box, StudyState.DECIDED)
    box.admit(image())
    assert (box.study(study).state, box.study(study).revision) == (StudyState.DECIDED, 1)


def test_release_touches_only_what_is_still_being_received(box: SmallBox) -> None:
    """A release that comes after the decision does not move it."""
    _, study = box.admit(image())
    in_state(box, StudyState.DECIDED)
    before = box.study(study)
    box.admission.released([study], SCANNER, NOW + 100)
    assert box.study(study) == before


def test_after_a_restart_cut_studies_need_not_wait_for_a_dead_association(make_box: MakeBox) -> None:
    """No association survives a restart, so an open study completes after its quiet time."""
    box = make_box(dicom={"association_timeout_s": 3600, "quiet_time_s": 2})
    _, study = box.admit(image())
    box.admission.resume(NOW + 10)
    assert box.study(study).completes_at == NOW + 12
    box.admission.resume(NOW + 11)
    assert box.study(study).completes_at == NOW + 12


def test_rows_refer_to_a_study(box: SmallBox) -> None:
    """Foreign keys are on: an instance without its study cannot be written."""
    box.admit(image())
    (row,) = box.rows(instances)
    with pytest.raises(Exception, match="FOREIGN KEY"), writing(box.engine) as connection:
        connection.execute(delete(instances))
        values = row._asdict() | {"study_instance_uid": "1.2.3"}
        connection.execute(insert(instances).values(**values))
