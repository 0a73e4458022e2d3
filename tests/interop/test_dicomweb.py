"""DICOMweb with two peers that are not ours: the dicomweb-client package, and Orthanc's plugin as our client."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless

from appliance.demo.stage import listening
from appliance.dicomweb.words import SOURCE
from appliance.results.stow import StowLink
from tests.dicom_factory import as_bytes, as_file, chest_radiograph, compressed, uid
from tests.interop.peers import Box, running
from tests.interop.test_orthanc import orthanc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]
TOKEN = "shown by those who may"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@contextmanager
def _web(folder: Path) -> Iterator[tuple[Box, str]]:
    """A box whose DICOMweb asks for a token, and its address."""
    (folder / "token").write_text(TOKEN)
    box = Box(folder, f'[dicomweb]\nenabled = true\nopening_timeout_s = 300\ntoken_file = "{folder / "token"}"\n')
    address = f"http://127.0.0.1:{box.page_port}/dicom-web"
    with box.config.open("a", encoding="utf-8") as config:  # dicomweb-client leaves the port out of the Host it names
        config.write(f'public_url = "{address}"\n')
    command = [sys.executable, "-m", "appliance", "run", "web", "--config", str(box.config)]
    with running(command, box.log, lambda: listening(box.page_port)):
        yield box, address
    box.home.engine.dispose()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Box, str]]:
    """One box for the test."""
    with _web(tmp_path) as found:
        yield found


def _read_back(dataset: Dataset) -> Dataset:
    """As read from a file: only then does the client write a whole file again, preamble and all."""
    return dcmread(io.BytesIO(as_bytes(dataset)))


def test_a_dicomweb_client_stores_searches_and_retrieves(web: tuple[Box, str]) -> None:
    """What it stored is durable, found at every level, and comes back as it was, whole and in parts."""
    box, address = web
    common: dict[str, Any] = {"StudyInstanceUID": uid("s"), "SeriesInstanceUID": uid("1"), "PatientName": "Müller^Zoë"}
    plain = _read_back(chest_radiograph(seed="a", **common))
    packed = _read_back(compressed(chest_radiograph(seed="b", InstanceNumber=2, **common), JPEG2000Lossless))
    client = DICOMwebClient(address, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = client.store_instances([plain, packed])
    assert len(answer.ReferencedSOPSequence) == 2
    for sent in (plain, packed):
        assert dcmread(box.stored(sent.SOPInstanceUID)) == sent
        assert box.instance(sent.SOPInstanceUID).source == SOURCE

    (study,) = client.search_for_studies(search_filters={"PatientName": "Mül*"}, fields=["StudyDescription"])
    assert study["00201208"]["Value"] == [2]
    (series,) = client.search_for_series(study_instance_uid=uid("s"))
    assert series["0020000E"]["Value"] == [uid("1")]
    found = client.search_for_instances(uid("s"), uid("1"), search_filters={"InstanceNumber": "2"})
    assert [one["00080018"]["Value"] for one in found] == [[packed.SOPInstanceUID]]
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []

    assert {one.SOPInstanceUID for one in client.retrieve_study(uid("s"))} == {
        plain.SOPInstanceUID, packed.SOPInstanceUID,
    }  # fmt: skip
    assert client.retrieve_instance(uid("s"), uid("1"), packed.SOPInstanceUID) == packed
    metadata = client.retrieve_series_metadata(uid("s"), uid("1"))
    assert {one["00080018"]["Value"][0] for one in metadata} == {plain.SOPInstanceUID, packed.SOPInstanceUID}
    (frame,) = client.retrieve_instance_frames(
        uid("s"), uid("1"), packed.SOPInstanceUID, [1], media_types=("application/octet-stream",)
    )
    assert frame == packed.pixel_array.astype("<u2").tobytes()
    (frame,) = client.retrieve_instance_frames(
        uid("s"), uid("1"), packed.SOPInstanceUID, [1], media_types=(("image/jp2", JPEG2000Lossless),)
    )
    assert frame.startswith(b"\xff\x4f\xff\x51")
    picture = client.retrieve_instance_rendered(
        uid("s"), uid("1"), packed.SOPInstanceUID, media_types=("image/png",), params={"viewport": "128,128"}
    )
    assert np.asarray(Image.open(io.BytesIO(picture))).shape == (128, 128)
    (one,) = (one for one in metadata if one["00080018"]["Value"] == [plain.SOPInstanceUID])
    (bulk,) = client.retrieve_bulkdata(one["7FE00010"]["BulkDataURI"])
    assert bulk == plain.PixelData


def test_a_dicomweb_client_is_told_what_was_refused(web: tuple[Box, str]) -> None:
    """Without the token nothing; other content under a known UID is an error there, too."""
    _, address = web
    with pytest.raises(requests.HTTPError, match="401"):
        DICOMwebClient(address).search_for_studies()
    client = DICOMwebClient(address, headers={"Authorization": f"Bearer {TOKEN}"})
    client.store_instances([_read_back(chest_radiograph())])
    with pytest.raises(requests.HTTPError, match="409"):
        client.store_instances([_read_back(chest_radiograph(PatientName="Other^Name"))])


def test_orthanc_stores_to_the_box_and_retrieves_from_it(web: tuple[Box, str], tmp_path: Path) -> None:
    """By its DICOMweb plugin: STOW-RS to us, QIDO-RS to us, and after it lost the study, WADO-RS from us."""
    box, address = web
    assert PLUGIN.exists(), f"{PLUGIN} is missing; make interop installs it"
    server = {"Url": f"{address}/", "HttpHeaders": {"Authorization": f"Bearer {TOKEN}"}}
    settings = {"Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True, "Servers": {"box": server}}}
    sent = [chest_radiograph(seed="a"), compressed(chest_radiograph(seed="b"), JPEG2000Lossless)]
    with orthanc(tmp_path / "orthanc", **settings) as peer:
        names = [peer.add(one) for one in sent]
        peer.post("/dicom-web/servers/box/stow", {"Resources": names, "Synchronous": True})
        for one in sent:
            assert dcmread(box.stored(one.SOPInstanceUID)).PixelData == one.PixelData
        found = peer.post("/dicom-web/servers/box/qido", {"Uri": "/studies", "Arguments": {"PatientID": "P-b"}})
        assert len(found) == 1
        assert sent[1].StudyInstanceUID in json.dumps(found)
        for one in sent:
            peer.delete_study(one.StudyInstanceUID)
        assert peer.studies() == {}
        wanted = [{"Study": one.StudyInstanceUID} for one in sent]
        peer.post("/dicom-web/servers/box/retrieve", {"Resources": wanted, "Synchronous": True})
        assert peer.studies().keys() == {one.StudyInstanceUID for one in sent}
        for name in peer.get("/instances"):
            data = peer.file(name)
            assert data in [as_bytes(one) for one in sent] or dcmread(io.BytesIO(data)) in sent


def test_results_go_to_orthanc_by_stow(tmp_path: Path) -> None:
    """What the box sends is there bit by bit; sent twice it is one."""
    sent = chest_radiograph()
    path = as_file(sent, tmp_path / "result.dcm")
    settings = {"Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True}}
    unused: Any = None  # a result says all of itself
    with orthanc(tmp_path / "orthanc", **settings) as peer:
        link = StowLink("orthanc", f"http://127.0.0.1:{peer.http_port}/dicom-web", None, 60.0)
        for _ in range(2):
            assert link.carry(path, unused, lambda: False).startswith("stored by STOW-RS, status 200")
        link.close()
        (name,) = peer.get("/instances")
        assert dcmread(io.BytesIO(peer.file(name))) == sent
