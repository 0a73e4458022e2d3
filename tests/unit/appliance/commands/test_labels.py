"""Labels go out as ``scanside evaluate`` takes them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from typer.testing import CliRunner

from appliance.cli import app
from appliance.commands.labelled import read_rows
from appliance.commands.labels import export_labels
from appliance.labels import keep_label
from appliance.schema import findings, studies
from store_forward.database import writing
from tests.small_box import NOW, MakeBox, SmallBox, image


def decided(box: SmallBox, seed: str, *uids: str, decision: str = "urgent") -> str:
    """A study with as many images as UIDs that count as read."""
    contents = [image(seed=seed)] if not uids else [image(seed=seed, SOPInstanceUID=uid) for uid in uids]
    for content in contents:
        content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID
    study = box.receive(*contents)
    with writing(box.engine) as connection:
        of_study = studies.update().where(studies.c.study_instance_uid == study)
        connection.execute(of_study.values(decision=decision, state="settled", pack="p", pack_digest="d"))
        for content in contents:
            row = {"study_instance_uid": study, "revision": 1, "source": "box", "name": "pneumonia", "probability": 0.9}
            connection.execute(findings.insert().values(sop_instance_uid=str(content.SOPInstanceUID), **row))
    return study


def say(box: SmallBox, study: str, decision: str, finding: str = "") -> None:
    """A person keeps a label."""
    with writing(box.engine) as connection:
        keep_label(connection, study, decision, finding, "Ada", NOW)


def test_a_row_for_each_image(make_box: MakeBox, tmp_path: Path) -> None:
    """One image: the finding; several without a finding to act on: each is normal; else nobody knows which it is."""
    box = make_box()
    say(box, decided(box, "a"), "urgent", "pneumonia")
    say(box, decided(box, "b", "1.2.1", "1.2.2", decision="routine"), "routine")
    say(box, decided(box, "c", "1.2.3", "1.2.4"), "urgent")
    made = export_labels(box.home, tmp_path / "labels.csv", tmp_path / "images")
    assert (made.rows, made.not_placed, made.missing) == (3, 1, 0)
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["label"] for row in rows] == ["pneumonia", "normal", "normal"]
    assert {row["file"] for row in rows} == {path.name for path in (tmp_path / "images").iterdir()}
    assert (rows[0]["person"], rows[0]["pack_digest"], rows[0]["box_decision"]) == ("Ada", "d", "urgent")
    assert not {"P-0", "P-a"} & {row["patient"] for row in rows}
    assert len(read_rows(tmp_path / "labels.csv")) == 3


def test_the_command_writes_json_by_the_ending(make_box: MakeBox, tmp_path: Path) -> None:
    """And says what it has written."""
    box = make_box()
    say(box, decided(box, "a"), "routine")
    config = tmp_path / "scanside.toml"
    config.write_text(f'home = "{box.home.folder}"\n', encoding="utf-8")
    done = CliRunner().invoke(app, ["labels", "export", str(tmp_path / "l.json"), "--config", str(config)])
    assert (done.exit_code, done.stdout) == (0, "1 labels written\n")
    (row,) = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    assert (row["label"], row["decision"]) == ("normal", "routine")
    done = CliRunner().invoke(app, ["labels", "export", str(tmp_path / "none" / "l"), "--config", str(config)])
    assert done.exit_code == 1
