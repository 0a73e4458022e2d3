"""What decides about the elements of one instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.multival import MultiValue

from appliance.privacy.policy import Policy


@dataclass(frozen=True, slots=True)
class Stay:
    """The site's policy and key, and by how many days this patient's dates move."""

    policy: Policy
    key: bytes
    days: int


def parts_of(value: Any) -> list[Any]:
    """The values of an element, however many."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) or hasattr(value, "insert") else [value]
