"""Two boxes that tell each other what they settled agree, in whatever order, how often and in what pieces it comes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.standby.marks import Mark, apply_marks, keep_marks
from appliance.standby.state import settled_elsewhere
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import DeliveryRequest, deliveries
from tests.small_box import NOW, boxes

STUDIES, IMAGES, KINDS, PLACES = ("1.2", "1.3"), ("a", "b"), ("report", "picture"), ("archive", "cloud")
Key = tuple[str, str, str, str]
KEYS = st.tuples(*(st.sampled_from(names) for names in (STUDIES, IMAGES, KINDS, PLACES)))
MARKS = st.tuples(*(st.sampled_from(names) for names in (STUDIES, IMAGES, (*KINDS, ""), PLACES)))
#: A step: a delivery that is asked for, or marks that come in.
STEPS = st.lists(st.one_of(KEYS, st.lists(MARKS, max_size=4)), max_size=12)


def _settled(key: Key, marks: set[Key]) -> bool:
    study, images, _, place = key
    return key in marks or (study, images, "", place) in marks


@settings(max_examples=60)
@given(steps=STEPS)
def test_what_is_settled_follows_from_the_set_of_marks_alone(steps: list[Key | list[Key]]) -> None:
    """Delivered is exactly what some mark names, whenever either came; telling all once more changes nothing."""
    with tempfile.TemporaryDirectory() as folder, boxes(Path(folder)) as make:
        box = make()
        asked: set[Key] = set()
        told: list[Key] = []
        for step in steps:
            with writing(box.engine) as connection:
                if isinstance(step, tuple):
                    asked.add(step)
                    outbox.enqueue(connection, _request(step), NOW)
                    apply_marks(connection, step[0], NOW)
                else:
                    told += step
                    keep_marks(connection, map(_mark, step), NOW)
        before = _states(box.rows(deliveries))
        assert before == {key: "delivered" if _settled(key, set(told)) else "waiting" for key in asked}
        with writing(box.engine) as connection:
            assert keep_marks(connection, map(_mark, reversed(told)), NOW) == 0
        assert _states(box.rows(deliveries)) == before
        assert box.count(settled_elsewhere) == len(set(told))


def _request(key: Key) -> DeliveryRequest:
    study, images, kind, place = key
    return DeliveryRequest(":".join(key), study, 1, kind, place, 2, "p", 1, "a/b", {"images": images})


def _mark(key: Key) -> Mark:
    study, images, kind, place = key
    return Mark(study_instance_uid=study, images_digest=images, kind=kind, destination=place, receipt="by the other")


def _states(rows: Iterable[Any]) -> dict[Key, str]:
    return {tuple(row.key.split(":")): row.state for row in rows}
