"""QIDO-RS over real files: what is found at each level, and what is said where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from appliance.dicomweb.held_tables import held_headers
from appliance.disk.tables import DeletionState, deletions
from store_forward.database import writing
from tests.dicom_factory import uid
from tests.small_box import NOW, image
from tests.unit.appliance.dicomweb.stow import Web

OpenWeb = Callable[..., Web]


def _values(found: list[dict[str, Any]], key: str) -> list[Any]:
    return [one[key]["Value"][0] for one in found]


def _fill(here: Web) -> None:
    """Two studies: one with two series of two and one instances, one with a single instance, arrived later."""
    common: dict[str, Any] = {"StudyInstanceUID": uid("s"), "PatientName": "Müller^Zoë", "StudyDate": "20260102"}
    first: dict[str, Any] = {"SeriesInstanceUID": uid("1"), "SeriesNumber": 1, "SeriesDescription": "AP", **common}
    here.box.receive(
        image(seed="a", InstanceNumber=1, **first),
        image(seed="b", InstanceNumber=2, **first),
        image(seed="c", SeriesInstanceUID=uid("2"), SeriesNumber=2, **common),
    )
    here.box.receive(image(seed="d", StudyDate="20260315", PatientName="Doe^Jane"), now=NOW + 60)


def test_studies_are_found_by_what_they_are(web: OpenWeb) -> None:
    """Dates, ranges, wildcards, names whatever their case, lists of UIDs; the latest first, counted, addressed."""
    here = web()
    _fill(here)
    found = here.search("/studies")
    assert _values(found, "0020000D") == [uid("study d"), uid("s")]
    assert _values(found, "00201206") == [1, 2]
    assert _values(found, "00201208") == [1, 3]
    assert found[1]["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoë"}]
    assert found[1]["00081190"]["Value"] == [f"http://127.0.0.1:8080/dicom-web/studies/{uid('s')}"]
    assert "0020000E" not in found[0]
    for asked, number in (
        ({"StudyDate": "20260102"}, 1), ({"00080020": "20260101-20260131"}, 1), ({"StudyDate": "20260201-"}, 1),
        ({"StudyDate": "-20260401"}, 2), ({"PatientName": "müller*"}, 1), ({"PatientName": "*o*"}, 2),
        ({"PatientID": "P-d"}, 1), ({"PatientID": "P-?"}, 2), ({"PatientID": "p-d"}, 0),
        ({"StudyInstanceUID": f"{uid('s')},{uid('other')}"}, 1), ({"ModalitiesInStudy": "CT,DX"}, 2),
        ({"ModalitiesInStudy": "CT"}, 0), ({"StudyTime": "10-1016"}, 2), ({"PatientSex": "M"}, 0),
        ({"ReferringPhysicianName": "ref*", "StudyDate": "20260102"}, 1), ({"AccessionNumber": ""}, 2),
    ):  # fmt: skip
        assert len(here.search("/studies", **asked)) == number, asked


def test_series_and_instances_within_and_across_studies(web: OpenWeb) -> None:
    """Each level has its own attributes, and those of the levels above unless the path names them."""
    here = web()
    _fill(here)
    series = here.search(f"/studies/{uid('s')}/series")
    assert sorted(_values(series, "00200011")) == [1, 2]
    assert sorted(_values(series, "00201209")) == [1, 2]
    assert "00100010" not in series[0]
    assert len(here.search("/series")) == 3
    assert _values(here.search("/series", SeriesDescription="A*"), "0020000E") == [uid("1")]
    one = f"/studies/{uid('s')}/series/{uid('1')}/instances"
    assert sorted(_values(here.search(one), "00200013")) == [1, 2]
    assert _values(here.search(one, InstanceNumber="2"), "00080018") == [uid("instance b")]
    everywhere = here.search("/instances", PatientName="doe^jane")
    assert _values(everywhere, "00080018") == [uid("instance d")]
    assert _values(everywhere, "00280010") == [96]
    assert everywhere[0]["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert len(here.search(f"/studies/{uid('s')}/instances")) == 3
    assert here.search(f"/studies/{uid('none')}/series") == []


def test_limits_offsets_and_fields(web: OpenWeb) -> None:
    """The server's own limit says that there is more; a page that was asked for does not."""
    here = web(dicomweb={"max_results": 1})
    _fill(here)
    cut = here.get("/studies", "application/dicom+json")
    assert len(cut.json()) == 1
    assert "additional results" in cut.headers["warning"]
    second = here.get("/studies", "application/dicom+json", limit="1", offset="1", fuzzymatching="true")
    assert _values(second.json(), "0020000D") == [uid("s")]
    assert "Only literal matching" in second.headers["warning"]
    assert "00101010" not in second.json()[0]
    (more,) = here.search("/studies", includefield="00101010,StudyDescription", limit="1")
    assert more["00101010"]["Value"] == ["004Y"]


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/studies", {"NoSuchName": "x"}, 400),
        ("/studies", {"PixelData": "x"}, 400),
        ("/studies", {"SOPInstanceUID": "1"}, 400),
        ("/studies", {"limit": "-1"}, 400),
        ("/studies", {"offset": "many"}, 400),
        ("/nothing", {}, 404),
    ],
)
def test_what_is_not_understood_is_no_empty_list(
    web: OpenWeb, path: str, parameters: dict[str, str], status: int
) -> None:
    """A key that cannot be matched is an error, not an answer to another question."""
    answer = web().get(path, **parameters)
    assert answer.status_code == status
    assert answer.json()["status"] == "failed"


def test_only_dicom_json_is_spoken(web: OpenWeb) -> None:
    """Asked for XML alone, it says so."""
    answer = web().get("/studies", 'multipart/related; type="application/dicom+xml"')
    assert answer.status_code == 406


def test_headers_are_read_once_and_a_lost_file_is_still_found(web: OpenWeb) -> None:
    """What the rows know is enough to say that the study is there."""
    here = web()
    sent = image(PatientName="Lost^File")
    here.box.receive(sent)
    for path in here.box.spool.root.glob("objects/*/*"):
        path.unlink()
    (found,) = here.search("/instances")
    assert found["00080056"]["Value"] == ["UNAVAILABLE"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Lost^File"}]
    assert here.box.count(held_headers) == 0
    here.box.admit(sent)
    assert here.search("/instances")[0]["00080056"]["Value"] == ["ONLINE"]
    assert here.box.count(held_headers) == 1


def test_behind_a_proxy_addresses_are_those_of_the_proxy(web: OpenWeb) -> None:
    """With or without a closing slash in the configuration."""
    here = web(dicomweb={"public_url": "https://box.example.org/dicom-web/"})
    study = here.box.receive(image())
    (found,) = here.search("/studies")
    assert found["00081190"]["Value"] == [f"https://box.example.org/dicom-web/studies/{study}"]


def test_studies_whose_files_were_deleted_are_not_offered(web: OpenWeb) -> None:
    """Retention has deleted them; asked for by name they are gone, not unknown."""
    here = web()
    study = here.box.receive(image())
    with writing(here.box.engine) as connection:
        row = {"study_instance_uid": study, "revision": 1, "state": DeletionState.REMOVED, "began_at": NOW}
        connection.execute(insert(deletions).values(**row))
    assert here.search("/studies") == []
    assert here.get(f"/studies/{study}").status_code == 410
