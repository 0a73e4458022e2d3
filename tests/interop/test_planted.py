"""Planted patients, many of them: nothing is left, and dciodvfy has no new Error to report on a copy.

PATIENTS says how many; each has one instance of every SOP class.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.privacy.compress import part_10
from appliance.privacy.deidentify import deidentify
from appliance.privacy.identifiers import identifiers_of
from appliance.privacy.outgoing import require_nothing_of
from appliance.privacy.policy import Option, Policy
from tests.dicom_factory import as_bytes
from tests.interop.test_dciodvfy import errors
from tests.planted import DOCUMENTS, IMAGES, Patient, corpus, planted_document, planted_image

pytestmark = pytest.mark.interop
KEY = bytes(range(32))
PATIENTS = int(os.environ.get("PATIENTS", "2"))
POLICY = Policy("basic", frozenset(Option) - {Option.RETAIN_UIDS, Option.RETAIN_DEVICE_IDENTITY}, captures=True)


@pytest.mark.timeout(3600)
def test_nothing_planted_is_left() -> None:
    """Every trace of every patient is searched for in the bytes and in the elements of each copy."""
    instances, left = 0, []
    for sop_class_uid, patient, before in corpus(PATIENTS):
        file = part_10(deidentify(before, KEY, POLICY))
        require_nothing_of(identifiers_of(before, POLICY), file)
        shown = str(dcmread(BytesIO(file))).lower() + file.lower().decode("latin-1")
        left += [(sop_class_uid, trace) for trace in patient.traces if trace in shown]
        instances += 1
    print(f"{instances} instances of {len(IMAGES) + len(DOCUMENTS)} SOP classes, {len(left)} identifiers left")  # noqa: T201
    assert left == []


@pytest.mark.parametrize("sop_class_uid", [*IMAGES, *DOCUMENTS])
@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        Policy("basic", POLICY.options & {Option.CLEAN_PIXEL_DATA, Option.CLEAN_STRUCTURED_CONTENT}, captures=True),
    ],
)
def test_no_new_error(sop_class_uid: str, policy: Policy, tmp_path: Path) -> None:
    """Whatever dciodvfy reports on a copy it reports on the original, too."""
    make = planted_image if sop_class_uid in IMAGES else planted_document
    before = make(sop_class_uid, Patient(1))
    known = _kinds(errors(as_bytes(before), tmp_path))
    found = _kinds(errors(part_10(deidentify(before, KEY, policy)), tmp_path))
    assert not found - known


def _kinds(said: list[str]) -> Counter[str]:
    """The errors without the values and places in them."""
    return Counter(re.sub(r"[<\[(].*?[>\])]|[0-9.]+", "", line) for line in said)
