"""The study page in a real browser: pixels, window, series, lengths, heat map, and what a person can do."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread
from sqlalchemy import select

from appliance.demo.stage import Stage
from appliance.demo.studies import DemoImage
from appliance.labels import labels
from store_forward.database import reading
from tests.browser.conftest import SETTLES_S
from tests.browser.study_images import SLICES, colour_film, ct_series, film

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
READY = '#viewer[data-ready="yes"]'


@pytest.fixture(scope="module")
def stage(images: list[DemoImage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An urgent and a routine chest, a film of 12 bits, one in colour and a series of slices, all settled."""
    folder = tmp_path_factory.mktemp("own")
    paths = [images[0].path, images[1].path, film(folder), colour_film(folder), *ct_series(folder)]
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        for path in paths:
            assert stage.send(path)
        stage.wait(lambda: stage.states() == {"settled": 5}, SETTLES_S, "every study to settle")
        yield stage


@pytest.fixture(scope="module")
def studies(stage: Stage) -> dict[str, str]:
    """Study Instance UID by what the study is."""
    by_kind = {str(row.decision or ""): row.study_instance_uid for row in stage.rows()}
    by_reason = {str(row.reason or ""): row.study_instance_uid for row in stage.rows()}
    by_modality = {str(row.modalities): row.study_instance_uid for row in stage.rows()}
    return {**by_kind, "film": by_reason["too_small"], "ct": by_modality["CT"], "us": by_modality["US"]}


def opened(page: Page, uid: str) -> None:
    """The study's page with its viewer started."""
    page.goto(f"/studies/{uid}")
    expect(page.locator(READY)).to_be_visible(timeout=30_000)


