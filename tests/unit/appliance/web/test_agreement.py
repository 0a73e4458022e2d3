"""How often box and full model agree, counted for packs and scanners."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from appliance.schema import Agreement
from appliance.web.agreement import MOST_TALLIES, AgreementView, Tally, agreement_view, count_sent, wilson
from store_forward.database import reading
from tests.unit.appliance.web.rows import Rows


def read(rows: Rows) -> AgreementView:
    """The count over this box."""
    with reading(rows.engine) as conn:
        return agreement_view(conn)


def sent(rows: Rows, uid: str, scanner: str, answer: str | None, agreement: str | None, version: str = "1.0.0") -> None:
    """A study that was sent to the cloud."""
    pack: dict[str, Any] = {"pack": "chest", "pack_version": version, "pack_digest": "a" * 64}
    says: dict[str, Any] = {"answer_decision": answer, "agreement": agreement}
    rows.study(uid, "escalate", escalated=True, calling_ae_title=scanner, **pack, **says)


def test_nothing_was_sent(rows: Rows) -> None:
    """Routine and urgent studies and those no pack has read are not counted."""
    rows.study("1", "routine", pack="chest", pack_version="1.0.0")
    rows.study("2", "escalate", pack="chest", pack_version="1.0.0")
    rows.study("3", "escalate", escalated=True, answer_decision="urgent")
    assert read(rows) == AgreementView(0, (), ())


def test_every_study_counts_once_for_its_pack_and_once_for_its_scanner(rows: Rows) -> None:
    """Agreed, disagreed, answered without a side, and not answered; a new version is another pack."""
    sent(rows, "1", "NORTH", "urgent", Agreement.AGREES)
    sent(rows, "2", "NORTH", "routine", Agreement.AGREES)
    sent(rows, "3", "NORTH", "routine", Agreement.DISAGREES)
    sent(rows, "4", "SOUTH", "escalate", None)
    sent(rows, "5", "SOUTH", None, None)
    sent(rows, "6", "SOUTH", None, None, version="1.1.0")
    found = read(rows)
    low, high = wilson(2, 3) or (None, None)
    assert found.studies_sent == 6
    assert found.packs == (
        Tally("chest 1.0.0", 2, 1, 1, 1, low, high),
        Tally("chest 1.1.0", 0, 0, 0, 1, None, None),
    )
    assert found.scanners == (Tally("NORTH", 2, 1, 0, 0, low, high), Tally("SOUTH", 0, 0, 1, 2, None, None))


def test_the_list_of_scanners_is_bounded(rows: Rows) -> None:
    """A sender that takes a new AE title for each study does not fill the page; the number stays true."""
    for number in range(MOST_TALLIES + 3):
        sent(rows, str(number), f"AE{number}", None, None)
    sent(rows, "last", f"AE{MOST_TALLIES + 2}", None, None)
    found = read(rows)
    assert found.studies_sent == MOST_TALLIES + 4
    assert len(found.scanners) == MOST_TALLIES
    assert (found.scanners[0].name, found.scanners[0].unanswered) == (f"AE{MOST_TALLIES + 2}", 2)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (81, 263, 0.25530, 0.36617), (1, 1, 0.20655, 1.0)],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    """Figures of the literature (81 of 263: Newcombe 1998, method 3) and the ends, where others leave 0..1."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)
    assert wilson(0, 0) is None


def test_the_count_reads_an_index_and_no_study(rows: Rows) -> None:
    """The page asks every few seconds; a box of years has a hundred thousand studies, few of them sent."""
    with reading(rows.engine) as conn:
        query = count_sent().compile(conn, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
    assert any("USING COVERING INDEX studies_sent" in detail for detail in plan), plan
