"""Over a real link: features go first, their head answers, and the full model's answer to the image replaces it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from appliance import packs
from appliance.lane import Lane
from appliance.schema import StudyState
from appliance.uplink import AnswerLane, CloudCarrier
from hardware.onnxruntime_session import open_onnxruntime
from models.pack import load_pack
from models.runner import PackRunner
from models.triage import Triage
from store_forward.cloud.analysis import Analysis
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.heads import Heads
from store_forward.database import create_schema, open_database
from store_forward.outbox import deliveries
from store_forward.spool import Spool
from store_forward.uplink import CloudLink
from tests.small_box import NOW, SmallBox, image
from tests.tiny_pack import write_tiny_pack
from tests.unit.store_forward.running_cloud import CHUNK_BYTES, TOKEN, running, settings_at


class Site:
    """A box and a cloud, joined by a real link; every step is the test's."""

    def __init__(self, folder: Path, stack: ExitStack, *, cloud_has_head: bool) -> None:
        box_pack = write_tiny_pack(folder / "packs" / "tiny", headed=True)
        full = load_pack(write_tiny_pack(folder / "full", role="cloud", name="tiny-full"))
        settings = settings_at(folder / "cloud")
        port = stack.enter_context(running(settings))
        engine = open_database(settings.database)
        stack.callback(engine.dispose)
        create_schema(engine, CLOUD_METADATA)
        triage = Triage([PackRunner(full, open_onnxruntime(full.network, threads=1))])
        heads = Heads([load_pack(box_pack)] if cloud_has_head else [])
        self.analysis = Analysis(settings, engine, Spool(settings.spool, 0), triage, heads)
        url = f"http://127.0.0.1:{port}"
        cloud = {"url": url, "escalate": "features_first" if cloud_has_head else "features"}
        self.box = SmallBox(folder / "box", triage={"packs": folder / "packs"}, cloud=cloud)
        stack.callback(self.box.close)
        link = CloudLink(url, TOKEN, "box-1", CHUNK_BYTES, timeout_s=10.0)
        stack.callback(link.close)
        self.lane = Lane("cloud", "cloud", CloudCarrier(link), self.box.engine, self.box.spool, 300.0)
        self.answer_lane = AnswerLane(link, self.box.engine, 0.0)
        self.study = self.box.receive(image("escalate"))
        self.worker = self.box.worker()
        assert self.worker.step(NOW)

    def one_goes_up_and_is_answered(self) -> str:
        """The next delivery is carried, analysed and its answer applied; gives its kind."""
        waiting = {row.id for row in self.box.rows(deliveries) if row.state == "waiting"}
        assert self.lane.step(lambda: False)
        assert self.analysis.step(NOW)
        assert self.answer_lane.step()
        assert self.worker.step(NOW)
        (carried,) = [row.kind for row in self.box.rows(deliveries) if row.id in waiting and row.state == "delivered"]
        return str(carried)

    @property
    def row(self) -> Any:
        """The study's row."""
        return self.box.study(self.study)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ExitStack]:
    """Closes what a test has opened; the shipped packs stay out of it."""
    monkeypatch.setattr(packs, "SHIPPED", tmp_path / "no packs")
    with ExitStack() as opened:
        yield opened


def test_features_first_then_the_image(tmp_path: Path, stack: ExitStack) -> None:
    """Two answers, the second in place of the first, and then the study is settled."""
    site = Site(tmp_path, stack, cloud_has_head=True)
    assert site.one_goes_up_and_is_answered() == "features"
    assert (site.row.answer_basis, site.row.answer_pack, site.row.state) == ("features", "tiny", StudyState.DECIDED)
    assert site.one_goes_up_and_is_answered() == "escalation"
    assert (site.row.answer_basis, site.row.answer_pack, site.row.state) == ("image", "tiny-full", StudyState.SETTLED)
    sizes = {row.kind: row.size_bytes for row in site.box.rows(deliveries)}
    assert sizes["features"] < 500


def test_a_cloud_without_the_head_gets_the_image(tmp_path: Path, stack: ExitStack) -> None:
    """Its answer is definite, and the box sends what it can read."""
    site = Site(tmp_path, stack, cloud_has_head=False)
    assert site.one_goes_up_and_is_answered() == "features"
    assert site.row.answered_at is None
    assert site.one_goes_up_and_is_answered() == "escalation"
    assert (site.row.answer_basis, site.row.answer_pack, site.row.state) == ("image", "tiny-full", StudyState.SETTLED)
