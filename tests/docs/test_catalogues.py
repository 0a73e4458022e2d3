"""The page's catalogues hold what its code says: all of it, nothing else, and with the same placeholders."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from appliance.web.language import CATALOGUES, LANGUAGES
from tests.docs.catalogues import forms, messages, read, updated

PLACEHOLDER = re.compile(r"%\((\w+)\)s|\{(\w+)\}")
MARKUP = re.compile(r"<[a-zA-Z/!]|&\w+;")
EACH = pytest.mark.parametrize(
    "path", [CATALOGUES / f"{code}.po" for code in LANGUAGES[1:]], ids=lambda path: path.stem
)


def placeholders(message: str) -> Counter[str]:
    """The names of the values that a message takes, each as often as it stands there."""
    return Counter(first or second for first, second in PLACEHOLDER.findall(message))


@EACH
def test_a_catalogue_holds_every_message_and_no_other(path: Path) -> None:
    """Written anew it is the same, and nothing in it is empty. ``python -m tests.docs.catalogues`` brings them in."""
    assert path.read_bytes() == updated(path)
    missing = [one.id for one in read(path) if one.id and not all(forms(one.string))]
    assert missing == []


@EACH
def test_what_is_translated_takes_the_same_values(path: Path) -> None:
    """A plural form may leave the number out ("one day"), and nothing else; no translation has markup in it."""
    for one in read(path):
        if not one.id or not any(forms(one.string)):
            continue
        said, many = forms(one.string), forms(one.id)[-1]
        assert not one.fuzzy, one.id
        for form in said:
            assert not MARKUP.search(form), form
            left_out = placeholders(many) - placeholders(form)
            assert placeholders(form) - placeholders(many) == Counter(), form
            assert set(left_out) <= ({"number", "shown"} if len(said) > 1 else set()), form


def test_no_message_stands_for_two() -> None:
    """One with a plural and one without may not begin with the same words: the catalogue knows only one of them."""
    first = Counter(one if isinstance(one, str) else one[0] for one in messages())
    assert [one for one, number in first.items() if number > 1] == []


def test_no_message_holds_markup_or_loose_ends() -> None:
    """Whole sentences: markup would tie a translator to the page, and white space at an end is a glued piece."""
    for one in messages():
        for form in forms(one):
            assert not MARKUP.search(form), form
            assert "\n" not in form, form
            assert form == form.strip() or form == "(%(number)d urgent) ", form
