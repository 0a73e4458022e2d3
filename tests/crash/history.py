"""What senders were told, compared with what box, cloud and PACS hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, select

from appliance.schema import answers, instances, messages, studies
from store_forward.cloud.cases import answer_feed, cases
from store_forward.database import open_database, reading
from store_forward.outbox import deliveries
from store_forward.protocol import Answer
from store_forward.spool import Spool
from tests.crash.small_site import SmallSite
from tests.dicom_factory import read_back


@dataclass
class Account:
    """Each entry says what it is; all three empty is the promise."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    stranded: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The figures."""
        return f"lost {len(self.lost)}, duplicated {len(self.duplicated)}, stranded {len(self.stranded)}"

    def add(self, other: Account) -> None:
        """Take another account's entries in."""
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.stranded += other.stranded

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing duplicated, nothing stranded."""
        return not (self.lost or self.duplicated or self.stranded)


def account_of(site: SmallSite) -> Account:
    """Everything that was ever sent to a site, once all should be settled."""
    account = Account()
    cloud_home = site.settings.home / "cloud"
    cloud = open_database(cloud_home / "cloud.sqlite")
    with reading(site.home.engine) as connection, reading(cloud) as far:
        _at_the_box(account, site, connection)
        rows = _rows(connection, deliveries)
        _at_the_archive(account, site, [row for row in rows if row.destination == "archive"])
        _at_the_cloud(account, [row for row in rows if row.destination == "cloud"], far, Spool(cloud_home / "spool", 0))
        _at_the_webhook(account, site, [row for row in rows if row.destination == "pager"])
        _messages(account, connection, far)
        account.stranded += [f"delivery {row.id} is {row.state}" for row in rows if row.state != "delivered"]
        account.stranded += [f"answer {row.seq} says not triaged" for row in _rows(connection, answers) if _silent(row)]
        account.stranded += [f"answer {row.seq} waits" for row in _rows(connection, answers) if row.applied_at is None]
        asked = Counter((row.subject, row.revision, row.kind, row.destination) for row in rows)
        account.duplicated += [f"asked twice: {what}" for what, times in asked.items() if times > 1]
    cloud.dispose()
    account.stranded += [f"upload {path.stem} is unfinished" for path in (cloud_home / "uploads").glob("*.json")]
    return account


def _silent(row: Any) -> bool:
    return bool(Answer.model_validate_json(row.body).decision == "not_triaged")


def _rows(connection: Any, table: Table) -> list[Any]:
    return list(connection.execute(select(table)))


def _at_the_box(account: Account, site: SmallSite, connection: Any) -> None:
    held = {row.sop_instance_uid: row.file_digest for row in _rows(connection, instances)}
    for sop_instance_uid in sorted(site.told.acknowledged()):
        if sop_instance_uid not in held or not site.home.spool.verify(held[sop_instance_uid]):
            account.lost.append(f"instance {sop_instance_uid} was acknowledged and is not held")
    never = set(site.told.statuses) - site.told.acknowledged()
    account.stranded += [f"instance {one} was never acknowledged" for one in sorted(never)]
    for study in _rows(connection, studies):
        if study.state != "settled":
            account.stranded.append(f"study {study.study_instance_uid} is {study.state}")
        if study.decision == "not_triaged":
            account.stranded.append(f"study {study.study_instance_uid} was not read: {study.reason}")
        if study.escalated and study.answered_at is None:
            account.stranded.append(f"study {study.study_instance_uid} has no answer")


def _at_the_archive(account: Account, site: SmallSite, asked: list[Any]) -> None:
    documents: dict[str, set[str]] = {}
    for row in asked:
        name = str(read_back(site.home.spool.file(row.payload)).SOPInstanceUID)
        documents.setdefault(row.subject, set()).add(name)
        if row.state == "delivered" and name not in site.archive.classes:
            account.lost.append(f"{row.kind} of delivery {row.id} is not in the archive")
    for study, names in documents.items():
        surplus = site.archive.studies[study] - len(names)
        account.duplicated += [f"study {study} has a document too many in the archive"] * max(surplus, 0)


def _at_the_webhook(account: Account, site: SmallSite, asked: list[Any]) -> None:
    """Each event at least once, and under one id however often."""
    ids: dict[bytes, set[str]] = {}
    for told in site.pager.told:
        ids.setdefault(told.whole, set()).add(told.headers["webhook-id"])
    for row in asked:
        seen = ids.pop(site.home.spool.file(row.payload).read_bytes(), set())
        if row.state == "delivered" and seen != {row.attributes["event_id"]}:
            account.lost.append(f"{row.kind} of delivery {row.id} came as {sorted(seen)}")
    account.duplicated += [f"the webhook was told what nobody decided: {sorted(one)}" for one in ids.values()]


def _messages(account: Account, connection: Any, far: Any) -> None:
    """What was sent has come and been judged, and the cloud knows how."""
    sent = {row.seq: row.outcome for row in _rows(far, answer_feed) if row.kind is not None}
    held = {row.seq: row.outcome for row in _rows(connection, messages)}
    account.lost += [f"message {seq} never came" for seq in sorted(sent.keys() - held.keys())]
    account.stranded += [f"message {seq} waits" for seq, outcome in held.items() if outcome is None]
    account.stranded += [f"outcome of message {seq} is not told" for seq in held if sent.get(seq) != held[seq]]


def _at_the_cloud(account: Account, asked: list[Any], far: Any, spool: Spool) -> None:
    held = {row.digest: row.state for row in _rows(far, cases)}
    for row in asked:
        if row.state == "delivered" and not (row.payload in held and spool.verify(row.payload)):
            account.lost.append(f"escalation of delivery {row.id} is not at the cloud")
    account.duplicated += [f"case {one} was never asked for" for one in held.keys() - {row.payload for row in asked}]
    account.stranded += [f"case {digest} is {state}" for digest, state in held.items() if state != "answered"]
    fed = Counter((row.box, row.digest) for row in _rows(far, answer_feed) if row.digest is not None)
    account.duplicated += [f"case {what} was answered twice" for what, times in fed.items() if times > 1]
