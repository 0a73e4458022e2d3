"""The archive of a study: the same bytes every time, safe, lossless and small."""

from __future__ import annotations

import stat
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, SecondaryCaptureImageStorage

from appliance.privacy.errors import CannotDeidentify, SiteKeyUnusable
from appliance.privacy.package import KEY_BYTES, package_study, site_key
from tests.dicom_factory import as_file, chest_radiograph, compressed, uid

KEY = bytes(range(32))
SMALL = chest_radiograph().pixel_array[:64, :48]


def study(folder: Path) -> list[Path]:
    """Two images of one study, one of them compressed by the sender."""
    one, two = (chest_radiograph(seed=seed, pixels=SMALL, StudyInstanceUID=uid("s")) for seed in "ab")
    return [as_file(one, folder / "1.dcm"), as_file(compressed(two, JPEG2000Lossless), folder / "2.dcm")]


def test_the_same_study_is_the_same_archive(tmp_path: Path) -> None:
    """Order and time make no difference; the key does."""
    paths = study(tmp_path)
    first = package_study(paths, KEY, tmp_path / "a.zip").path.read_bytes()
    assert package_study(paths[::-1], KEY, tmp_path / "b.zip").path.read_bytes() == first
    assert package_study(paths, bytes(32), tmp_path / "c.zip").path.read_bytes() != first


def test_the_archive_holds_the_same_pixels_without_the_patient(tmp_path: Path) -> None:
    """Every instance decodes to the original values, and no original identifier is in the archive."""
    package = package_study(study(tmp_path), KEY, tmp_path / "a.zip")
    with zipfile.ZipFile(package.path) as archive:
        assert archive.namelist() == list(package.instances) == sorted(package.instances)
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        instances = [dcmread(BytesIO(archive.read(name))) for name in archive.namelist()]
    assert all(np.array_equal(instance.pixel_array, SMALL) for instance in instances)
    assert {instance.StudyInstanceUID for instance in instances} != {uid("s")}
    assert len({instance.StudyInstanceUID for instance in instances}) == 1
    everything = package.path.read_bytes()
    assert b"Phantom" not in everything and uid("s").encode() not in everything
    assert stat.S_IMODE(package.path.stat().st_mode) == 0o600


def test_what_cannot_be_made_safe_is_left_out_and_named(tmp_path: Path) -> None:
    """The safe part is packed; the caller learns what is missing and why."""
    unsafe = chest_radiograph(seed="c", pixels=SMALL, SOPClassUID=SecondaryCaptureImageStorage)
    paths = [*study(tmp_path), as_file(unsafe, tmp_path / "3.dcm")]
    package = package_study(paths, KEY, tmp_path / "a.zip")
    assert len(package.instances) == 2
    assert [(one.path.name, one.why) for one in package.left_out] == [("3.dcm", "unsafe_sop_class")]


def test_nothing_safe_is_no_archive(tmp_path: Path) -> None:
    """A study of which nothing may leave gives an error, and no file is left behind."""
    unsafe = chest_radiograph(pixels=SMALL, BurnedInAnnotation="YES")
    with pytest.raises(CannotDeidentify, match="nothing_safe"):
        package_study([as_file(unsafe, tmp_path / "1.dcm")], KEY, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_file_that_is_not_dicom_is_left_out(tmp_path: Path) -> None:
    """Junk among the files does not stop the rest."""
    (tmp_path / "junk").write_bytes(b"junk")
    package = package_study([tmp_path / "junk", *study(tmp_path)], KEY, tmp_path / "a.zip")
    assert [one.why for one in package.left_out] == ["not_dicom"]


def test_one_instance_twice_is_packed_once(tmp_path: Path) -> None:
    """Two files with one SOP Instance UID are one entry."""
    paths = study(tmp_path)
    again = as_file(chest_radiograph(seed="a", pixels=SMALL, StudyInstanceUID=uid("s")), tmp_path / "9.dcm")
    assert len(package_study([*paths, again], KEY, tmp_path / "a.zip").instances) == 2


def test_the_site_key_is_made_once_and_kept(tmp_path: Path) -> None:
    """32 random bytes, for the owner's eyes only, the same on every later call."""
    path = tmp_path / "keys" / "site.key"
    key = site_key(path)
    assert len(key) == KEY_BYTES and site_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert site_key(tmp_path / "other.key") != key


def test_a_damaged_or_open_key_is_refused_not_replaced(tmp_path: Path) -> None:
    """A new key would rename every patient, so a bad one needs a person."""
    path = tmp_path / "site.key"
    site_key(path)
    path.chmod(0o644)
    with pytest.raises(SiteKeyUnusable, match="read by others"):
        site_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(SiteKeyUnusable, match="5 bytes"):
        site_key(path)
    assert path.read_bytes() == b"short"
