"""Every state, cause and constant that the code knows is explained, and nothing is explained that it does not know."""

from __future__ import annotations

import ast
from collections.abc import Callable
from enum import StrEnum

import pytest

from appliance.errors import ReceiveError
from appliance.ingest.commitment_requests import Owed
from appliance.ingest.media_import import ImportOutcome
from appliance.ingest.step_tables import StepState
from appliance.people.errors import PeopleError
from appliance.results.commitments import FailureReason
from appliance.results.event import Standing
from appliance.schema import Agreement, StudyState
from appliance.standby.state import Turn
from appliance.triage.messages import Refusal
from appliance.web.standing import Confirmation
from models.decision import Decision
from store_forward import protocol
from store_forward.cloud.cases import CaseState
from store_forward.destinations import Contact
from store_forward.outbox import DeliveryState
from store_forward.protocol import MessageOutcome
from tests.docs.blocks import ROOT, block, first_cells
from tests.docs.code_facts import (
    commitment_request_statuses,
    deidentification_refusals,
    delivery_causes,
    report_causes,
    step_statuses,
    study_event_kinds,
)

STATES, ERRORS = "docs/reference/states.md", "docs/reference/errors.md"
EVENTS = "docs/reference/webhook-events.md"


def _hexadecimal(statuses: set[int]) -> set[str]:
    return {f"0x{status:04X}" for status in statuses}


def _values(states: type[StrEnum]) -> Callable[[], set[str]]:
    return lambda: {state.value for state in states}


NAMES: dict[tuple[str, str], Callable[[], set[str]]] = {
    (STATES, "study-states"): _values(StudyState),
    (STATES, "step-states"): _values(StepState),
    (STATES, "commitment-request-states"): _values(Owed),
    (STATES, "decisions"): _values(Decision),
    (STATES, "delivery-states"): _values(DeliveryState),
    (STATES, "destination-states"): _values(Contact),
    (STATES, "turns"): _values(Turn),
    (STATES, "case-states"): _values(CaseState),
    (STATES, "agreements"): _values(Agreement),
    (STATES, "confirmations"): _values(Confirmation),
    (STATES, "message-outcomes"): _values(MessageOutcome),
    (STATES, "message-refusals"): _values(Refusal),
    (EVENTS, "standings"): _values(Standing),
    (STATES, "study-events"): study_event_kinds,
    (ERRORS, "delivery-causes"): delivery_causes,
    (ERRORS, "failure-reasons"): lambda: {f"0x{reason:04X}" for reason in FailureReason},
    (ERRORS, "step-statuses"): lambda: _hexadecimal(step_statuses()),
    (ERRORS, "commitment-request-statuses"): lambda: _hexadecimal(commitment_request_statuses()),
    (ERRORS, "report-causes"): report_causes,
    (ERRORS, "deidentification-refusals"): deidentification_refusals,
    (ERRORS, "import-outcomes"): _values(ImportOutcome),
    (ERRORS, "people-errors"): lambda: {one.code for one in PeopleError.__subclasses__()},
}


@pytest.mark.parametrize(("document", "name"), NAMES, ids=lambda part: str(part))
def test_the_names_are_those_of_the_code(document: str, name: str) -> None:
    """The first column of the table and the code hold the same set."""
    text = (ROOT / document).read_text(encoding="utf-8")
    assert first_cells(block(text, "names", name)) == NAMES[document, name]()


def test_the_causes_are_found_at_all() -> None:
    """The search through the syntax trees sees each kind of place a cause is written in."""
    expected = {"cloud_unreachable", "cloud_full", "pacs_refused", "lease_expired", "link_restored", "parked_by_person"}
    assert expected <= delivery_causes()


def test_every_receive_status_is_its_own() -> None:
    """A sender's log can tell the refusals apart by their status alone."""
    statuses = [kind.dicom_status for kind in ReceiveError.__subclasses__()]
    assert len(set(statuses)) == len(statuses)


def test_the_wire_protocol_names_every_constant() -> None:
    """Paths, headers and statuses of the protocol module that either side uses stand in its reference."""
    text = (ROOT / "docs/reference/wire-protocol.md").read_text(encoding="utf-8")
    tree = ast.parse((ROOT / "store_forward/protocol.py").read_text(encoding="utf-8"))
    targets = [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    users = [path for path in (ROOT / "store_forward").rglob("*.py") if path.name != "protocol.py"]
    used = " ".join(path.read_text(encoding="utf-8") for path in users)
    constants = {name: getattr(protocol, name) for name in names if f"protocol.{name}" in used}
    assert len(constants) >= 10
    missing = {name: value for name, value in constants.items() if f"`{value}`" not in text}
    assert not missing
