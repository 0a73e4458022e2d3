"""``scanside demo``: a dozen studies, an outage in the middle, and the account of what became of each."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from appliance.demo.stage import Stage, StageFailed, free_port, listening
from appliance.demo.studies import CHEST, DemoImage, studies_of_folder, synthetic_studies
from models.decision import Decision

console = Console(stderr=True)
_PAGE_PORT = 8080


@dataclass(frozen=True)
class Account:
    """The demo's last line, by the command-line contract."""

    studies: int
    routine: int
    urgent: int
    escalated: int
    not_triaged: int
    answered: int
    lost: int
    duplicated: int
    seconds: float


def play(images: Path | None, *, once: bool, as_json: bool, page_port: int | None = None) -> bool:
    """Run the demonstration; True when nothing was lost or doubled and every escalation was answered."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # however it is ended, the stage is cleared
    port = page_port or (free_port() if once or listening(_PAGE_PORT) else _PAGE_PORT)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scanside-demo-") as scratch:
        folder = Path(scratch)
        pictures = folder / "images"
        pictures.mkdir()
        source = studies_of_folder(images, pictures) if images else synthetic_studies(pictures)
        if images:
            console.print(f"DICOM files go as they are; PNG and JPEG go under this header, true or not: {CHEST}")
        try:
            with Stage(folder, port) as stage:
                account = _perform(stage, list(source), started)
                _tell(stage, account, as_json)
                if not once:
                    _stay(stage)
        except StageFailed as failed:
            log = (folder / "log.txt").read_text(errors="replace").splitlines()[-15:]
            console.print(f"[red]{failed}[/red]", *log, sep="\n")
            return False
    return account.lost == account.duplicated == 0 and account.answered >= account.escalated


def _perform(stage: Stage, images: list[DemoImage], started: float) -> Account:
    console.print(f"box, cloud and archive are up; status page: [bold]http://127.0.0.1:{stage.page_port}/[/bold]")
    half = (len(images) + 1) // 2
    acknowledged = _send(stage, images[:half], "sending over C-STORE")
    _await_decisions(stage, images[:half])
    stage.link.cut()
    console.print("[yellow]the link to the cloud is cut[/yellow]; the box goes on")
    acknowledged += _send(stage, images[half:], "sending during the outage")
    _await_decisions(stage, images)
    waiting = sum(1 for d in stage.outbox() if d.destination == "cloud" and d.state != "delivered")
    console.print(f"all decided without the cloud; {waiting} escalations wait in the outbox")
    stage.link.restore()
    console.print("[green]the link is back[/green]; the urgent go first")
    stage.wait(lambda: set(stage.states()) == {"settled"}, 300.0, "every study to settle")
    return _account(stage, acknowledged, time.monotonic() - started)


def _send(stage: Stage, images: list[DemoImage], what: str) -> list[DemoImage]:
    acknowledged = []
    for number, image in enumerate(images, 1):
        if stage.send(image.path):
            acknowledged.append(image)
        console.print(f"  {what}: {number}/{len(images)}", end="\r" if console.is_terminal else "\n")
    console.print(f"  {len(acknowledged)} of {len(images)} acknowledged        ")
    return acknowledged


def _await_decisions(stage: Stage, images: list[DemoImage]) -> None:
    expected = {image.study_instance_uid for image in images}

    def decided() -> bool:
        rows = [row for row in stage.rows() if row.study_instance_uid in expected]
        return len(rows) == len(expected) and all(row.state in ("decided", "settled") for row in rows)

    stage.wait(decided, 300.0, "every study to be decided")


def _account(stage: Stage, acknowledged: list[DemoImage], seconds: float) -> Account:
    rows = stage.rows()
    decisions = Counter(row.decision for row in rows)
    return Account(
        studies=len(rows),
        routine=decisions[Decision.routine.value],
        urgent=decisions[Decision.urgent.value],
        escalated=decisions[Decision.escalate.value],
        not_triaged=decisions[Decision.not_triaged.value],
        answered=sum(1 for row in rows if row.answered_at is not None),
        lost=count_lost(stage, acknowledged),
        duplicated=count_duplicated(stage),
        seconds=round(seconds, 1),
    )


def count_lost(stage: Stage, acknowledged: list[DemoImage]) -> int:
    """What somebody was told is safe and is not: at the box, at the cloud, at the archive."""
    held = stage.held()
    spool = stage.home.spool
    at_box = sum(
        1 for i in acknowledged if i.sop_instance_uid not in held or not spool.verify(held[i.sop_instance_uid])
    )
    answered = {answer.case for answer in stage.answers()}
    delivered = [d for d in stage.outbox() if d.state == "delivered"]
    at_cloud = sum(1 for d in delivered if d.destination == "cloud" and d.payload not in answered)
    at_archive = sum(1 for d in delivered if d.destination == "archive") - len(stage.archive.classes)
    return at_box + at_cloud + max(at_archive, 0)


def count_duplicated(stage: Stage) -> int:
    """Second answers to one case, and more documents in the archive than were ever asked for."""
    answers = Counter(answer.case for answer in stage.answers())
    twice = sum(count - 1 for count in answers.values())
    asked = Counter(d.subject for d in stage.outbox() if d.destination == "archive")
    surplus = sum(max(stage.archive.studies[study] - asked[study], 0) for study in stage.archive.studies)
    return twice + surplus


def _tell(stage: Stage, account: Account, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(account)) + "\n")
        sys.stdout.flush()
        return
    for row in stage.rows():
        said = f"{row.decision}" + (f" ({row.reason})" if row.reason else "")
        answer = f" → cloud: {row.answer_decision}, {row.agreement or 'no comparison'}" if row.answered_at else ""
        console.print(f"  {row.patient_name:<22} {said}{answer}")
    console.print(" ".join(f"{name} {value}" for name, value in asdict(account).items()))
    console.print("Research use only, not for diagnosis.")


def _stay(stage: Stage) -> None:
    console.print(f"look around at [bold]http://127.0.0.1:{stage.page_port}/[/bold]; Ctrl-C ends the demo")
    try:
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        console.print("ending")
