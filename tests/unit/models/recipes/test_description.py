"""The description of a network trained elsewhere: what it says is what the pack's task says, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.errors import PackRejected
from models.recipes.description import read_description

WHOLE = """
name = "chest"
version = "1.0.0"
classes = ["normal", "effusion", "other"]
licence = "Apache-2.0"
intended_use = "Research use only."
[input]
size_px = 64
[scope]
modalities = ["DX"]
"""


def _read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "chest.toml"
    path.write_text(text, encoding="utf-8")
    return read_description(path)


def test_what_is_left_out(tmp_path: Path) -> None:
    """Scores in the order of the classes, every finding acted on, 2 % on both sides, one number for mean and std."""
    found = _read(tmp_path, WHOLE)
    assert found.order == (0, 1, 2)
    assert found.task.acts_on == found.task.findings == ("effusion", "other")
    assert (found.task.missed, found.task.false_alarms, found.task.prevalence) == (0.02, 0.02, 2 / 3)
    assert (found.given.mean, found.given.std) == ((0.0,), (1.0,))
    assert found.task.full is None
    assert found.task.scope["modalities"] == ("DX",)
    assert (found.task.spec.low_percentile, found.task.spec.high_percentile) == (0.0, 100.0)


def test_scores_in_another_order(tmp_path: Path) -> None:
    """``order`` says where in the network's output each class is."""
    found = _read(tmp_path, 'scores = ["other", "normal", "effusion"]\nacts_on = ["other"]' + WHOLE)
    assert found.order == (1, 2, 0)
    assert found.task.acts_on == ("other",)


def test_a_single_score(tmp_path: Path) -> None:
    """Two classes with sigmoid have one output."""
    text = WHOLE.replace(', "other"]', "]").replace("name", 'activation = "sigmoid"\nname', 1)
    found = _read(tmp_path, text)
    assert (found.order, found.task.outputs) == ((0,), 1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({'name = "chest"': 'name = "Chest X"'}, "name: String should match pattern"),
        ({'version = "1.0.0"': 'version = "1"'}, "version: String should match"),
        ({'name = "chest"': 'nome = "chest"'}, "name: Field required; nome: Extra inputs are not permitted"),
        ({', "effusion", "other"': ""}, "classes: Tuple should have at least 2 items"),
        ({'"other"': '"normal"'}, "classes must all have different names"),
        ({'"other"': '""'}, r"classes\.2: String should have at least 1 character"),
        ({"licence": 'activation = "sigmoid"\nlicence'}, "sigmoid is for two classes"),
        ({', "other"': "", "licence": 'activation = "sigmoid"\nscores = ["effusion"]\nlicence'}, "leave scores out"),
        ({"licence": 'activation = "tanh"\nlicence'}, "activation: Input should be"),
        ({"licence": 'scores = ["normal", "effusion"]\nlicence'}, "scores must name every class once"),
        ({"licence": 'acts_on = ["normal"]\nlicence'}, "acts_on may only name classes after the first"),
        ({"licence": "missed = 0.0\nlicence"}, "missed: Input should be greater than 0"),
        ({"licence": "false_alarms = 1\nlicence"}, "false_alarms: Input should be less than 1"),
        ({"licence": "prevalence = nan\nlicence"}, "prevalence"),
        ({"Research use only.": "short"}, "intended_use: String should have at least 10"),
        ({'licence = "Apache-2.0"': ""}, "licence: Field required"),
        ({"size_px = 64": "size_px = 16"}, r"input\.size_px: Input should be greater than or equal to 32"),
        ({"size_px = 64": "size_px = 64\nmean = [0.1, 0.2]"}, "mean and std need one number"),
        ({"size_px = 64": "size_px = 64\nstd = []"}, "mean and std need one number"),
        ({"size_px = 64": "size_px = 64\nstd = [0.0]"}, r"input\.std\.0: Input should be greater than 0"),
        ({"size_px = 64": "size_px = 64\nmean = [inf]"}, r"input\.mean\.0: Input should be a finite number"),
        ({"size_px = 64": "size_px = 64\nlow_percentile = 60"}, r"input\.low_percentile"),
        ({'["DX"]': "[]"}, r"scope\.modalities: Tuple should have at least 1 item"),
        ({'["DX"]': '["DX"]\nage_years = [9, 3]'}, "age_years must be"),
        ({"[scope]": "[scoop]"}, "scope: Field required; scoop: Extra inputs"),
        ({"[input]": "[input"}, "cannot be read as TOML"),
        ({"name": "# \x00\nname"}, "cannot be read as TOML"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, change: dict[str, str], why: str) -> None:
    """Each with the key and the reason, and where a whole description stands."""
    text = WHOLE
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(PackRejected, match=why) as rejected:
        _read(tmp_path, text)
    assert rejected.value.pack == "chest.toml"
    assert "docs/how-to/make-a-pack.md" in rejected.value.repair


def test_all_problems_at_once(tmp_path: Path) -> None:
    """So that a person corrects the file once."""
    with pytest.raises(PackRejected, match=r"name: .*; version: .*; input.size_px: "):
        _read(tmp_path, WHOLE.replace('"chest"', '"!"').replace("1.0.0", "x").replace("64", "1"))


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """No text, or no file."""
    if content is not None:
        (tmp_path / "chest.toml").write_bytes(content)
    with pytest.raises(PackRejected, match="cannot be read as TOML"):
        read_description(tmp_path / "chest.toml")
