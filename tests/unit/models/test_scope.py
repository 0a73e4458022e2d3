"""What a pack was made for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from models.image_facts import ImageFacts
from models.reasons import Reason
from models.scope import RELEVANCE, Scope, closest, refusal

CHILD_CHEST = Scope(
    modalities=("DX", "CR"),
    body_parts=("CHEST",),
    views=("AP",),
    age_years=(1, 5),
    min_side_px=200,
    photometric_interpretations=("MONOCHROME1", "MONOCHROME2"),
)
FITS = ImageFacts(
    modality="DX",
    body_part_examined="CHEST",
    view_position="AP",
    patient_age_years=4.0,
    rows=500,
    columns=400,
    photometric_interpretation="MONOCHROME2",
)


def test_a_fitting_image_is_in_scope() -> None:
    """No refusal."""
    assert refusal(CHILD_CHEST, FITS) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"modality": "CT"}, Reason.wrong_modality),
        ({"modality": ""}, Reason.wrong_modality),
        ({"patient_species": "CANINE"}, Reason.not_human),
        ({"body_part_examined": "HIP"}, Reason.wrong_body_part),
        ({"body_part_examined": ""}, Reason.wrong_body_part),
        ({"view_position": "LL"}, Reason.wrong_view),
        ({"patient_age_years": None}, Reason.age_unknown),
        ({"patient_age_years": 0.9}, Reason.age_out_of_range),
        ({"patient_age_years": 6.0}, Reason.age_out_of_range),
        ({"columns": 199}, Reason.too_small),
        ({"photometric_interpretation": "RGB"}, Reason.wrong_photometric_interpretation),
    ],
)
def test_each_refusal(change: dict[str, object], reason: Reason) -> None:
    """Every question refuses with its own reason; an unknown value is outside."""
    assert refusal(CHILD_CHEST, replace(FITS, **change)) is reason  # type: ignore[arg-type]


def test_whole_years_count() -> None:
    """A child of five years and eleven months is five years old."""
    assert refusal(CHILD_CHEST, replace(FITS, patient_age_years=5.9)) is None


def test_modality_is_asked_first() -> None:
    """A CT of a dog's hip is refused for being a CT."""
    facts = ImageFacts(modality="CT", patient_species="CANINE", body_part_examined="HIP")
    assert refusal(CHILD_CHEST, facts) is Reason.wrong_modality


def test_the_closest_pack_gives_the_reason() -> None:
    """Of two refusals the later question wins, because that pack fits better."""
    assert closest([Reason.wrong_modality, Reason.age_out_of_range, Reason.wrong_view]) is Reason.age_out_of_range
    assert len(set(RELEVANCE)) == len(RELEVANCE)


def test_a_person_named_as_such_is_human() -> None:
    """Patient Species Description may say what everybody assumes."""
    assert refusal(CHILD_CHEST, replace(FITS, patient_species="HOMO SAPIENS")) is None


@pytest.mark.parametrize("ages", [(5, 1), (-1, 5), (1, 999)])
def test_nonsense_ages_are_refused(ages: tuple[float, float]) -> None:
    """The scope is checked when the manifest is read."""
    with pytest.raises(ValidationError, match="age_years"):
        Scope(modalities=("DX",), age_years=ages)
