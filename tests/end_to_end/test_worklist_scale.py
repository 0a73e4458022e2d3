"""A long worklist costs no more than a short one. SCANSIDE_ROWS=1000000 makes it longer; ``pytest -s`` tells it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest
from sqlalchemy import Engine, text

from appliance.web.listing import PAGE_ROWS, Place, WorklistRequest, day_begins
from appliance.web.worklist import Worklist, worklist
from store_forward.database import create_schema, open_database, reading, writing

FEW, MANY = 1000, int(os.environ.get("SCANSIDE_ROWS", "100000"))
ROUNDS = 21
MOST = 3.0
SLACK_MS = 2.0
"""Below this a difference is not told from noise."""
#: What many studies fit is looked for among the latest 2,000 of them: of 1,000 there are only as many to look at.
MOST_OF_COMMON = 6.0

NOW = 1_780_000_000.0
FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO studies (study_instance_uid, state, revision, images_digest, completes_at, calling_ae_title, patient_id,
  patient_name, patient_age, accession_number, study_date, study_description, modalities, instance_count, size_bytes,
  first_received_at, last_received_at, triage_attempts, decision, reason, pack, escalated, answer_decision, agreement)
SELECT '1.2.826.' || n, CASE WHEN n % 400 = 0 THEN 'receiving' ELSE 'settled' END, 1, '', :now, 'ROOM' || (n % 7),
  'P' || n, 'FAMILY' || n || '^GIVEN' || (n % 50), '004Y', 'A' || n, '20261121', 'CHEST AP',
  CASE n % 5 WHEN 0 THEN 'MR' WHEN 1 THEN 'DX\\SR' ELSE 'DX' END, 1, 1000, :now - (:rows - n) * 60.0,
  :now - (:rows - n) * 60.0, 1,
  CASE WHEN n % 400 = 0 THEN NULL WHEN n % 10 = 1 THEN 'urgent' WHEN n % 10 < 4 THEN 'escalate'
    WHEN n % 10 < 6 THEN 'not_triaged' ELSE 'routine' END,
  NULL, CASE WHEN n % 3 = 0 THEN 'chest' ELSE 'brain' END, n % 10 IN (2, 3),
  CASE WHEN n % 20 = 2 THEN 'routine' END, CASE WHEN n % 20 = 2 THEN 'disagrees' END
FROM numbers
"""
FINDINGS = """
INSERT INTO findings (study_instance_uid, revision, source, sop_instance_uid, name, probability)
SELECT study_instance_uid, 1, 'box', '1.2', 'pneumonia', 0.7 FROM studies
"""


def steps(rows: int) -> dict[str, WorklistRequest]:
    """What is asked of a box with so many studies."""
    half = NOW - rows / 2 * 60.0
    day = time.strftime("%Y-%m-%d", time.localtime(NOW - 86_400))
    assert day_begins(day)
    return {
        "by urgency": WorklistRequest(),
        "by urgency, middle": WorklistRequest(after=Place(2, half, "")),
        "by urgency, back": WorklistRequest(before=Place(2, half, "")),
        "by urgency, last": WorklistRequest(last=True),
        "by arrival": WorklistRequest(order="arrival"),
        "by arrival, middle": WorklistRequest(order="arrival", after=Place(2, half, "")),
        "by arrival, last": WorklistRequest(order="arrival", last=True),
        "one decision": WorklistRequest(show="not_triaged"),
        "disagreements, last": WorklistRequest(show="disagrees", last=True),
        "provisional": WorklistRequest(show="provisional"),
        "in progress": WorklistRequest(show="pending", last=True),
        "modality": WorklistRequest(modality="MR", order="arrival"),
        "scanner": WorklistRequest(scanner="ROOM3"),
        "scanner that sent nothing": WorklistRequest(scanner="ROOM"),
        "pack and modality": WorklistRequest(pack="chest", modality="MR"),
        "a day": WorklistRequest(since=day, until=day),
        "a name": WorklistRequest(search=f"family{rows - 1}"),
        "a patient ID": WorklistRequest(search=f"p{rows - 1}"),
        "an accession number": WorklistRequest(search=f"a{rows - 1}"),
        "a UID": WorklistRequest(search=f"1.2.826.{rows - 1}"),
        "nothing that is there": WorklistRequest(search="zzz"),
        "common: two names": WorklistRequest(search=f"given family{rows - 1}"),
        "common: a description": WorklistRequest(search="chest", order="arrival"),
        "common: a beginning": WorklistRequest(search="fam"),
        "common: a UID's beginning": WorklistRequest(search="1.2.826."),
    }


def read(engine: Engine, request: WorklistRequest) -> Worklist:
    """One page, as the status page reads it."""
    with reading(engine) as conn:
        return worklist(conn, request, True)


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[tuple[int, Engine]]]:
    """Two boxes that differ in how many studies they have had."""
    made = []
    for rows in (FEW, MANY):
        engine = open_database(tmp_path / str(rows) / "box.sqlite")
        create_schema(engine)
        with writing(engine) as connection:
            connection.execute(text(FILL), {"rows": rows, "now": NOW})
            connection.execute(text(FINDINGS))
        made.append((rows, engine))
    yield made
    for _, engine in made:
        engine.dispose()


@pytest.mark.timeout(900)
def test_a_long_worklist_costs_no_more(boxes: list[tuple[int, Engine]]) -> None:
    """Page by page on both in turn, in the processor's time, which does not count what other programs take."""
    took: dict[str, list[list[float]]] = {step: [[], []] for step in steps(FEW)}
    asked = [(engine, steps(rows)) for rows, engine in boxes]
    for number in range(ROUNDS):
        for step, times in took.items():
            for which in (0, 1) if number % 2 else (1, 0):
                engine, requests = asked[which]
                began = time.thread_time()
                found = read(engine, requests[step])
                times[which].append((time.thread_time() - began) * 1000)
                assert len(found.rows) <= PAGE_ROWS
    slow = {}
    for step, both in took.items():
        few, many = (quantiles(times, n=4)[0] for times in both)
        sys.stdout.write(f"{step:<28} {few:7.2f} ms of {FEW}, {many:7.2f} ms of {MANY}: {many / few:.2f} x\n")
        if many > (MOST_OF_COMMON if step.startswith("common") else MOST) * few + SLACK_MS:
            slow[step] = (few, many)
    assert slow == {}


def test_the_long_worklist_is_right(boxes: list[tuple[int, Engine]]) -> None:
    """The last page of each order ends with what came first; what is looked for is what is found."""
    rows, engine = boxes[1]
    assert read(engine, WorklistRequest(order="arrival", last=True)).rows[-1].study_instance_uid == "1.2.826.1"
    assert read(engine, WorklistRequest(show="urgent", last=True)).rows[-1].study_instance_uid == "1.2.826.1"
    (found,) = read(engine, WorklistRequest(search=f"family{rows - 1}")).rows
    assert found.patient_name.startswith(f"FAMILY{rows - 1}^")
    counts = read(engine, WorklistRequest()).counts
    assert (counts["all"], counts["urgent"]) == (rows - rows // 400, rows // 10)
