"""The order in which a viewer goes through a study."""

from __future__ import annotations

from typing import Any

from appliance.web.series import series_of


def frame(number: float | None, z: float | None = None, series: str = "1.1", **other: Any) -> dict[str, Any]:
    """A frame as ``described`` gives it; ``z`` is where it lies, mm."""
    return {
        "series_instance_uid": series,
        "series_number": 1.0,
        "series_description": "",
        "modality": "CT",
        "sop_instance_uid": f"1.2.{number}",
        "frame": 1,
        "instance_number": number,
        "rows": 4,
        "columns": 4,
        "spacing_mm": [1.0, 1.0],
        "spacing_named": "PixelSpacing",
        "position": None if z is None else [0.0, 0.0, z],
        "orientation": None if z is None else [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    } | other


def numbers(made: dict[str, Any]) -> list[float]:
    """The Instance Numbers in the order shown."""
    return [one["instance_number"] for one in made["images"]]


def test_slices_go_by_their_place() -> None:
    """Not by their numbers."""
    (made,) = series_of([frame(1, 4.0), frame(2, 0.0), frame(3, 2.0)])
    assert (made["order"], numbers(made), made["note"]) == ("geometry", [2, 3, 1], "")


def test_what_is_missing_or_twice_is_said_and_shown() -> None:
    """Nothing is hidden."""
    (made,) = series_of([frame(n, z) for n, z in ((1, 0.0), (2, 2.0), (3, 2.0), (4, 4.0), (5, 8.0))])
    assert numbers(made) == [1, 2, 3, 4, 5]
    assert made["note"] == "1 slice seems to be missing. 1 slice is there twice."


def test_without_a_place_it_is_the_number() -> None:
    """Films, and slices with a localiser among them, of which it is said."""
    (made,) = series_of([frame(2), frame(1), frame(None)])
    assert (made["order"], [one["instance_number"] for one in made["images"]]) == ("number", [1, 2, None])
    turned = frame(2, 0.0, orientation=[1.0, 0.0, 0.0, 0.0, 0.0, -1.0])
    (made,) = series_of([frame(3, 1.0), turned, frame(1, 2.0)])
    assert (made["order"], numbers(made)) == ("number", [1, 2, 3])
    assert "not parallel" in made["note"]


def test_a_film_of_one_place_keeps_its_order() -> None:
    """All of its frames lie at one place."""
    frames = [frame(1, 0.0, frame=number) for number in (2, 1, 3)]
    (made,) = series_of(frames)
    assert (made["order"], [one["frame"] for one in made["images"]]) == ("number", [1, 2, 3])


def test_series_go_by_their_number() -> None:
    """Those without one come last."""
    made = series_of([frame(1, series="c", series_number=None), frame(1, series="b", series_number=2.0), frame(1)])
    assert [one["uid"] for one in made] == ["1.1", "b", "c"]
