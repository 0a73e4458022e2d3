"""Templates and the files they name."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from jinja2 import UndefinedError

from appliance.web.listing import Place, WorklistRequest
from appliance.web.overview import read_request
from appliance.web.pages import FOLDER, PRODUCT, RESEARCH_USE, make_templates, title_count, worklist_query
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
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=|javascript:", content), template.name


def test_style_and_script_fetch_nothing_from_elsewhere() -> None:
    """The box may be without any network."""
    for file in filter(Path.is_file, (FOLDER / "static").iterdir()):
        content = re.sub("http://www.w3.org/(2000/svg|1999/xhtml)", "", file.read_text())
        assert not re.search(r"https?://|@import|url\(", content), file.name


def test_a_query_string_names_only_what_is_asked_for() -> None:
    """The plain worklist has a plain address."""
    place = Place(0, 1780000000.125, "1.2&3_4")
    asked = WorklistRequest(show="urgent", search="doe & roe", after=place)
    assert worklist_query(WorklistRequest()) == ""
    assert worklist_query(asked) == "?show=urgent&search=doe+%26+roe"
    assert worklist_query(asked, show="all", after=place) == ("?search=doe+%26+roe&after=0_1780000000.125_1.2%263_4")
    assert worklist_query(WorklistRequest(), last=True) == "?last=True"


def test_an_address_says_all_of_a_request(rows: Rows) -> None:
    """What a page links to asks for the same again."""
    place = Place(3, 1780000000.1, "1.2_3")
    asked = WorklistRequest(
        "arrival", "routine", "a b", "DX", "CT 1", "chest", "2026-11-01", "2026-11-20", before=place
    )
    query = worklist_query(asked, before=place)
    assert read_request(dict(parse_qsl(query[1:]))) == asked
    assert read_request({"after": "no place", "show": "x", "order": "x", "search": " a\tb "}) == WorklistRequest(
        search="a b"
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


def test_the_assets_are_small() -> None:
    """A tablet on a slow network opens the page, too: all of them, fonts and pictures included, without the viewer."""
    files = [path for path in (FOLDER / "static").rglob("*") if path.is_file()]
    own = [path for path in files if "viewer" not in path.relative_to(FOLDER / "static").parts[0]]
    assert sum(path.stat().st_size for path in own) < 1_500_000


def test_every_printed_sheet_says_what_it_is() -> None:
    """The foot of a sheet is made by the style sheet alone; it has to be the product's own sentence."""
    assert f'content: "{PRODUCT} · {RESEARCH_USE}"' in (FOLDER / "static" / "manners.css").read_text()
