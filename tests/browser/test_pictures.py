"""The pictures of the page that stand in the documents, of synthetic images only: ``make pictures``.

Without ``SCANSIDE_PICTURES`` they are taken all the same and thrown away, so that taking them cannot rot.
"""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert

from appliance.demo.stage import Stage
from appliance.schema import studies
from appliance.web.language import COOKIE
from appliance.web.quality_counts import DAY_S
from appliance.web.site import PLACES
from store_forward.database import writing

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

MOST_BYTES = 200_000
PHONE = {"width": 390, "height": 844}
#: Name, path, how the browser stands and in which language. A path that the page does not have is left out.
SHOTS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("worklist", "/", {}, "en"),
    ("link", "/link", {}, "en"),
    ("box", "/box", {}, "en"),
    ("set-up", "/setup", {}, "en"),
    ("phone", "/", {"viewport": PHONE, "device_scale_factor": 2}, "en"),
    ("dark", "/", {"color_scheme": "dark"}, "en"),
    ("arabic", "/", {}, "ar"),
    ("study", "STUDY", {}, "en"),
    ("quality", "/quality", {"viewport": {"width": 1280, "height": 1320}}, "en"),
)
#: Fulfilled when the images on the screen are drawn; those further down are loaded when they are looked at.
_DRAWN = """(all) => Promise.all(
  all.filter((one) => one.getBoundingClientRect().top < innerHeight).map((one) => one.decode()))"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the pictures go."""
    wanted = os.environ.get("SCANSIDE_PICTURES")
    found = Path(wanted) if wanted else tmp_path
    found.mkdir(parents=True, exist_ok=True)
    return found


def test_every_picture_is_taken(browser: Browser, stage: Stage, address: str, folder: Path) -> None:
    """Each shows what it should, is of the documents' size and small enough to be kept beside the text."""
    places = {path for path, _, _ in PLACES}
    urgent = next(row for row in stage.rows() if row.decision == "urgent" and row.heat_map)
    for name, path, how, language in SHOTS:
        if path == "STUDY":
            path = f"/studies/{urgent.study_instance_uid}"
        elif path not in places:
            continue
        if path == "/quality":
            _history(stage, urgent)
        for page in _opened(browser, address, how, language):
            page.goto(path)
            expect(page.locator("h1, h2").first).to_be_attached()
            page.locator("img").evaluate_all(_DRAWN)
            _keep(folder / f"{name}.png", page.screenshot())


def _opened(browser: Browser, address: str, how: dict[str, Any], language: str) -> Iterator[Page]:
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}, "base_url": address} | how))
    context.add_cookies([{"name": COOKIE, "value": language, "url": address}])
    yield context.new_page()
    context.close()


def _keep(path: Path, png: bytes) -> None:
    """With a palette: what a page shows has few colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    width, height = picture.size
    if width == 2 * PHONE["width"]:
        picture = picture.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.LANCZOS)
    picture.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, path.name


def _history(stage: Stage, like: Any) -> None:
    """Four weeks of decisions drawn at random, as the pack's calibration has them: plots of one day show nothing."""
    rng, now = random.Random(3), time.time()
    shares = {"routine": 0.24, "urgent": 0.6, "escalate": 0.11, "not_triaged": 0.05}
    made = []
    for number in range(1400):
        at = now - DAY_S * rng.uniform(0.2, 27.8)
        decision = rng.choices(list(shares), list(shares.values()))[0]
        was_read = decision != "not_triaged"
        agreement = rng.choices(["agrees", "disagrees", None], [7, 2, 1])[0] if decision == "escalate" else None
        spread = {"routine": (0.0, 0.019), "urgent": (0.932, 1.0), "escalate": (0.02, 0.93)}
        made.append(
            {
                "study_instance_uid": f"1.2.826.0.1.3680043.2.1125.{number}", "state": "settled",
                "completes_at": at, "first_received_at": at, "last_received_at": at, "decided_at": at,
                "calling_ae_title": rng.choice(["WARD-3", "EMERGENCY"]), "decision": decision, "instance_count": 1,
                "reason": None if was_read else rng.choice(["wrong_body_part", "age_out_of_range", "wrong_picture"]),
                "pack": like.pack if was_read else None, "pack_version": like.pack_version if was_read else None,
                "pack_digest": like.pack_digest if was_read else None, "lines_set_by": "" if was_read else None,
                "abnormality": rng.uniform(*spread[decision]) if was_read else None,
                "escalated": decision == "escalate", "agreement": agreement,
                "answer_basis": "image" if agreement else None, "answer_decision": "urgent" if agreement else None,
                "modalities": "DX", "study_description": "Chest AP", "patient_age": "004Y",
            }
        )  # fmt: skip
    with writing(stage.engine) as connection:
        connection.execute(insert(studies), made)
