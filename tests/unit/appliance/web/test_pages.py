"""Templates and the files they name."""

from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError

from appliance.web.pages import FOLDER, make_templates, title_count, worklist_query
from appliance.web.worklist import WorklistRequest
from tests.unit.appliance.web.rows import Rows


def test_everything_is_escaped_and_nothing_may_be_missing(rows: Rows) -> None:
    """Whatever the file is called."""
    env = make_templates(rows.settings)
    assert env.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError):
        env.from_string("{{ y }}").render()


def test_no_template_switches_escaping_off() -> None:
    """Nor holds inline script or style, which the policy would block anyway."""
    for template in (FOLDER / "templates").iterdir():
        content = template.read_text()
        assert "|safe" not in content.replace(" ", ""), template.name
        assert "autoescape" not in content, template.name
        assert not re.search(r"<style|\sstyle=|<script(?!( type=.module.)? src=)|\son\w+=|javascript:", content), (
            template.name
        )


def test_style_and_script_fetch_nothing_from_elsewhere() -> None:
    """The box may be without any network."""
    for file in (one for one in (FOLDER / "static").iterdir() if one.is_file()):  # the viewer is seen in a browser
        content = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", content), file.name


def test_a_query_string_names_only_what_is_asked_for() -> None:
    """The plain worklist has a plain address."""
    asked = WorklistRequest(show="urgent", page=3)
    assert worklist_query(WorklistRequest()) == ""
    assert worklist_query(asked) == "?show=urgent&page=3"
    assert worklist_query(asked, page=1) == "?show=urgent"
    assert worklist_query(asked, order="arrival", show="all", page=1, before=1.5, before_uid="a&b") == (
        "?order=arrival&before=1.5&before_uid=a%26b"
    )


def test_the_tab_counts_urgent_studies_only() -> None:
    """Seen from another tab; silent when there is nothing urgent."""
    assert title_count({"urgent": 2, "routine": 5}) == "(2 urgent) "
    assert title_count({"routine": 5}) == ""


def _luminance(colour: str) -> float:
    """WCAG 2.1 relative luminance of ``#rrggbb``."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("text", "ground"), ("text", "panel"), ("text", "urgent-soft"), ("text", "track"), ("muted", "ground"),
        ("muted", "panel"), ("link", "panel"), ("link", "ground"), ("mast-text", "mast"), ("mast-muted", "mast"),
        ("urgent-on", "urgent"), ("escalate-on", "escalate"), ("untriaged-on", "untriaged"),
        ("routine-on", "routine"), ("pending-on", "pending"), ("good", "panel"), ("good", "ground"),
        ("bad", "panel"), ("bad", "urgent-soft"), ("escalate-on", "panel"),
    ],
)  # fmt: skip
def test_text_keeps_wcag_aa_contrast(scheme: str, text: str, ground: str) -> None:
    """At least 4.5 : 1 in both schemes, computed from the style sheet itself."""
    style = (FOLDER / "static" / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, flags=re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0 if scheme == "light" else 1]))
    lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
