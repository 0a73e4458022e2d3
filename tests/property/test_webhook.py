"""However often the process dies, the receiver sees each event at least once, and its id never changes."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from appliance.lane import Lane
from appliance.results.webhook import WebhookLink
from appliance.triage.deliveries import Subject, event
from models.decision import Decision
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import Delivery, deliveries
from tests.listening_webhook import KEY, Answering, WebhookServer, listening_webhook
from tests.small_box import SmallBox
from tests.unit.appliance.couriers import going_on

EVENTS = 3
#: Of one attempt: the process dies before it sends, or after it has sent; else what the receiver answers.
FATES = st.lists(st.sampled_from(["dies before", "dies after", "hangs up", 503, 429, 200]), max_size=8)


class Dies(BaseException):
    """The process is gone: nothing after this is written."""


class Mortal:
    """The link of a process that dies as it is told."""

    def __init__(self, link: WebhookLink, fate: object) -> None:
        self._link = link
        self._fate = fate

    def carry(self, path: Path, delivery: Delivery, stop: object) -> str:
        """Carry, unless it dies before or after."""
        if self._fate == "dies before":
            raise Dies
        receipt = self._link.carry(path, delivery, going_on)
        if self._fate == "dies after":
            raise Dies
        return receipt


def live(box: SmallBox, site: WebhookServer, fate: object) -> bool:
    """One process takes up what the last one left and makes one attempt; False when nothing is left."""
    link = WebhookLink("pager", site.url, KEY, 5.0)
    site.answers = [Answering(fate if isinstance(fate, int) else 200, hang_up=fate == "hangs up")]
    lane = Lane("pager", "webhook", Mortal(link, fate), box.engine, box.spool, 300.0)
    lane._take_back()
    with writing(box.engine) as connection:
        connection.execute(update(deliveries).where(deliveries.c.state == "waiting").values(next_at=0.0))
    try:
        return lane.step(going_on)
    except Dies:
        return True
    finally:
        link.close()


def test_each_event_is_seen_and_keeps_its_id(tmp_path: Path) -> None:
    """Deaths and bad answers in any order, then a process that lives; three more events each time."""
    box = SmallBox(tmp_path)
    numbers = itertools.count()
    expected: dict[bytes, set[str]] = {}

    @settings(max_examples=12)
    @given(FATES)
    def lives(fates: list[object]) -> None:
        for number in itertools.islice(numbers, EVENTS):
            said = b'{"number": %d}' % number
            expected[said] = {f"evt_{number}"}
            subject = Subject(f"1.{number}", 1, Decision.routine, 0.1)
            stored = box.spool.keep_bytes(said)
            asked = event(subject, "event_decided", "pager", stored, f"evt_{number}", urgent=False)
            with writing(box.engine) as connection:
                outbox.enqueue(connection, asked, 0.0)
        for fate in fates:
            live(box, site, fate)
        while live(box, site, 200):
            pass
        ids = defaultdict(set)
        for told in site.told:
            assert told.signed_by_us
            ids[told.whole].add(told.headers["webhook-id"])
        assert {row.state for row in box.rows(deliveries)} == {"delivered"}
        assert ids == expected

    with listening_webhook() as site:
        lives()
    box.close()
