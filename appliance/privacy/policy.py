"""What a site has decided about de-identification: the profile, its options, and what they are called in a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from appliance.privacy.allow_list import METHOD as ALLOW_LIST_METHOD
from appliance.settings import Deidentification

Profile = Literal["known", "basic"]
EDITION: Final = "2026d"


class Option(StrEnum):
    """The options of PS3.15 Annex E that can be chosen; the two that keep full dates and institutions cannot."""

    CLEAN_PIXEL_DATA = "clean_pixel_data"
    CLEAN_DESCRIPTORS = "clean_descriptors"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    CLEAN_GRAPHICS = "clean_graphics"
    RETAIN_MODIFIED_DATES = "retain_modified_dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    RETAIN_DEVICE_IDENTITY = "retain_device_identity"
    RETAIN_UIDS = "retain_uids"
    RETAIN_SAFE_PRIVATE = "retain_safe_private"


#: Code Value and Code Meaning in DCM (PS3.16 CID 7050).
BASIC_PROFILE: Final = ("113100", "Basic Application Confidentiality Profile")
METHOD_CODES: Final[dict[Option, tuple[str, str]]] = {
    Option.CLEAN_PIXEL_DATA: ("113101", "Clean Pixel Data Option"),
    Option.CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_MODIFIED_DATES: ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """How instances are de-identified.

    ``known`` keeps only what the allow-list knows, sex and age among it; ``basic`` is the Basic Profile with
    ``options``. ``captures`` says whether kinds of image go that carry words as a rule, once these are blanked;
    ``most_frames`` how many frames of one image are searched for words.
    """

    profile: Profile = "known"
    options: frozenset[Option] = frozenset({Option.CLEAN_PIXEL_DATA})
    captures: bool = False
    most_frames: int = 64

    def has(self, option: Option) -> bool:
        """Whether an option was chosen."""
        return option in self.options

    @property
    def method(self) -> str:
        """For De-identification Method (0012,0063)."""
        return ALLOW_LIST_METHOD if self.profile == "known" else f"Scanside PS3.15 Annex E {EDITION}"

    def method_codes(self, pixels_cleaned: bool) -> list[tuple[str, str]]:
        """For De-identification Method Code Sequence (0012,0064): what was done, not what was asked for."""
        done = set(self.options) - {Option.CLEAN_PIXEL_DATA}
        if pixels_cleaned:
            done.add(Option.CLEAN_PIXEL_DATA)
        if self.profile == "known":  # it does more than the profile and two of its options, and keeps sex and age
            done &= {Option.CLEAN_PIXEL_DATA}
            done.add(Option.RETAIN_PATIENT_CHARACTERISTICS)
        return [BASIC_PROFILE, *(METHOD_CODES[option] for option in METHOD_CODES if option in done)]


def policy_of(settings: Deidentification) -> Policy:
    """The policy that a site's configuration asks for."""
    options = frozenset(Option(one) for one in settings.options)
    return Policy(settings.profile, options, settings.captures, settings.most_frames)


#: What a box does unless its configuration says otherwise.
DEFAULT_POLICY: Final = Policy()
