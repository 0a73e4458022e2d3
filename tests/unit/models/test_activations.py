"""What is in use, as a value that follows from the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.activations import ACTIVE, Activation, Activations, activations_mark, read_activations
from models.errors import PackRejected

A, B = "a" * 64, "b" * 64


def test_there_and_back_again() -> None:
    """Each rollback undoes one activation; after the last there is nothing left to undo."""
    start = Activations()
    first = start.activated("tiny", A)
    second = first.activated("tiny", B)
    assert second.of("tiny") == Activation(active=B, previous=(None, A))
    assert second.of("tiny").in_order == (B, A, None)
    assert second.rolled_back("tiny") == first
    assert first.rolled_back("tiny") == start
    with pytest.raises(PackRejected, match="nothing was in use before"):
        start.rolled_back("tiny")


def test_the_same_again_changes_nothing() -> None:
    """A second activation does not make a rollback lead to the same pack."""
    once = Activations().activated("tiny", A)
    assert once.activated("tiny", A) == once


def test_names_do_not_meddle() -> None:
    """One pack's history is not another's."""
    both = Activations().activated("one", A).activated("two", B)
    assert both.rolled_back("one") == Activations().activated("two", B)


def test_the_history_is_bounded() -> None:
    """A box that is updated for years does not grow its pointer."""
    many = Activations()
    for number in range(100):
        many = many.activated("tiny", f"{number:064x}")
    assert len(many.of("tiny").previous) == 20
    assert many.of("tiny").previous[-1] == f"{98:064x}"


def test_a_missing_file_is_nothing_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    """Nobody takes a torn file for an empty one."""
    assert read_activations(tmp_path) == Activations()
    value = Activations().activated("tiny", A)
    (tmp_path / ACTIVE).write_text(value.model_dump_json())
    assert read_activations(tmp_path) == value
    for content in ("", "{", '{"schema_version": 2}', '{"packs": {"../up": {}}}', '{"packs": {"tiny": {"active": 1}}}'):
        (tmp_path / ACTIVE).write_text(content)
        with pytest.raises(PackRejected, match=r"cannot be read .* Activate them again"):
            read_activations(tmp_path)


def test_the_mark_changes_with_the_file(tmp_path: Path) -> None:
    """From nothing to something, and with each replacement."""
    marks = [activations_mark(tmp_path)]
    for number in range(3):
        part = tmp_path / "part"
        part.write_text(str(number))
        part.replace(tmp_path / ACTIVE)
        marks.append(activations_mark(tmp_path))
    assert marks[0] is None
    assert len(set(marks)) == 4
    assert activations_mark(tmp_path) == marks[-1]
