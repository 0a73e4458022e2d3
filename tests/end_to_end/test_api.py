"""The API against its own description: no server error, and no answer that is not described.

``SCANSIDE_EXAMPLES=1000`` tries more requests of each kind than an ordinary run does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import positive_data_acceptance

from appliance.schema import messages, processes, set_aside, study_events
from appliance.web.api.service import api_app
from appliance.web.app import build_app
from tests.unit.appliance.web.rows import NOW, Rows

EXAMPLES = int(os.environ.get("SCANSIDE_EXAMPLES", "15"))
HERE = {"Host": "localhost"}
pytestmark = pytest.mark.timeout(60 + 2 * EXAMPLES)


def _fill(rows: Rows) -> None:
    """Something of everything that can be asked for."""
    for number, decision in enumerate(("urgent", "escalate", "not_triaged", "routine", None)):
        rows.study(str(number), decision, escalated=decision == "escalate", patient_name="DOE^JANE")
        rows.finding(str(number), "pneumonia", number / 5)
    for state in ("parked", "deferred", "delivered", "waiting"):
        rows.delivery(str(len(state)), "report", f"to-{state}", state)
    rows.put(study_events, study_instance_uid="1", at=NOW, kind="decided", detail="escalate")
    rows.put(set_aside, file_digest="b" * 64, reason="cannot_understand", source="x", received_at=NOW)
    rows.put(processes, name="triage", pid=1, state="running", started_at=NOW, beat_at=NOW)
    body = {"level": "info", "text": "Hello"}
    rows.put(messages, seq=1, kind="notice", body=body, sent_at=NOW, received_at=NOW, outcome="shown")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The OpenAPI description as the box gives it out, and the box behind it."""
    rows = Rows(tmp_path_factory.mktemp("box"))
    _fill(rows)
    app = build_app(rows.settings, rows.engine, rows.spool, lambda: rows.now)
    yield schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=HERE)
    rows.engine.dispose()


def _resources() -> Iterator[tuple[str, str]]:
    unused: Any = None  # nothing is answered here
    for path, resource in api_app(unused).openapi()["paths"].items():
        yield from ((path, method) for method in resource)


@pytest.mark.parametrize("mode", tuple(GenerationMode))
@pytest.mark.parametrize(("path", "method"), tuple(_resources()))
def test_every_answer_is_as_described(description: Any, path: str, method: str, mode: GenerationMode) -> None:
    """Whatever is asked: described statuses, media types and bodies; wrong requests are refused as such.

    Not checked is that all which fits its schema is taken: a cursor is a string, and few strings are cursors.
    """
    operation = description[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.definition.raw.keys() & {"parameters", "requestBody"}):
        return  # nothing in it can be wrong

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES < 100)
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case: Case[Any]) -> None:
        case.call_and_validate(headers=HERE, excluded_checks=[positive_data_acceptance])

    each()
