"""``scanside import``: every file that a DICOMDIR names comes in, or has an outcome that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from appliance.cli import app
from appliance.disk.database_file import home_lock
from appliance.schema import instances, set_aside, studies
from tests.dicom_factory import as_bytes, as_file, uid
from tests.media import Images, edit_directory, write_medium
from tests.small_box import SmallBox, image


class Medium:
    """A medium with three images of one study, and a box beside it."""

    def __init__(self, folder: Path, box: SmallBox) -> None:
        self.folder, self.box = folder / "cd", box
        study = uid("study 0")
        contents = [image(seed=str(n), StudyInstanceUID=study, InstanceNumber=n) for n in range(3)]
        self.images: Images = write_medium(self.folder, *contents)
        self.configuration = folder / "scanside.toml"
        self.configuration.write_text(f'home = "{box.settings.home}"\n[limits]\nfree_disk_floor_bytes = 0\n')

    def path(self, number: int) -> Path:
        """Where an image lies."""
        return self.images[uid(f"instance {number}")]

    def take(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output of the command."""
        words = ["import", str(self.folder), "--config", str(self.configuration), *arguments]
        result = CliRunner().invoke(app, words)
        return result.exit_code, result.output

    def outcomes(self) -> dict[str, str]:
        """The outcome of each instance, by its UID."""
        _, said = self.take("--json")
        return {row["sop_instance_uid"]: row["outcome"] for row in map(json.loads, said.splitlines())}


@pytest.fixture
def medium(tmp_path: Path, box: SmallBox) -> Medium:
    """A whole medium."""
    return Medium(tmp_path, box)


def test_all_of_it_comes_in(medium: Medium) -> None:
    """Durable, under the medium's name as source, ready to be read after the quiet time; the medium is as it was."""
    before = {path: path.read_bytes() for path in medium.folder.rglob("*") if path.is_file()}
    assert medium.take() == (0, "3 stored\n")
    assert {row.source for row in medium.box.rows(instances)} == {"MEDIA"}
    assert all(medium.box.spool.verify(row.file_digest) for row in medium.box.rows(instances))
    (study,) = medium.box.rows(studies)
    assert study.completes_at - study.last_received_at < medium.box.settings.dicom.association_timeout_s
    assert {path: path.read_bytes() for path in medium.folder.rglob("*") if path.is_file()} == before


def test_a_second_time_nothing_is_doubled(medium: Medium) -> None:
    """As with a resend."""
    medium.take()
    assert medium.take() == (0, "3 already_held\n")
    assert medium.box.count(instances) == 3


def test_it_goes_beside_a_running_box(medium: Medium) -> None:
    """Which holds the home together with others."""
    with home_lock(medium.box.settings.home, alone=False):
        assert medium.take()[0] == 0


def test_what_is_missing_is_named_and_the_rest_comes_in(medium: Medium) -> None:
    """Exit status 1, the file by its File ID."""
    medium.path(1).unlink()
    name = "/".join(medium.path(1).relative_to(medium.folder).parts)
    status, said = medium.take()
    assert status == 1
    assert said.splitlines() == [
        f"missing        {name}: the directory names it, and the medium does not have it",
        "2 stored, 1 missing",
    ]
    assert medium.box.count(instances) == 2


def test_every_trouble_has_its_outcome(medium: Medium) -> None:
    """Another image than the directory says, no DICOM at all, and a way out of the medium."""
    as_file(image(seed="other"), medium.path(0))
    medium.path(1).write_bytes(b"no image" * 100)

    def change(record: Dataset) -> None:
        if record.ReferencedSOPInstanceUIDInFile == uid("instance 2"):
            record.ReferencedFileID = ["..", "scanside.toml"]

    edit_directory(medium.folder, change)
    assert medium.outcomes() == {
        uid("instance 0"): "data_set_does_not_match",
        uid("instance 1"): "cannot_understand",
        uid("instance 2"): "file_id_not_allowed",
    }
    assert {row.reason for row in medium.box.rows(set_aside)} == {"data_set_does_not_match", "cannot_understand"}


def test_other_content_under_a_known_uid(medium: Medium) -> None:
    """Kept aside, like from a scanner."""
    medium.box.admit(image(seed="0", StudyInstanceUID=uid("study 0"), InstanceNumber=9))
    assert medium.outcomes()[uid("instance 0")] == "uid_known_with_other_content"


def test_limits_hold(medium: Medium) -> None:
    """An instance over the limit, and a disk at its floor."""
    size = len(as_bytes(image()))
    text = f'home = "{medium.box.settings.home}"\n[limits]\nfree_disk_floor_bytes = '
    medium.configuration.write_text(f"{text}0\nmax_instance_bytes = {size // 2}\n")
    assert set(medium.outcomes().values()) == {"over_limit"}
    medium.configuration.write_text(f"{text}{2**60}\n")
    assert set(medium.outcomes().values()) == {"out_of_resources"}
    assert medium.box.count(instances) == 0


def test_a_folder_without_a_directory(medium: Medium, tmp_path: Path) -> None:
    """Nothing is taken, and the words say what to do."""
    (medium.folder / "DICOMDIR").unlink()
    status, said = medium.take()
    assert status == 1
    assert "no DICOMDIR in" in said


def test_a_home_that_cannot_be_made(medium: Medium, tmp_path: Path) -> None:
    """It is named, and nothing is taken."""
    (tmp_path / "file").write_text("in the way")
    medium.configuration.write_text(f'home = "{tmp_path / "file" / "home"}"\n')
    status, said = medium.take()
    assert status == 1
    assert f"{tmp_path / 'file'}" in said
