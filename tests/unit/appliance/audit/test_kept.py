"""What the box's own work leaves in the audit trail."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from appliance.audit.strangers import Strangers
from appliance.audit.trail import Head, rows, verify
from appliance.people.roles import Role
from appliance.people.users import add_user, lock_user, set_role
from store_forward.database import reading, writing
from tests.dicom_factory import uid
from tests.small_box import NOW, SCANNER, MakeBox, image


def trail(engine: Engine) -> list[dict[str, Any]]:
    """Every event, of a chain that holds."""
    with reading(engine) as connection:
        assert isinstance(verify(connection), Head)
        return [row.event for row in rows(connection)]


def told(engine: Engine) -> list[tuple[str, list[str], list[str], str]]:
    """Kind, who, what and detail of every event."""
    return [
        (
            (event["event_type"] or event["event_id"])[1],
            [one["user_id"] for one in event["participants"]],
            [one["identifier"] for one in event["subjects"]],
            event["detail"],
        )
        for event in trail(engine)
    ]


def test_a_received_study_names_its_sender_and_patient(make_box: MakeBox) -> None:
    """Once for an association, with how many there are now."""
    box = make_box()
    for place in range(2):
        box.admit(image(seed=str(place), StudyInstanceUID=uid("one"), PatientID="P-7"))
    box.admission.released({uid("one")}, SCANNER, NOW, "10.0.0.9")
    assert told(box.engine) == [
        ("DICOM Instances Transferred", [SCANNER, "scanside"], [uid("one"), "P-7"], "2 instances in all")
    ]
    assert trail(box.engine)[0]["participants"][0]["address"] == "10.0.0.9"


def test_users_and_their_roles(make_box: MakeBox) -> None:
    """Who changed whom, in the transaction of the change."""
    engine = make_box().engine
    with writing(engine) as connection:
        add_user(connection, "ada", "a long enough password", Role.ADMINISTRATOR, True, "", NOW)
        add_user(connection, "eve", "another long password", Role.VIEWER, False, "ada", NOW)
        set_role(connection, "eve", Role.OPERATOR, False, "ada", NOW)
        lock_user(connection, "eve", "ada", NOW)
    assert [(kind, who, what) for kind, who, what, _ in told(engine)] == [
        ("Security Roles Changed", ["console"], ["ada"]),
        ("Security Roles Changed", ["ada"], ["eve"]),
        ("Security Roles Changed", ["ada"], ["eve"]),
        ("User security Attributes Changed", ["ada"], ["eve"]),
    ]


def test_a_refused_caller_is_noted_but_cannot_fill_the_disk(make_box: MakeBox) -> None:
    """The same address and cause once a minute, and no more than sixty in all."""
    engine, now = make_box().engine, [0.0]
    strangers = Strangers(engine, lambda: now[0])
    for _ in range(5):
        strangers.note("EVIL", "10.6.6.6", "calling_ae_title_unknown", NOW)
    assert told(engine) == [("Node Authentication", ["EVIL", "scanside"], [], "calling_ae_title_unknown")]
    assert trail(engine)[0]["outcome"] == 4
    for place in range(200):
        strangers.note("EVIL", f"10.6.7.{place}", "calling_ae_title_unknown", NOW)
    assert len(told(engine)) == 60
    now[0] = 61.0
    strangers.note("EVIL", "10.6.6.6", "calling_ae_title_unknown", NOW)
    assert len(told(engine)) == 61
