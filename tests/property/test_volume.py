"""Slices in any order, some missing, some twice: the order is found, and so is what is wrong."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.volume import Gap, Place, stacked

AXES = ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), (0.6, 0.8, 0.0, 0.0, 0.0, 1.0))


def place(number: int, distance_mm: float, axes: tuple[float, ...]) -> Place:
    """Slice ``number`` along the normal of ``axes``."""
    (a, b, c), (d, e, f) = axes[:3], axes[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return Place(tuple(40.0 + number * distance_mm * part for part in normal), axes, (0.7, 0.7), (64, 48))


@given(
    present=st.sets(st.integers(-40, 40), max_size=60),
    twice=st.lists(st.integers(0, 19), max_size=5),
    distance_mm=st.floats(0.2, 12.0),
    axes=st.sampled_from(AXES),
    data=st.data(),
)
def test_order_gaps_and_duplicates(
    present: set[int], twice: list[int], distance_mm: float, axes: tuple[float, ...], data: st.DataObject
) -> None:
    """Behind those of the dice there is a row without a hole, so that the usual distance is that of neighbours."""
    numbers = sorted(present | set(range(50, 120)))
    doubled = [numbers[at] for at in twice]
    given_order = data.draw(st.permutations(numbers + doubled))
    stack = stacked([place(number, distance_mm, axes) for number in given_order])
    assert [given_order[at] for at in stack.order] == numbers
    assert sorted(given_order[out] for out, _ in stack.duplicates) == sorted(doubled)
    assert all(given_order[out] == given_order[kept] for out, kept in stack.duplicates)
    steps = [after - before for before, after in pairwise(numbers)]
    assert stack.gaps == tuple(Gap(at, step - 1) for at, step in enumerate(steps) if step > 1)
    assert abs(stack.distance_mm - distance_mm) < 1e-6 * distance_mm
    assert not stack.uneven
    assert not stack.tilted
