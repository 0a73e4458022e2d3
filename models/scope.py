"""What a pack was made for. An image outside of it is refused with a reason before its pixels are touched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.image_facts import ImageFacts
from models.reasons import Reason

_HUMAN = frozenset({"", "HUMAN", "HOMO SAPIENS", "HUMAN, HOMO SAPIENS"})

#: The order of the questions; a pack that refuses at a later one fits better.
RELEVANCE: tuple[Reason, ...] = (
    Reason.wrong_modality,
    Reason.not_human,
    Reason.wrong_body_part,
    Reason.wrong_view,
    Reason.age_unknown,
    Reason.age_out_of_range,
    Reason.too_small,
    Reason.wrong_photometric_interpretation,
)


CodeString = Annotated[str, Field(pattern=r"^[A-Z0-9 _]{1,16}$")]


class Scope(BaseModel):
    """Closed lists of code strings (PS3.3 C.7.3.1, C.8.11); an empty list or None asks nothing.

    ``age_years`` is the youngest and the oldest age, both included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    modalities: tuple[CodeString, ...] = Field(min_length=1)
    body_parts: tuple[CodeString, ...] = ()
    views: tuple[CodeString, ...] = ()
    age_years: tuple[float, float] | None = None
    min_side_px: int = Field(default=0, ge=0)
    photometric_interpretations: tuple[CodeString, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Scope:
        if self.age_years is not None and not 0.0 <= self.age_years[0] <= self.age_years[1] <= 200.0:
            raise ValueError("age_years must be [youngest, oldest] in years")
        return self


def refusal(scope: Scope, facts: ImageFacts) -> Reason | None:
    """The first question of :data:`RELEVANCE` that the image fails; None when it is in scope.

    An unknown value is outside: a pack bound to children does not read a patient whose age nobody wrote down.
    """
    age, ages = facts.patient_age_years, scope.age_years
    failed = {
        Reason.wrong_modality: facts.modality not in scope.modalities,
        Reason.not_human: facts.patient_species not in _HUMAN,
        Reason.wrong_body_part: _outside(facts.body_part_examined, scope.body_parts),
        Reason.wrong_view: _outside(facts.view_position, scope.views),
        Reason.age_unknown: ages is not None and age is None,
        Reason.age_out_of_range: ages is not None and age is not None and not _within(age, ages),
        Reason.too_small: min(facts.rows, facts.columns) < scope.min_side_px,
        Reason.wrong_photometric_interpretation: _outside(
            facts.photometric_interpretation, scope.photometric_interpretations
        ),
    }
    return next((reason for reason in RELEVANCE if failed[reason]), None)


def closest(refusals: Sequence[Reason]) -> Reason:
    """Of the refusals of several packs, the one that says most: that of the pack that fits best."""
    return max(refusals, key=RELEVANCE.index)


def _outside(value: str, allowed: Sequence[str]) -> bool:
    return bool(allowed) and value not in allowed


def _within(age: float, ages: tuple[float, float]) -> bool:
    """Whole years count: with ``(1, 5)`` a child of five years and eleven months is inside, as on "005Y"."""
    return ages[0] <= age and math.floor(age) <= ages[1]
