"""The history of a study is its rows, in the caller's own transaction."""

from __future__ import annotations

import pytest

from appliance.history import record_event
from appliance.schema import study_events
from store_forward.database import writing
from tests.small_box import NOW, SmallBox, image


def test_an_event_is_a_row(box: SmallBox) -> None:
    """Kind, detail and time, in the order in which things happened."""
    _, study = box.admit(image())
    with writing(box.engine) as connection:
        record_event(connection, study, NOW + 1, "complete", "1 instances")
        record_event(connection, study, NOW + 2, "settled")
    found = [(row.at, row.kind, row.detail) for row in box.rows(study_events)]
    assert found == [
        (NOW, "receiving", "from SCANNER"),
        (NOW + 1, "complete", "1 instances"),
        (NOW + 2, "settled", ""),
    ]


def test_an_event_goes_with_what_it_is_about(box: SmallBox) -> None:
    """When the transaction fails there is no event either."""
    _, study = box.admit(image())
    with pytest.raises(RuntimeError), writing(box.engine) as connection:
        record_event(connection, study, NOW, "decided")
        raise RuntimeError
    assert [row.kind for row in box.rows(study_events)] == ["receiving"]
