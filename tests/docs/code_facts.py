"""What the code can say or write, read out of its syntax trees: causes, refusals and kinds of event."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from appliance.ingest import commitment_door, procedure_steps
from tests.docs.blocks import ROOT

PACKAGES = ("appliance", "hardware", "models", "store_forward")


def delivery_causes() -> set[str]:
    """Every word that a delivery or its history can carry as its cause."""
    sources = _calls(
        _outside_demo,
        {
            **dict.fromkeys(("DeliveryDeferred", "DeliveryRefused", "DeliveryAwaits"), 0),
            **{"_refused": 1, "_released": 1, "park": 2, "bring_forward": 2, "_move": 4},
        },
    )
    return {*sources, *_status_table_causes(), *_noted_causes(), *_causes_of_giving_way()}


def deidentification_refusals() -> set[str]:
    """Every reason why an instance may not leave the box."""
    return set(_calls(_everywhere, {"CannotDeidentify": 0}))


def study_event_kinds() -> set[str]:
    """Every kind of row in a study's history."""
    return set(_calls(_everywhere, {"record_event": 3}))


def report_causes() -> set[str]:
    """Every reason why a report on storage commitment that is asked of us waits, but for a modality's own answer."""
    files = ("commitment_reports.py", "commitment_reporter.py")
    given = set(_calls(lambda path: path.name in files, {"NotReported": 0}))
    return given | {"disk_unreadable"}


def step_statuses() -> set[int]:
    """Every status that a refused procedure step is answered with."""
    return set(_constants(("procedure_steps.py", "step_door.py"), "StepRefused", procedure_steps))


def commitment_request_statuses() -> set[int]:
    """Every status that a refused request for storage commitment is answered with."""
    named = set(_constants(("commitment_door.py",), "RequestRefused", commitment_door))
    return {*named, commitment_door.NOT_AUTHORISED}


def _constants(files: tuple[str, ...], call: str, module: ModuleType) -> Iterator[int]:
    """The values of the names that stand first in every call."""
    for tree in _trees(lambda path: path.name in files):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name_of(node.func) == call and isinstance(node.args[0], ast.Name):
                yield int(getattr(module, node.args[0].id))


def _everywhere(_path: Path) -> bool:
    return True


def _outside_demo(path: Path) -> bool:
    return "demo" not in path.parts


def _trees(wanted: Callable[[Path], bool]) -> Iterator[ast.Module]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if wanted(path):
                yield ast.parse(path.read_text(encoding="utf-8"))


def _calls(wanted: Callable[[Path], bool], positions: dict[str, int]) -> Iterator[str]:
    """The string constant at its position in every call of these names."""
    for tree in _trees(wanted):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            position = positions.get(_name_of(node.func))
            if position is not None and len(node.args) > position:
                yield from _strings(node.args[position])


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _strings(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _strings(node.body)
        yield from _strings(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _status_table_causes() -> Iterator[str]:
    """The causes that stand beside HTTP statuses in ``store_forward/exchange.py``."""
    tree = ast.parse((ROOT / "store_forward/exchange.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, ast.Tuple) and len(value.elts) == 2:
                    yield from _strings(value.elts[0])


def _noted_causes() -> Iterator[str]:
    """The causes written into the history alone: the sixth argument of ``_note`` in the outbox."""
    yield from _calls(lambda path: path.name == "outbox.py", {"_note": 5})


def _causes_of_giving_way() -> Iterator[str]:
    """What a lane writes down as the cause when an attempt should end between two chunks."""
    for node in ast.walk(ast.parse((ROOT / "appliance/lane.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and any(_name_of(target) == "cause" for target in node.targets):
            yield from _strings(node.value)
