"""``scanside status``: what the page shows, for scripts and terminals."""

from __future__ import annotations

from sqlalchemy import insert

from appliance.home import Home
from appliance.ingest.admit import Admission
from appliance.schema import messages, studies
from appliance.settings import Settings
from store_forward.database import writing
from tests.dicom_factory import as_bytes
from tests.small_box import NOW, image
from tests.unit.appliance.commands.conftest import Scanside


def test_an_empty_box(scanside: Scanside) -> None:
    """There is something to say before the first study."""
    ended = scanside("status", "--json")
    assert ended.status == 0
    (found,) = ended.rows
    assert {"notices", "worklist", "destinations", "devices", "storage", "sqlite_version"} <= set(found)
    assert "studies      none yet" in scanside("status").out


def test_studies_are_counted_and_nobody_is_named(scanside: Scanside, home: Home, settings: Settings) -> None:
    """Scripts and logs get numbers, never a patient."""
    temporary = home.spool.temporary()
    with home.spool.content(temporary).open("wb") as file:
        file.write(as_bytes(image()))
    Admission(home.engine, home.spool, settings.limits, settings.dicom).admit(temporary, "SCANNER", NOW)
    for ended in (scanside("status", "--json"), scanside("status")):
        assert ended.status == 0
        assert "Phantom" not in ended.out
        assert "P-0" not in ended.out
    assert "none yet" not in scanside("status").out


def test_agreement_is_counted_for_scripts_and_people(scanside: Scanside, home: Home) -> None:
    """As JSON with its interval, and as one line for each pack; provisional ones are named."""
    assert scanside("status", "--json").rows[0]["agreement"] == {"studies_sent": 0, "packs": [], "scanners": []}
    common = {"state": "decided", "completes_at": NOW, "calling_ae_title": "NORTH", "first_received_at": NOW}
    common |= {"last_received_at": NOW, "decision": "escalate", "escalated": True, "pack": "chest"}
    with writing(home.engine) as connection:
        for uid, agreement in (("1", "agrees"), ("2", None)):
            answer = "urgent" if agreement else None
            row = {"study_instance_uid": uid, "agreement": agreement, "answer_decision": answer}
            connection.execute(insert(studies).values(**common, pack_version="1.0.0", **row))
    (tally,) = scanside("status", "--json").rows[0]["agreement"]["scanners"]
    assert (tally["name"], tally["agreed"], tally["unanswered"], tally["high"]) == ("NORTH", 1, 1, 1.0)
    assert "chest 1.0.0: full model agreed 1, disagreed 0, took no side 0, provisional 1" in scanside("status").out


def test_a_notice_is_shown_until_it_is_acknowledged(scanside: Scanside, home: Home) -> None:
    """With the command that acknowledges it; another number changes nothing."""
    row = {"seq": 4, "kind": "notice", "body": {"level": "info", "text": "hello"}, "outcome": "shown"}
    with writing(home.engine) as connection:
        connection.execute(insert(messages).values(**row, sent_at=NOW, received_at=NOW, outcome_at=NOW))
    line = "· From the cloud's operator: hello (scanside status --acknowledge 4)"
    assert line in scanside("status").out
    wrong = scanside("status", "--acknowledge", "5")
    assert (wrong.status, "there is no notice 5" in wrong.err) == (1, True)
    assert line not in scanside("status", "--acknowledge", "4").out
    assert line not in scanside("status").out
