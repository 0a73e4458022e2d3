"""What the de-identification does, by the code: options, kinds of instance, what is kept, what the table says."""

from __future__ import annotations

from collections import Counter

from pydicom.uid import UID

from appliance.privacy.allow_list import ELEMENTS, EMPTIED, PSEUDONYMS, SEQUENCES, UIDS
from appliance.privacy.kinds import ACQUIRED, CAPTURES, PRESENTATIONS, REPORTS
from appliance.privacy.policy import BASIC_PROFILE, METHOD_CODES, Option
from appliance.privacy.profile_table import rows
from appliance.privacy.safe_private import safe_rows
from tests.docs.markdown import table

_NOT_OFFERED = (
    ("Clean Recognizable Visual Features", "113102"),
    ("Retain Longitudinal Temporal Information Full Dates", "113106"),
    ("Retain Institution Identity", "113112"),
)
_DONE = {
    Option.CLEAN_PIXEL_DATA: "words are found by a network on the box and blanked; who is not sure does not send",
    Option.CLEAN_DESCRIPTORS: "text is reduced to known words of anatomy and technique",
    Option.CLEAN_STRUCTURED_CONTENT: "numbers, known codes and references stay; text and names become placeholders",
    Option.CLEAN_GRAPHICS: "drawn lines stay, their text does not; overlays and curves go whole",
    Option.RETAIN_MODIFIED_DATES: "all dates of a patient move back by the same 400 to 3,650 days; times stay",
    Option.RETAIN_PATIENT_CHARACTERISTICS: "sex, size, weight and the like; an age over 89 is `090Y`",
    Option.RETAIN_DEVICE_IDENTITY: "what the table names",
    Option.RETAIN_UIDS: "what the table names",
    Option.RETAIN_SAFE_PRIVATE: f"{len(safe_rows())} elements of Table E.3.10-1 that hold numbers",
}


def options() -> str:
    """The profile and its options, with their codes in CID 7050."""
    cells = [("Basic Profile", "–", BASIC_PROFILE[0], 'with `profile = "basic"`')]
    cells += [
        (METHOD_CODES[one][1].removesuffix(" Option"), f"`{one}`", METHOD_CODES[one][0], _DONE[one]) for one in Option
    ]
    cells += [(name, "–", code, "not offered") for name, code in _NOT_OFFERED]
    return table(("Profile or option", "In `options`", "Code (DCM)", "What is done"), iter(cells))


def kinds() -> str:
    """Which instances may go at all."""
    groups = (
        (ACQUIRED, "always"),
        (CAPTURES, "with `captures = true`, once words are blanked"),
        (REPORTS, "with `basic` and `clean_structured_content`"),
        (PRESENTATIONS, "with `basic`"),
    )
    cells = ((UID(uid).name, f"`{uid}`", when) for uids, when in groups for uid in sorted(uids))
    return table(("SOP class", "UID", "May go"), cells)


def fates() -> str:
    """How many elements the table treats in which way, and how many of these each option changes."""
    counted = Counter(row.basic for row in rows().values())
    cells = [(f"`{code}`", "Basic Profile", str(count)) for code, count in sorted(counted.items())]
    for option in Option:
        changed = Counter(row.options[option] for row in rows().values() if option in row.options)
        cells += [(f"`{code}`", f"`{option}`", str(count)) for code, count in sorted(changed.items())]
    return table(("Action", "By", "Rows of Table E.1-1"), iter(cells))


def allow_list() -> str:
    """Every element that the allow-list lets through, by what becomes of it."""
    groups = (
        ("kept, if its value is a known word or a number in range", (*ELEMENTS, *SEQUENCES)),
        ("replaced by keyed UIDs", UIDS),
        ("replaced by the pseudonym", PSEUDONYMS),
        ("emptied", EMPTIED),
        ("made from the header", ("PatientAge", "PatientSpeciesDescription")),
    )
    return table(("Becomes", "Elements"), ((what, ", ".join(f"`{one}`" for one in names)) for what, names in groups))
