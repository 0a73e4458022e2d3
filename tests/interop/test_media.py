"""Media whose DICOMDIR was written by DCMTK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from appliance.cli import app
from appliance.home import open_home
from appliance.ingest.header import dataset_digest
from appliance.schema import instances
from appliance.settings import Settings
from store_forward.database import reading
from tests.dicom_factory import as_file, chest_radiograph, uid
from tests.interop.peers import succeed

pytestmark = pytest.mark.interop


def test_a_medium_of_dcmmkdir(tmp_path: Path) -> None:
    """Every image of two patients comes in unchanged."""
    medium, sent = tmp_path / "cd", {}
    for number in range(4):
        study = uid(f"study {number % 2}")
        patient: dict[str, Any] = {
            "StudyInstanceUID": study,
            "PatientID": f"P-{number % 2}",
            "PatientName": f"Phantom^{number % 2}",
        }
        image = chest_radiograph(seed=str(number), SeriesInstanceUID=uid(f"series {number}"), **patient)
        path = as_file(image, medium / "IMAGES" / f"IM{number:06}")
        sent[str(image.SOPInstanceUID)] = dataset_digest(path)
    succeed("dcmmkdir", "+r", "+I", "--general-purpose", "+id", medium, "+D", medium / "DICOMDIR", "IMAGES")
    configuration = tmp_path / "scanside.toml"
    configuration.write_text(f'home = "{tmp_path / "home"}"\n[limits]\nfree_disk_floor_bytes = 0\n')
    result = CliRunner().invoke(app, ["import", str(medium), "--config", str(configuration)])
    assert (result.exit_code, result.output) == (0, "4 stored\n")
    home = open_home(Settings(home=tmp_path / "home"))
    with reading(home.engine) as connection:
        rows = connection.execute(instances.select()).all()
    home.engine.dispose()
    assert {row.sop_instance_uid: dataset_digest(home.spool.file(row.file_digest)) for row in rows} == sent