def drawn(page: Page) -> None:
    """What was asked of the viewer stands on the screen: it draws in the frame after the one it was asked in."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def colour(page: Page, across: float = 0.5, down: float = 0.5) -> list[int]:
    """What the viewer has drawn at a place of the picture, red, green, blue; shares of its width and height."""
    drawn(page)
    script = """([x, y]) => { const canvas = document.querySelector("#viewer-image canvas");
        return [...canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data]; }"""
    found: list[int] = page.evaluate(script, [across, down])
    return found[:3]


def grey(page: Page, across: float, down: float = 0.5) -> int:
    """The same of a grey picture, 0 to 255."""
    return colour(page, across, down)[0]


def told(page: Page, name: str) -> float:
    """A number that the viewer says of itself, when it has drawn."""
    drawn(page)
    return float(page.locator("#viewer").get_attribute(f"data-{name}") or "nan")


def drag(page: Page, way: tuple[int, int], begin: tuple[int, int] = (200, 200)) -> None:
    """Press on the picture, move and let go; CSS pixels."""
    box = page.locator("#viewer-stage").bounding_box()
    assert box is not None
    x, y = box["x"] + begin[0], box["y"] + begin[1]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + way[0], y + way[1], steps=6)
    page.mouse.up()


def test_twelve_bits_are_drawn_as_monochrome1_says(page: Page, studies: dict[str, str]) -> None:
    """The lowest value is white, and all 4096 are there."""
    opened(page, studies["film"])
    assert (told(page, "low"), told(page, "high")) == (0, 4095)
    assert grey(page, 0.45) > grey(page, 0.5) > grey(page, 0.55)
    page.locator("#viewer-invert").click()
    assert grey(page, 0.45) < grey(page, 0.5) < grey(page, 0.55)


def test_dragging_changes_the_window(page: Page, studies: dict[str, str]) -> None:
    """To the side its width, up and down its centre; reset brings it back."""
    opened(page, studies["film"])
    before, width, center = grey(page, 0.52), told(page, "width"), told(page, "center")
    drag(page, (0, -120))
    assert told(page, "center") < center
    assert grey(page, 0.52) != before
    drag(page, (100, 0))
    assert told(page, "width") > width
    page.locator("#viewer-reset").click()
    expect(page.locator("#viewer")).to_have_attribute("data-width", f"{width:g}")
    assert grey(page, 0.52) == before


def test_zoom_and_pan(page: Page, studies: dict[str, str]) -> None:
    """By wheel, buttons and keys; what lies under the pointer stays there."""
    opened(page, studies["film"])
    page.locator("#viewer-closer").click()
    assert told(page, "zoom") == pytest.approx(1.25)
    page.locator("#viewer-stage").hover()
    middle = grey(page, 0.5)
    page.mouse.wheel(0, -100)
    assert told(page, "zoom") == pytest.approx(1.25 * 1.15)
    assert abs(grey(page, 0.5) - middle) <= 3
    page.get_by_label("Pan").check()
    drag(page, (150, 0))
    assert grey(page, 0.5) > middle
    page.locator("#viewer-stage").press("f")
    assert told(page, "zoom") == pytest.approx(1.0)


def test_two_fingers_zoom_and_one_moves_the_window(browser: Browser, address: str, studies: dict[str, str]) -> None:
    """On a phone, whose page is no wider than its screen."""
    context = browser.new_context(base_url=address, viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    opened(page, studies["film"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#viewer-stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = context.new_cdp_session(page)

    def at(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x + dx, "y": y + dy, "id": number} for number, (dx, dy) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    at("touchStart", (-20, 0), (20, 0))
    at("touchMove", (-60, 0), (60, 0))
    at("touchEnd")
    expect(page.locator("#viewer")).to_have_attribute("data-zoom", re.compile("^(2[.]|3)"))
    width = told(page, "width")
    at("touchStart", (0, 0))
    at("touchMove", (60, 0))
    at("touchEnd")
    expect(page.locator("#viewer")).not_to_have_attribute("data-width", f"{width:g}")
    context.close()


def test_slices_come_in_geometric_order(page: Page, studies: dict[str, str]) -> None:
    """Whatever their Instance Numbers say; by wheel, keys and slider."""
    opened(page, studies["ct"])
    expect(page.locator("#viewer-order")).to_contain_text("geometric order")
    expect(page.locator("#viewer-place")).to_have_text(f"Image 1 of {SLICES}")
    seen = [grey(page, 0.5)]
    picture = page.locator("#viewer-stage")
    for number in range(2, SLICES + 1):
        picture.press("PageDown")
        expect(page.locator("#viewer-place")).to_have_text(f"Image {number} of {SLICES}")
        expect(page.locator("#viewer")).to_have_attribute("data-index", str(number - 1))
        seen.append(grey(page, 0.5))
    assert seen == sorted(set(seen))
    picture.hover()
    page.mouse.wheel(0, -100)
    expect(page.locator("#viewer-place")).to_have_text(f"Image {SLICES - 1} of {SLICES}")
    page.locator("#viewer-slice").fill("2")
    expect(page.locator("#viewer-place")).to_have_text(f"Image 2 of {SLICES}")


def test_frames_in_colour(page: Page, studies: dict[str, str]) -> None:
    """Red, green and blue, one after the other; without a spacing a length is in pixels alone."""
    opened(page, studies["us"])
    for number, wanted in enumerate(([200, 0, 0], [0, 200, 0], [0, 0, 200])):
        expect(page.locator("#viewer")).to_have_attribute("data-index", str(number))
        assert all(abs(one - other) <= 2 for one, other in zip(colour(page), wanted, strict=True))
        page.locator("#viewer-stage").press("PageDown")
    expect(page.locator("#viewer-preset")).to_be_disabled()
    page.locator("#viewer-stage").press("m")
    expect(page.locator("#viewer-lengths li")).to_have_text("20.0 px · the header gives no spacing")


def test_marks_lie_where_the_pixels_lie(page: Page, studies: dict[str, str]) -> None:
    """Half a pixel off would put the heat map beside what it points at."""
    opened(page, studies["ct"])
    script = """() => { const canvas = document.querySelector("#viewer-image canvas");
        const scale = canvas.width / canvas.clientWidth;
        const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
        const lit = []; for (let i = 0; i < canvas.width; i++) if (row[4 * i] > 20) lit.push(i);
        return [lit[0] / scale, (lit.at(-1) + 1) / scale]; }"""
    left, right = page.evaluate(script)
    page.locator("#viewer-stage").press("m")  # from 10 pixels before the middle of 64 to 10 after
    ends = [float(one.get_attribute("cx") or "nan") for one in page.locator("#viewer-marks circle").all()]
    wanted = [left + (right - left) * share / 64 for share in (22, 42)]
    assert ends == pytest.approx(wanted, abs=1.5)


def test_presets_come_from_the_header(page: Page, studies: dict[str, str]) -> None:
    """With the names the header gives them, in Hounsfield units."""
    opened(page, studies["ct"])
    assert (told(page, "center"), told(page, "width")) == (-800, 600)
    page.locator("#viewer-preset").select_option(label="SOFT")
    assert (told(page, "center"), told(page, "width")) == (40, 400)
    assert (told(page, "low"), told(page, "high")) == (-1024, 3071)


def test_lengths_are_those_of_the_header(page: Page, studies: dict[str, str]) -> None:
    """In mm by the spacing that is named, along rows and columns; by keys and by mouse."""
    opened(page, studies["film"])
    picture, lengths = page.locator("#viewer-stage"), page.locator("#viewer-lengths li")
    picture.press("m")
    expect(lengths).to_have_text("2.0 mm · 20.0 px, by Imager Pixel Spacing: at the detector, not in the patient")
    for _ in range(10):
        picture.press("ArrowRight")
    expect(lengths).to_contain_text("3.0 mm · 30.0 px")
    picture.press("Delete")
    expect(lengths).to_have_count(0)
    picture.press("m")
    for _ in range(20):
        picture.press("ArrowLeft")
    for _ in range(30):
        picture.press("ArrowDown")
    expect(lengths).to_contain_text("6.0 mm · 30.0 px")  # rows are twice as far apart as columns
    picture.press("Delete")
    page.get_by_label("Measure").check()
    drag(page, (120, 0))
    expect(lengths).to_contain_text("mm")


def test_the_heat_map_is_a_layer(page: Page, studies: dict[str, str]) -> None:
    """The slider takes it off and puts it on; the picture below stays as it is."""
    opened(page, studies["urgent"])
    strongest = """() => { const canvas = document.getElementById("viewer-layer");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let most = 0; for (let i = 3; i < data.length; i += 4) most = Math.max(most, data[i]); return most; }"""
    below = grey(page, 0.5)
    most = []
    for value in ("0", "45", "100"):
        page.locator("#viewer-heat").fill(value)
        most.append(page.evaluate(strongest))
    assert most[0] == 0
    assert 80 < most[1] < 130 < 200 < most[2]
    assert grey(page, 0.5) == below


def test_a_study_without_a_map_has_no_slider(page: Page, studies: dict[str, str]) -> None:
    """No model has read it."""
    opened(page, studies["ct"])
    expect(page.locator("#viewer-heating")).to_be_hidden()


def test_markup_in_a_name_is_text(page: Page, studies: dict[str, str]) -> None:
    """It is shown as it is written, and nothing of it runs."""
    opened(page, studies["ct"])
    expect(page.get_by_role("heading", level=1)).to_contain_text("<b onclick>Bold</b>, Markup")
    assert page.locator("h1 b[onclick]").count() == 0


def test_the_reason_names_its_bound(page: Page, studies: dict[str, str]) -> None:
    """In plain words, from the pack's manifest."""
    opened(page, studies["routine"])
    expect(page.locator("#study-decision")).to_contain_text(
        "Of 100 studies called routine by these lines, at most 2 are abnormal, at 95 % confidence"
    )


