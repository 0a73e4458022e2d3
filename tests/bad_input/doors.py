"""The two ways into a box, and what a person may expect of it whatever comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.errors import ReceiveError
from appliance.ingest.watched_folder import WatchedFolder
from appliance.results.pacs import PacsLink
from appliance.schema import instances, set_aside
from models.reasons import EXPLANATIONS, Reason
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from tests.dicom_factory import as_bytes, uid
from tests.listening_box import Scanner
from tests.small_box import NOW, SmallBox, image


def store(scanner: Scanner, path: Path) -> str:
    """C-STORE a file's data set byte for byte, as it lies there; status and comment, or why there was none."""
    link = PacsLink("127.0.0.1", scanner.port, "SCANSIDE", "SCANNER", 20.0)
    try:
        return link.deliver(path)
    except (DeliveryRefused, DeliveryDeferred) as refused:
        return f"{refused.cause}: {refused.detail}"


def drop(box: SmallBox, folder: Path, content: bytes) -> bool:
    """Put a file into the watched folder and look; whether it was taken from there."""
    path = folder / "file"
    path.write_bytes(content)
    WatchedFolder(folder, 0.0, box.admission, box.spool).scan(NOW)
    return not path.exists()


def decide(box: SmallBox, study: str = uid("study 0")) -> Any:
    """Let a worker read everything that is complete, and return the study's row."""
    worker = box.worker()
    while worker.step(2 * NOW):  # whatever came in by the real clock is long complete
        pass
    return box.study(study)


def not_triaged(row: Any, reason: Reason) -> None:
    """The study is not_triaged for this reason, without a score, and a person is told what to do."""
    assert (row.decision, row.reason, row.pack) == ("not_triaged", reason.value, None)
    explanation = EXPLANATIONS[reason]
    assert ";" in explanation  # what it is; what to do


def kept(box: SmallBox, content: bytes) -> None:
    """The very data set is in the spool under a row that says why it is there."""
    rows = [row.file_digest for table in (instances, set_aside) for row in box.rows(table)]
    held = [box.spool.file(digest).read_bytes() for digest in rows if box.spool.verify(digest)]
    assert any(one.endswith(content[-64:]) for one in held)


def kept_aside(box: SmallBox, content: bytes, reason: str, detail: str) -> None:
    """It was refused, for this reason, and is kept."""
    (row,) = box.rows(set_aside)
    assert row.reason == reason
    assert detail in row.detail
    assert box.spool.verify(row.file_digest)
    kept(box, content)


def goes_on(box: SmallBox) -> None:
    """After all that, the next good image is taken and read."""
    try:
        study = box.receive(image("urgent", seed="the next"), now=NOW)
    except ReceiveError as refused:
        raise AssertionError("a good image was refused") from refused
    assert decide(box, study).decision == "urgent"


def torn(length: int) -> bytes:
    """The first ``length`` bytes of a good file; negative: all but the last."""
    return as_bytes(image())[:length]
