"""Which small network the box gets."""

from __future__ import annotations

import pytest

from models.recipes.candidates import chosen_of


def _row(coverage: float, worst: float, size: int, accuracy: float = 0.95) -> dict[str, float]:
    return {"int8_coverage": coverage, "int8_accuracy": accuracy, "worst_int8_auc": worst, "int8_bytes": size}


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([_row(0.86, 0.990, 4), _row(0.69, 0.995, 1)], 0),  # settles more
        ([_row(0.86, 0.995, 4), _row(0.855, 0.994, 1)], 1),  # as good, smaller
        ([_row(0.86, 0.995, 4), _row(0.855, 0.992, 1)], 0),  # as many, but worse where it is hard
        ([_row(0.0, 0.91, 4), _row(0.0, 0.90, 1)], 0),  # neither settles any
        ([_row(0.98, 0.995, 4, 0.98), _row(0.98, 0.995, 1, 0.965)], 0),  # names more of them rightly
        ([_row(0.98, 0.995, 4, 0.98), _row(0.98, 0.995, 1, 0.972)], 1),
        ([_row(0.5, 0.9, 1)], 0),
    ],
)
def test_first_what_it_settles_then_accuracy_then_the_worst_case_then_the_size(
    rows: list[dict[str, float]], chosen: int
) -> None:
    """In this order, each with its margin."""
    assert chosen_of(rows) == chosen
