"""What SQLite keeps beside a study equals the rules, whatever writes the study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update

from appliance.schema import Agreement, StudyState, studies
from appliance.study_index import PENDING, study_counts
from appliance.web.standing import URGENCY, doubt_of, standing_decision
from appliance.web.worklist import opinions_of
from store_forward.database import create_schema, open_database, reading, writing

DECISIONS = (None, *URGENCY, "something else")
OPINIONS = [
    dict(zip(("state", "decision", "escalated", "answer_decision", "agreement", "answer_basis"), values, strict=True))
    for values in product(
        [state.value for state in StudyState],
        DECISIONS,
        (False, True),
        DECISIONS,
        (None, *(one.value for one in Agreement)),
        (None, "image", "features"),
    )
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A box without any study."""
    made = open_database(tmp_path / "box.db")
    create_schema(made)
    yield made
    made.dispose()


def row(uid: str, **values: Any) -> dict[str, Any]:
    """A study as it is opened."""
    at = {"completes_at": 1.0, "first_received_at": 1.0, "last_received_at": 1.0}
    return {"study_instance_uid": uid, "state": "receiving", "calling_ae_title": "SCANNER", **at, **values}


def found(engine: Engine, words: str) -> list[str]:
    """The studies that have these words."""
    query = text("SELECT study_instance_uid FROM studies WHERE rowid IN (SELECT rowid FROM study_search(:words))")
    with reading(engine) as conn:
        return list(conn.scalars(query, {"words": words}))


def test_urgency_and_doubt_equal_the_rules_for_every_combination(engine: Engine) -> None:
    """Written at once or by an update; and the counts follow."""
    with writing(engine) as conn:
        conn.execute(insert(studies), [row(f"new {number}", **one) for number, one in enumerate(OPINIONS)])
        conn.execute(insert(studies), [row(f"old {number}") for number in range(len(OPINIONS))])
        for number, one in enumerate(OPINIONS):
            conn.execute(update(studies).where(studies.c.study_instance_uid == f"old {number}").values(**one))
    counts: Counter[tuple[int, str]] = Counter()
    with reading(engine) as conn:
        for kept in conn.execute(select(studies)):
            opinions = opinions_of(kept)
            standing = standing_decision(opinions)
            assert kept.urgency == (URGENCY.index(standing) if standing in URGENCY else None), opinions
            assert kept.doubt == doubt_of(opinions), opinions
            counts[PENDING if kept.urgency is None else kept.urgency, kept.doubt or ""] += 1
        kept_counts = {(one.urgency, one.doubt): one.number for one in conn.execute(select(study_counts))}
    assert counts == {key: number for key, number in kept_counts.items() if number}
    assert len(counts) > 5


def test_a_study_that_goes_is_not_counted_or_found(engine: Engine) -> None:
    """Nothing of it is left behind."""
    with writing(engine) as conn:
        conn.execute(insert(studies), [row("1", patient_name="DOE^JANE"), row("2", patient_name="ROE^RICHARD")])
        conn.execute(delete(studies).where(studies.c.study_instance_uid == "1"))
    assert (found(engine, "doe"), found(engine, "roe")) == ([], ["2"])
    with reading(engine) as conn:
        assert conn.scalar(select(study_counts.c.number).where(study_counts.c.urgency == PENDING)) == 1


def test_the_words_follow_the_study(engine: Engine) -> None:
    """Whatever case and accents; what is updated is found by its new words only."""
    with writing(engine) as conn:
        conn.execute(insert(studies).values(row("1", patient_name="MÜLLER^Jane", study_description="Thorax ap")))
        conn.execute(insert(studies).values(row("2", patient_name="OTHER")))
    assert (found(engine, "muller"), found(engine, "THOR*")) == (["1"], ["1"])
    with writing(engine) as conn:
        conn.execute(update(studies).where(studies.c.study_instance_uid == "1").values(patient_name="MEIER^Jane"))
        conn.execute(update(studies).values(instance_count=2))
    assert (found(engine, "muller"), found(engine, "meier jane")) == ([], ["1"])
