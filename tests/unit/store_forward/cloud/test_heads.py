"""Features instead of the image: read by the head of that very pack, or answered as not understood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.pack import ModelPack, load_pack
from models.triage import Triage
from store_forward.cloud import cases
from store_forward.cloud.analysis import Analysis
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.heads import Heads
from store_forward.database import create_schema, open_database, reading, writing
from store_forward.features import FEATURES_TYPE, PictureFeatures, StudyFeatures, parse_features, write_features
from store_forward.protocol import Answer, UploadMetadata
from store_forward.spool import Spool
from tests.tiny_pack import MAP_PX, tiny_head, write_tiny_pack
from tests.unit.store_forward.running_cloud import settings_at

BRIGHT_ABOVE = np.repeat(np.linspace(1.0, -1.0, MAP_PX, dtype=np.float32), MAP_PX)


class Cloud:
    """A cloud without its endpoint, which knows one box pack with a head."""

    def __init__(self, folder: Path, pack: ModelPack) -> None:
        settings = settings_at(folder, max_instances=4)
        self.engine = open_database(settings.database)
        create_schema(self.engine, CLOUD_METADATA)
        self.spool = Spool(settings.spool, 0)
        self.pack = pack
        self.analysis = Analysis(settings, self.engine, self.spool, Triage([]), Heads([pack]))

    def answers(self, payload: bytes) -> Answer:
        """What it answers to a payload of features."""
        stored = self.spool.keep_bytes(payload)
        upload = UploadMetadata(sha256=stored.digest, content_type=FEATURES_TYPE, box="box-1", priority=0)
        with writing(self.engine) as connection:
            cases.store(connection, upload, stored.size_bytes, 1.0)
        assert self.analysis.step(2.0)
        with reading(self.engine) as connection:
            return cases.answers_after(connection, "box-1", 0, 100)[-1]

    def study(self, *features: bytes, digest: str | None = None) -> StudyFeatures:
        """A study of these pictures, by the pack it knows unless another digest is given."""
        identity = self.pack.identity
        return StudyFeatures(
            pack=identity.name,
            pack_version=identity.version,
            pack_digest=digest or identity.digest,
            study_instance_uid="2.25.1",
            pictures=tuple(PictureFeatures(sop_instance_uid="2.25.2", features=one) for one in features),
        )


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """With the tiny box pack."""
    made = Cloud(tmp_path / "cloud", load_pack(write_tiny_pack(tmp_path / "tiny", headed=True)))
    yield made
    made.engine.dispose()


@pytest.mark.parametrize(("sign", "decision"), [(1, "urgent"), (-1, "routine"), (0, "escalate")])
def test_the_head_answers(cloud: Cloud, sign: int, decision: str) -> None:
    """The answer names the box's pack and says that it rests on features alone."""
    reduced = tiny_head().reduced(sign * BRIGHT_ABOVE).tobytes()
    answer = cloud.answers(write_features(cloud.study(reduced)))
    assert (answer.decision, answer.basis, answer.pack_digest) == (decision, "features", cloud.pack.digest)
    assert [one.name for one in answer.findings] == ["bright_above"]


def test_the_most_suspicious_picture_decides(cloud: Cloud) -> None:
    """As it does among images."""
    pictures = [tiny_head().reduced(sign * BRIGHT_ABOVE).tobytes() for sign in (-1, 1)]
    assert cloud.answers(write_features(cloud.study(*pictures))).decision == "urgent"


def test_a_head_it_does_not_have_is_said(cloud: Cloud) -> None:
    """A definite answer, not a parked delivery: the box then sends the image."""
    answer = cloud.answers(write_features(cloud.study(bytes(64), digest="0" * 64)))
    assert (answer.decision, answer.reason, answer.basis) == ("not_triaged", "features_not_understood", "features")
    assert "tiny 1.0.0 (000000000000)" in answer.detail


@pytest.mark.parametrize("payload", [b"", b"{}", b"PK\3\4", b'{"format": 2}', b"[" * 100_000])
def test_what_is_no_features_is_not_understood(cloud: Cloud, payload: bytes) -> None:
    """Whatever the bytes are."""
    assert cloud.answers(payload).reason == "features_not_understood"


def test_more_than_its_limits_is_not_understood(cloud: Cloud) -> None:
    """More pictures than a case may have, or more features than the head takes."""
    assert cloud.answers(write_features(cloud.study(*[bytes(64)] * 5))).reason == "features_not_understood"
    assert cloud.answers(write_features(cloud.study(bytes(65)))).reason == "features_not_understood"


def test_the_payload_says_itself_and_nothing_more(cloud: Cloud) -> None:
    """What was written is read again; an unknown field is refused, so nothing can hide in it."""
    study = cloud.study(bytes(range(64)))
    written = write_features(study)
    assert parse_features(written) == study
    assert write_features(parse_features(written)) == written
    with pytest.raises(ValueError, match="errors in the features"):
        parse_features(written.replace(b'{"format"', b'{"name":"x","format"'))