def test_results_are_shown_as_they_were_sent(page: Page, studies: dict[str, str]) -> None:
    """The report as a tree, the picture as a picture."""
    opened(page, studies["urgent"])
    page.get_by_role("link", name="Report → archive").click()
    expect(page.locator(".sr-tree")).to_contain_text("Pneumonia")
    page.locator("#back").click()
    page.get_by_role("link", name="Picture → archive").click()
    size = page.locator("figure img").evaluate("(image) => image.decode().then(() => image.naturalWidth)")
    assert size >= 512


def test_a_correction_is_kept_and_shown(page: Page, stage: Stage, studies: dict[str, str]) -> None:
    """As a label with its pack; on the study's page and on the worklist."""
    opened(page, studies["urgent"])
    page.locator("#label-decision").select_option("routine")
    page.locator("#act-label").click()
    expect(page.locator("#study-decision")).to_contain_text("A person corrects: Routine")
    with reading(stage.engine) as connection:
        (kept,) = connection.execute(select(labels)).all()
    assert (kept.decision, kept.box_decision, kept.study_instance_uid) == ("routine", "urgent", studies["urgent"])
    assert kept.pack_digest
    page.goto("/")
    expect(page.get_by_text("A person corrects: Routine")).to_be_visible()
    opened(page, studies["urgent"])
    page.locator("#act-confirm").click()
    expect(page.locator("#study-decision")).to_contain_text("A person confirms: Urgent (pneumonia)")


