"""A data set built anew from the allow-list: what is not known is not there."""

from __future__ import annotations

from typing import Any, Final

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from appliance.privacy.allow_list import ELEMENTS, EMPTIED, SEQUENCES, UIDS, Rule, lut_data_fits
from appliance.privacy.errors import UNREADABLE, CannotDeidentify
from appliance.privacy.kinds import text_of
from appliance.privacy.pseudonyms import pseudonymous_uid
from models.image_facts import facts_of

_HUMAN: Final = ("HUMAN", "HOMO SAPIENS", "HUMAN, HOMO SAPIENS")


def apply_allow_list(dataset: Dataset, key: bytes) -> Dataset:
    """What the allow-list lets through, with pseudonymous UIDs; no pixels and no patient yet.

    Raises CannotDeidentify: ``no_uid``, or ``unreadable_pixels`` for a malformed lookup table.
    """
    clean = Dataset()
    _copy(dataset, clean, ELEMENTS)
    _copy_tables(dataset, clean)
    for keyword in EMPTIED:
        clean.add_new(keyword, dictionary_VR(keyword), None)
    for keyword in UIDS:
        original = text_of(dataset, keyword)
        if not original:
            raise CannotDeidentify("no_uid", f"{keyword} is missing")
        setattr(clean, keyword, pseudonymous_uid(original, key))
    species = facts_of(dataset).patient_species
    if species:
        clean.PatientSpeciesDescription = "Homo sapiens" if species in _HUMAN else "Animal"
    return clean


def _copy(source: Dataset, target: Dataset, rules: dict[str, Rule]) -> None:
    for keyword, rule in rules.items():
        value = rule(_value(source, keyword))
        if value is not None:
            target.add(DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.IGNORE))


def _copy_tables(source: Dataset, target: Dataset) -> None:
    for keyword, rules in SEQUENCES.items():
        items = []
        for item in _value(source, keyword) or []:
            kept = Dataset()
            _copy(item, kept, rules)
            data = item.get("LUTData")
            if "LUTDescriptor" not in kept or data is None or not lut_data_fits(data):
                raise CannotDeidentify("unreadable_pixels", "a lookup table of the image is malformed")
            kept.add_new("LUTData", item["LUTData"].VR, data)
            items.append(kept)
        if items:
            setattr(target, keyword, items)


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except UNREADABLE:
        return None
