"""What findings and body parts are called in code."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.results.finding_codes import FINDINGS, finding_code, finding_sites
from models.registry import SHIPPED, Registry
from tests.dicom_factory import chest_radiograph


@pytest.mark.parametrize(
    ("name", "scheme", "value"),
    [
        ("pneumonia", "SCT", "233604007"),
        ("Pleural Effusion", "SCT", "60046008"),
        ("opacity", "99SCANSIDE", "OPACITY"),
    ],
)
def test_finding_codes(name: str, scheme: str, value: str) -> None:
    """Known findings have SNOMED codes, others a code of ours."""
    code = finding_code(name)
    assert (code.scheme_designator, code.value) == (scheme, value)


def test_a_long_finding_name_fits_a_code_value() -> None:
    """Sixteen characters are the limit of Code Value, and different names stay different."""
    one, two = finding_code("a very long finding name, left"), finding_code("a very long finding name, right")
    assert len(one.value) <= 16 and one.value != two.value


def test_every_finding_of_the_shipped_packs_is_known() -> None:
    """None of them needs a code that only we understand."""
    named = {finding for pack in Registry([SHIPPED]).packs("box") for finding in pack.manifest.findings}
    assert named <= FINDINGS.keys()


@pytest.mark.parametrize(
    ("header", "site", "side"),
    [
        ({"BodyPartExamined": "BREAST", "ImageLaterality": "R"}, "Breast", "Right"),
        ({"BodyPartExamined": "BRAIN", "ImageLaterality": None}, "Brain", None),
        ({"BodyPartExamined": "CHEST", "ImageLaterality": None, "Laterality": "L"}, "Chest", "Left"),
        ({"BodyPartExamined": "CHEST", "ImageLaterality": "U"}, "Chest", None),
    ],
)
def test_the_site_is_what_the_image_shows(header: dict[str, Any], site: str, side: str | None) -> None:
    """Body part and side, from the header."""
    (found,) = finding_sites(chest_radiograph(**header)) or []
    assert found.value.meaning == site
    assert (found.laterality.meaning if found.laterality else None) == side


@pytest.mark.parametrize("body_part", [None, "", "ELBOW", ["CHEST", "HEAD"]])
def test_no_site_is_guessed(body_part: Any) -> None:
    """What the header does not say, or we have no code for, is left out."""
    assert finding_sites(chest_radiograph(BodyPartExamined=body_part)) is None
