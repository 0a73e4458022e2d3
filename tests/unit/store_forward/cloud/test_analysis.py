"""Case by case through the full model, with a real small network."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from hardware.onnxruntime_session import open_onnxruntime
from models.pack import load_pack
from models.runner import PackRunner
from models.triage import Triage
from store_forward.cloud import cases
from store_forward.cloud.analysis import Analysis
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.settings import CloudSettings
from store_forward.database import create_schema, open_database, reading, writing
from store_forward.errors import ObjectDamaged
from store_forward.protocol import Answer, UploadMetadata
from store_forward.spool import Spool
from tests.dicom_factory import as_bytes, chest_radiograph, uid
from tests.tiny_pack import Says, picture, write_tiny_pack
from tests.unit.store_forward.running_cloud import settings_at


class Cloud:
    """A cloud without its endpoint: payloads are put straight into the spool."""

    def __init__(self, settings: CloudSettings, engine: Engine, triage: Triage) -> None:
        self.settings = settings
        self.engine = engine
        self.spool = Spool(settings.spool, 0)
        self.analysis = Analysis(settings, engine, self.spool, triage)

    def store(self, data: bytes, priority: int = 1) -> str:
        """Keep a payload as box-1's; gives its digest."""
        stored = self.spool.keep_bytes(data)
        upload = UploadMetadata(sha256=stored.digest, content_type="application/zip", box="box-1", priority=priority)
        with writing(self.engine) as connection:
            cases.store(connection, upload, stored.size_bytes, 1.0)
        return stored.digest

    def answers(self) -> list[Answer]:
        """All answers for box-1."""
        with reading(self.engine) as connection:
            return cases.answers_after(connection, "box-1", 0, 100)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """With a tiny pack in the role of the full model."""
    settings = settings_at(tmp_path / "cloud", max_instances=4)
    engine = open_database(settings.database)
    create_schema(engine, CLOUD_METADATA)
    pack = load_pack(write_tiny_pack(tmp_path / "tiny-full", role="cloud", name="tiny-full"))
    yield Cloud(settings, engine, Triage([PackRunner(pack, open_onnxruntime(pack.network, threads=1))]))
    engine.dispose()


def study(tmp_path: Path, *images: Says, extra: bytes | None = None) -> bytes:
    """A payload: one stored zip of the images of one study."""
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, says in enumerate(images):
            dataset = chest_radiograph(seed=str(number), pixels=picture(says), StudyInstanceUID=uid("one"))
            archive.writestr(f"{number}.dcm", as_bytes(dataset))
        if extra is not None:
            archive.writestr("extra", extra)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("images", "decision"),
    [(("routine", "urgent"), "urgent"), (("routine", "routine"), "routine"), (("routine", "escalate"), "escalate")],
)
def test_the_worst_image_decides(cloud: Cloud, tmp_path: Path, images: tuple[Says, ...], decision: str) -> None:
    """The answer says what, by which pack, on which device, with the deciding image's findings."""
    digest = cloud.store(study(tmp_path, *images))
    assert cloud.analysis.step(5.0)
    [answer] = cloud.answers()
    assert (answer.case, answer.decision, answer.reason, answer.answered_at) == (digest, decision, None, 5.0)
    assert (answer.pack, answer.pack_version) == ("tiny-full", "1.0.0")
    assert answer.device is not None
    assert answer.pack_digest is not None
    [finding] = answer.findings
    assert {"urgent": finding.probability >= 0.8, "routine": finding.probability < 0.2}.get(decision, True)
    assert not cloud.analysis.step(6.0)


def test_absence_is_claimed_only_for_what_was_read(cloud: Cloud, tmp_path: Path) -> None:
    """One image routine, one entry unreadable: not routine."""
    cloud.store(study(tmp_path, "routine", extra=b"not DICOM"))
    cloud.analysis.step(5.0)
    [answer] = cloud.answers()
    assert (answer.decision, answer.reason, answer.pack) == ("escalate", "partly_covered", "tiny-full")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"not a zip", "not_dicom"), (None, "no_images"), (b"", "not_dicom")],
    ids=["noise", "none", "nothing"],
)
def test_what_cannot_be_read_is_answered_with_a_reason(
    cloud: Cloud, tmp_path: Path, data: bytes | None, reason: str
) -> None:
    """Never with a score."""
    cloud.store(study(tmp_path) if data is None else data)
    cloud.analysis.step(5.0)
    [answer] = cloud.answers()
    assert (answer.decision, answer.reason, answer.findings, answer.pack) == ("not_triaged", reason, [], None)


def test_too_many_instances_is_a_reason(cloud: Cloud, tmp_path: Path) -> None:
    """The limit is a setting."""
    cloud.store(study(tmp_path, "routine", "routine", "routine", "routine", "urgent"))
    cloud.analysis.step(5.0)
    assert [answer.reason for answer in cloud.answers()] == ["too_large"]


def test_without_packs_nothing_is_claimed(cloud: Cloud, tmp_path: Path) -> None:
    """no_pack, not routine."""
    cloud.store(study(tmp_path, "routine"))
    Analysis(cloud.settings, cloud.engine, cloud.spool, Triage([])).step(5.0)
    assert [(answer.decision, answer.reason) for answer in cloud.answers()] == [("not_triaged", "no_pack")]


def test_a_case_that_fails_is_given_up_and_holds_up_nobody(cloud: Cloud, tmp_path: Path) -> None:
    """A damaged payload is tried three times, each counted before the work, and then answered without a score."""
    broken = cloud.store(study(tmp_path, "urgent"), priority=0)
    cloud.spool.path(broken).write_bytes(b"rotten")
    for _ in range(3):
        with pytest.raises(ObjectDamaged):
            cloud.analysis.step(5.0)
        assert cloud.answers() == []
        assert cloud.analysis.put_back() == 1
    cloud.store(study(tmp_path, "routine"))
    while cloud.analysis.step(6.0):
        pass
    found = {answer.case: (answer.decision, answer.reason) for answer in cloud.answers()}
    assert found.pop(broken) == ("not_triaged", "worker_gave_up")
    assert list(found.values()) == [("routine", None)]


def test_a_successor_takes_up_what_was_left(cloud: Cloud, tmp_path: Path) -> None:
    """The process died in the middle of a case; its attempt stays counted."""
    cloud.store(study(tmp_path, "urgent"))
    with writing(cloud.engine) as connection:
        assert cases.lease(connection) is not None
    assert not cloud.analysis.step(5.0)
    assert cloud.analysis.put_back() == 1
    assert cloud.analysis.step(6.0)
    assert [answer.decision for answer in cloud.answers()] == ["urgent"]


def test_nothing_decoded_stays_on_disk(cloud: Cloud, tmp_path: Path) -> None:
    """Only the payload itself does."""
    cloud.store(study(tmp_path, "urgent"))
    cloud.analysis.step(5.0)
    assert {path.name.split(".")[0] for path in cloud.settings.home.iterdir()} == {"cloud", "spool"}
