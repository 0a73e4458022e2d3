"""What counts as an image of the patient."""

from __future__ import annotations

import pytest

from models.image_facts import ImageFacts
from models.non_images import is_no_image

STORAGE = "1.2.840.10008.5.1.4.1.1."


@pytest.mark.parametrize(
    "sop_class", [STORAGE + "88.11", STORAGE + "88.59", STORAGE + "11.1", STORAGE + "104.1", STORAGE + "66.4"]
)
def test_reports_notes_states_documents_and_segmentations_are_none(sop_class: str) -> None:
    """SR, KO, PR, PDF and SEG, even with pixels."""
    assert is_no_image(ImageFacts(sop_class_uid=sop_class, rows=10, columns=10), has_pixels=True)


def test_a_radiograph_without_its_pixels_is_still_an_image() -> None:
    """Something was lost and must not pass unseen; the same for an object that does not say what it is."""
    assert not is_no_image(ImageFacts(sop_class_uid=STORAGE + "1.1"), has_pixels=False)
    assert not is_no_image(ImageFacts(), has_pixels=False)


def test_an_unknown_class_counts_by_what_it_holds() -> None:
    """A private object without size and pixels is none; with pixels it is."""
    private = ImageFacts(sop_class_uid="1.3.12.2.1107.5.9.1")
    assert is_no_image(private, has_pixels=False)
    assert not is_no_image(private, has_pixels=True)


def test_radiotherapy() -> None:
    """A dose grid and a plan are none, an RT image is one."""
    assert is_no_image(ImageFacts(sop_class_uid=STORAGE + "481.2", rows=9, columns=9), has_pixels=True)
    assert not is_no_image(ImageFacts(sop_class_uid=STORAGE + "481.1", rows=9, columns=9), has_pixels=True)
