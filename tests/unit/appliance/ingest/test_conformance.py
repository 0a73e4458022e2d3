"""The conformance statement against a receiver that runs: what it promises is accepted, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import AE, build_role
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.docs.blocks import ROOT, block
from tests.listening_box import Listen, Scanner
from tests.small_box import SmallBox

_STATEMENT = ROOT / "docs/reference/conformance-statement.md"
_MOST_CONTEXTS = 128  # of one association (PS3.8 9.3.2.2)
_UID = re.compile(r"`([0-9.]+)`")


@pytest.fixture(scope="module")
def text() -> str:
    """The statement as a reader has it."""
    return _STATEMENT.read_text(encoding="utf-8")


@pytest.fixture
def scanner(box: SmallBox, listen: Listen) -> Scanner:
    """Somebody who may ask for everything."""
    return listen(box)


def _uids(text: str, table: str) -> list[str]:
    return [found.group(1) for line in block(text, "table", table).splitlines() if (found := _UID.search(line))]


def _as_scp(text: str) -> set[str]:
    rows = [line.split("|") for line in block(text, "table", "services").splitlines()]
    named = {str(found.group(1)) for row in rows if (found := _UID.search(row[2])) and row[4].strip() == "yes"}
    return named | set(_uids(text, "sop-classes"))


def _portions(contexts: list[PresentationContext]) -> Iterator[list[PresentationContext]]:
    for start in range(0, len(contexts), _MOST_CONTEXTS):
        yield contexts[start : start + _MOST_CONTEXTS]


def _accepted(scanner: Scanner, contexts: list[PresentationContext]) -> set[tuple[str, str]]:
    """The SOP class and transfer syntax of each proposed context that was accepted."""
    found = set()
    for portion in _portions(contexts):
        ae = AE(ae_title=scanner.ae_title)
        association = ae.associate("127.0.0.1", scanner.port, portion)
        assert association.is_established
        found |= {(str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in association.accepted_contexts}
        association.release()
    return found


def test_every_sop_class_it_names_is_accepted_and_no_other(text: str, scanner: Scanner) -> None:
    """Proposed are all of PS3.6 table A-1: query, retrieval, worklists and print among them."""
    known = {uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class"} | _as_scp(text)
    proposed = [build_context(uid, ImplicitVRLittleEndian) for uid in sorted(known)]
    assert {uid for uid, _ in _accepted(scanner, proposed)} == _as_scp(text)


def test_every_transfer_syntax_it_names_is_accepted(text: str, scanner: Scanner) -> None:
    """For a storage SOP class from the middle of the list."""
    sop_classes, syntaxes = _uids(text, "sop-classes"), _uids(text, "transfer-syntaxes")
    sop_class = sop_classes[len(sop_classes) // 2]
    proposed = [build_context(sop_class, UID(syntax)) for syntax in syntaxes]
    assert _accepted(scanner, proposed) == {(sop_class, syntax) for syntax in syntaxes}


def test_the_role_of_scp_is_not_given_away(scanner: Scanner) -> None:
    """Who is no archive of ours may ask for commitment, and may not report."""
    ae = AE(ae_title=scanner.ae_title)
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    association = ae.associate("127.0.0.1", scanner.port, ext_neg=[role])
    (context,) = association.accepted_contexts
    association.release()
    assert (context.as_scu, context.as_scp) == (True, False)
