"""What is looked for and fetched by DICOMweb stands in the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from starlette.requests import Request

from appliance.audit.trail import rows
from appliance.dicomweb import looks
from appliance.dicomweb.looks import Looks
from store_forward.database import reading
from tests.dicom_factory import uid
from tests.small_box import NOW, MakeBox, SmallBox, image
from tests.unit.appliance.dicomweb.stow import Web, path_of

OpenWeb = Callable[..., Web]


def told(box: SmallBox) -> list[tuple[str, str, list[str], str]]:
    """Kind, address, what and in which words, of every look."""
    with reading(box.engine) as connection:
        events = [row.event for row in rows(connection)]
    return [
        (
            event["event_id"][1],
            event["participants"][0]["address"],
            [one["identifier"] for one in event["subjects"]],
            event["detail"],
        )
        for event in events
        if event["participants"][0]["user_id"] == "DICOMweb"
    ]


def test_searches_and_retrievals(web: OpenWeb) -> None:
    """A study once, however many requests it takes; a search once for its words; what is not there not at all."""
    here, sent = web(), image(StudyInstanceUID=uid("s"), PatientID="P-7")
    here.box.receive(sent)
    for asked in ("Doe", "Doe", "Roe"):
        here.search("/studies", PatientName=asked)
    for path in (f"/studies/{uid('s')}", path_of(sent), f"{path_of(sent)}/metadata", f"{path_of(sent)}/frames/1"):
        assert here.get(path).status_code == 200
    assert here.get("/studies/9.9").status_code == 404
    assert told(here.box) == [
        *[("Query", "testclient", [], "QIDO-RS, 0 answers")] * 2,
        ("DICOM Instances Transferred", "testclient", [uid("s"), "P-7"], ""),
    ]


@dataclass
class Clock:
    """Time as the test sets it, epoch s."""

    now: float = NOW

    def __call__(self) -> float:
        """Now."""
        return self.now


def _asking(address: str) -> Request:
    scope = {"type": "http", "path": "/", "query_string": b"", "headers": [], "server": ("box", 80)}
    return Request(scope | {"client": (address, 5000)})


@pytest.mark.anyio
async def test_after_ten_minutes_it_is_another_look(make_box: MakeBox) -> None:
    """Counted from the last request; another client's is its own."""
    box, clock = make_box(), Clock()
    here = Looks(box.engine, clock)
    for now, address in ((0.0, "a"), (500.0, "a"), (1099.0, "a"), (1100.0, "b"), (1699.0, "a")):
        clock.now = NOW + now
        await here.retrieved(_asking(address), "1.2")
    assert [address for _, address, _, _ in told(box)] == ["a", "b", "a"]


@pytest.mark.anyio
async def test_it_does_not_remember_without_end(make_box: MakeBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for longest ago is forgotten first, and then noted once more."""
    monkeypatch.setattr(looks, "_MOST_REMEMBERED", 2)
    box = make_box()
    here = Looks(box.engine, lambda: NOW)
    for study in ("1", "2", "1", "3", "1", "2"):
        await here.retrieved(_asking("a"), study)
    assert [what for _, _, (what,), _ in told(box)] == ["1", "2", "3", "2"]
