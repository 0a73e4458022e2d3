"""Keyed stand-ins for identifiers, UIDs and dates: the same key gives the same ones for ever, no key gives none."""

from __future__ import annotations

import base64
import hmac
import re
from datetime import date, timedelta
from typing import Final

from appliance.results.reference import uid_from_digest

#: Dates move back by a whole number of days in this range, the same for all of a patient's.
LEAST_SHIFT_DAYS: Final = 400
MOST_SHIFT_DAYS: Final = 3650
_STANDARD_UID = "1.2.840.10008."


def patient_pseudonym(patient_id: str, study_instance_uid: str, key: bytes) -> str:
    """The stand-in for Patient ID, or for the study where there is none: patients are never merged."""
    return "PSN-" + base64.b32encode(_keyed(key, _subject(patient_id, study_instance_uid)))[:16].decode()


def pseudonymous_uid(original: str, key: bytes) -> str:
    """The keyed ``2.25.`` stand-in for a UID: equal UIDs stay equal, so a study stays together."""
    return uid_from_digest(_keyed(key, f"uid\0{original}"))


def instance_uid(original: str, key: bytes) -> str:
    """As pseudonymous_uid, but a UID of the standard itself stays, because it names no instance."""
    return original if original.startswith(_STANDARD_UID) or not original else pseudonymous_uid(original, key)


def shift_days(patient_id: str, study_instance_uid: str, key: bytes) -> int:
    """By how many days the patient's dates move back; intervals between them stay."""
    number = int.from_bytes(_keyed(key, f"days\0{_subject(patient_id, study_instance_uid)}")[:8], "big")
    return LEAST_SHIFT_DAYS + number % (MOST_SHIFT_DAYS - LEAST_SHIFT_DAYS + 1)


def shifted_date(text: str, days: int) -> str:
    """A DA or DT value, ``days`` earlier; its time of day stays. Empty when it holds no whole date."""
    found = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})((?:\d{2}){0,3}(?:\.\d{1,6})?)([+-]\d{4})?", text.strip())
    if found is None:
        return ""
    try:
        moved = date(int(found[1]), int(found[2]), int(found[3])) - timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d}".rjust(8, "0") + found[4] + (found[5] or "")


def _subject(patient_id: str, study_instance_uid: str) -> str:
    return f"patient\0{patient_id}" if patient_id else f"study\0{study_instance_uid}"


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