def test_a_study_is_exported_with_its_directory(
    page: Page, stage: Stage, studies: dict[str, str], tmp_path: Path
) -> None:
    """Images and results, as they lie in the spool, and a DICOMDIR that names them."""
    opened(page, studies["urgent"])
    with page.expect_download() as begun:
        page.locator("#act-export").click()
    with ZipFile(io.BytesIO(Path(begun.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    records = dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    listed = [tmp_path.joinpath(*one.ReferencedFileID) for one in records if "ReferencedFileID" in one]
    kept = {str(dcmread(path).SOPInstanceUID) for path in listed}
    (sent,) = [uid for uid in stage.held() if uid in kept]
    assert sent
    assert len(listed) == 4  # the image; report, picture and key objects
    page.reload()
    expect(page.locator("#study-more")).to_contain_text("Exported")


def test_results_are_sent_again(page: Page, stage: Stage, studies: dict[str, str]) -> None:
    """They arrive once more, and it stands in the history."""
    uid = studies["urgent"]
    before = [row for row in stage.outbox() if row.subject == uid]
    opened(page, uid)
    page.get_by_role("button", name="Send again to archive").click()
    expect(page.locator("#study-more")).to_contain_text("to archive, 3 results: somebody at the page")

    def arrived() -> bool:
        rows = [row for row in stage.outbox() if row.subject == uid]
        return len(rows) == len(before) + 3 and all(row.state == "delivered" for row in rows)

    stage.wait(arrived, 60.0, "the results to be there again")
    stage.wait(lambda: _study(stage, uid).state == "settled", 60.0, "the study to settle again")


def test_a_person_escalates_a_settled_study(page: Page, stage: Stage, studies: dict[str, str]) -> None:
    """The cloud gets it and answers; the page says so without being loaded again."""
    opened(page, studies["routine"])
    page.locator("#act-escalate").click()
    expect(page.locator("#study-decision")).to_contain_text("full model", timeout=90_000)
    stage.wait(lambda: _study(stage, studies["routine"]).answered_at is not None, 90.0, "the answer")
    assert _study(stage, studies["routine"]).decision == "routine"
    page.locator("#act-escalate").click()
    expect(page.get_by_text("The full model has already answered")).to_be_visible()


def test_a_study_is_read_again(page: Page, stage: Stage, studies: dict[str, str]) -> None:
    """As a new revision that settles; what was decided before stays in the history, and the viewer goes on."""
    uid = studies["urgent"]
    opened(page, uid)
    page.locator("#act-rerun").click()
    stage.wait(lambda: _study(stage, uid).revision == 2 and _study(stage, uid).state == "settled", 90.0, "settling")
    expect(page.locator("#study-more")).to_contain_text("before it was urgent", timeout=30_000)
    expect(page.locator("#study-head")).to_contain_text("Settled", timeout=30_000)
    expect(page.locator(READY)).to_be_visible()
    expect(page.locator("#viewer-heat")).to_be_enabled()


def test_nothing_is_hidden_from_those_who_do_not_see(page: Page, studies: dict[str, str]) -> None:
    """axe-core finds nothing against WCAG 2.2 AA; light and dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        opened(page, studies["urgent"])
        found: Any = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()


def test_without_script_the_still_picture_stays(browser: Browser, address: str, studies: dict[str, str]) -> None:
    """Decision, picture and actions are there; the viewer's controls are not."""
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/studies/{studies['urgent']}")
    expect(page.locator("#viewer .still img")).to_be_visible()
    expect(page.locator("#viewer-stage")).to_be_hidden()
    expect(page.locator("#act-rerun")).to_be_visible()
    context.close()


def _study(stage: Stage, uid: str) -> Any:
    return next(row for row in stage.rows() if row.study_instance_uid == uid)
