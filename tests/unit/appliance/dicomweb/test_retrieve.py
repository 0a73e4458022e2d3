"""WADO-RS: files bit by bit, metadata, frames, bulk data and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from tests.dicom_factory import as_bytes, chest_pixels, chest_radiograph, compressed, set_pixels, uid
from tests.small_box import image
from tests.unit.appliance.dicomweb.stow import Web, parts_of, path_of

OpenWeb = Callable[..., Web]
OCTETS = 'multipart/related; type="application/octet-stream"'


def _frames(number: int, **overrides: Any) -> Dataset:
    """An image of several frames, each another picture."""
    dataset = image(**overrides)
    stack = np.stack([chest_pixels(64, 64, seed=seed) for seed in range(number)])
    set_pixels(dataset, stack[0], 12)
    dataset.NumberOfFrames, dataset.PixelData = number, stack.tobytes()
    return dataset


def test_files_come_back_bit_by_bit(web: OpenWeb) -> None:
    """Study, series and instance; one instance also without parts."""
    here = web()
    sent = [image(seed=seed, StudyInstanceUID=uid("s"), SeriesInstanceUID=uid("1")) for seed in "ab"]
    here.box.receive(*sent)
    whole = {as_bytes(one) for one in sent}
    for path in (f"/studies/{uid('s')}", f"/studies/{uid('s')}/series/{uid('1')}"):
        answer = here.get(path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
        assert answer.status_code == 200
        found = parts_of(answer)
        assert {data for _, data in found} == whole
        assert {kind for kind, _ in found} == {f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"}
    alone = here.get(path_of(sent[0]), "application/dicom")
    assert (alone.status_code, alone.content) == (200, as_bytes(sent[0]))
    assert here.get(path_of(sent[0]), "image/gif").status_code == 406
    assert here.get(f"/studies/{uid('none')}").status_code == 404
    assert here.get(f"/studies/{uid('s')}/series/1.2/instances/1.3").status_code == 404


def test_compressed_is_given_as_stored_or_decompressed(web: OpenWeb) -> None:
    """And what it is not stored in and cannot become is refused."""
    here, sent = web(), compressed(image(), JPEG2000Lossless)
    here.box.receive(sent)
    base = 'multipart/related; type="application/dicom"; transfer-syntax='
    ((_, stored),) = parts_of(here.get(path_of(sent), base + JPEG2000Lossless))
    assert stored == as_bytes(sent)
    ((kind, native),) = parts_of(here.get(path_of(sent), base + ExplicitVRLittleEndian))
    assert kind.endswith(ExplicitVRLittleEndian)
    assert np.array_equal(dcmread(BytesIO(native)).pixel_array, image().pixel_array)
    assert here.get(path_of(sent), base + RLELossless).status_code == 406


def test_a_damaged_file_is_never_given_as_whole(web: OpenWeb) -> None:
    """The answer is cut before its end; a lost one is an error, and one of several a part of the whole."""
    here = web()
    sent = [chest_radiograph(seed=seed, StudyInstanceUID=uid("s"), pixels=chest_pixels(1024, 1024)) for seed in "ab"]
    here.box.receive(*sent)
    first, second = sorted(here.box.spool.root.glob("objects/*/*"))
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    answer = here.get(f"/studies/{uid('s')}")
    assert not answer.content.endswith(b"--\r\n")
    first.unlink()
    assert here.get(f"/studies/{uid('s')}").status_code == 206
    second.unlink()
    lost = here.get(f"/studies/{uid('s')}")
    assert lost.status_code == 500
    assert "send it again" in lost.json()["detail"]


def test_metadata_have_all_but_bulk_data_and_say_where_these_are(web: OpenWeb) -> None:
    """As pydicom reads it; bulk data within sequences have an address, too."""
    here, sent = web(), image()
    item = Dataset()
    item.add_new(0x54001010, "OW", b"\x01\x02" * 2000)
    sent.WaveformSequence = [item]
    sent.PixelSpacing = [0.4, 0.4]
    here.box.receive(sent)
    (found,) = here.get(f"/studies/{sent.StudyInstanceUID}/metadata", "application/dicom+json").json()
    addresses = {}

    def remember(tag: str, _vr: str, value: str) -> bytes:
        addresses[tag] = value
        return b""

    read = Dataset.from_json(json.dumps(found), remember)
    assert read.PatientName == sent.PatientName
    assert read.PixelSpacing == sent.PixelSpacing
    root = "http://127.0.0.1:8080/dicom-web"
    assert addresses["7FE00010"] == f"{root}{path_of(sent)}/bulkdata/7FE00010"
    assert addresses["54001010"] == f"{root}{path_of(sent)}/bulkdata/54000100/0/54001010"
    for tag, value in (("7FE00010", sent.PixelData), ("54001010", item[0x54001010].value)):
        path = addresses[tag].removeprefix(root)
        ((kind, data),) = parts_of(here.get(path, OCTETS))
        assert (kind, data) == ("application/octet-stream", value)
        assert here.get(path, "application/octet-stream").content == value
    for wrong in ("00100010", "7FE00011", "../../../etc/passwd", "54000100/9/54001010"):
        assert here.get(f"{path_of(sent)}/bulkdata/{wrong}").status_code == 404


def test_metadata_of_an_implicit_vr_file_name_one_vr_each(web: OpenWeb) -> None:
    """What the file leaves open follows from Pixel Representation; frames and bulk data come from it, too."""
    here, sent = web(), image(PixelPaddingValue=7, SmallestImagePixelValue=1)
    sent.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    here.box.receive(sent)
    (found,) = here.get(f"{path_of(sent)}/metadata", "application/dicom+json").json()
    assert found["00280120"] == {"vr": "US", "Value": [7]}
    assert found["00280106"] == {"vr": "US", "Value": [1]}
    assert not [one for one in found.values() if " " in one["vr"]]
    ((_, frame),) = parts_of(here.get(f"{path_of(sent)}/frames/1", OCTETS))
    ((_, bulk),) = parts_of(here.get(f"{path_of(sent)}/bulkdata/7FE00010", OCTETS))
    assert frame == bulk == sent.PixelData


def test_frames_as_stored_and_decompressed(web: OpenWeb) -> None:
    """Each frame by its number, native and compressed, with the transfer syntax it is in."""
    here = web()
    native, packed = _frames(3, seed="n"), compressed(_frames(3, seed="p"), RLELossless)
    here.box.receive(native)
    here.box.receive(packed)
    stack = np.frombuffer(native.PixelData, "<u2").reshape(3, 64, 64)
    for one in (native, packed):
        answer = here.get(f"{path_of(one)}/frames/3,1", OCTETS)
        assert [data for _, data in parts_of(answer)] == [stack[2].tobytes(), stack[0].tobytes()]
        assert here.get(f"{path_of(one)}/frames/4", OCTETS).status_code == 404
        for wrong in ("0", "x", "1,,2", "-1"):
            assert here.get(f"{path_of(one)}/frames/{wrong}", OCTETS).status_code == 400
    ((kind, data),) = parts_of(here.get(f"{path_of(packed)}/frames/2", f"{OCTETS}; transfer-syntax=*"))
    assert kind == f"image/dicom-rle; transfer-syntax={RLELossless}"
    assert data.startswith(b"\x02\x00\x00\x00")  # two segments (PS3.5 G.5)
    assert here.get(f"{path_of(native)}/frames/1", 'multipart/related; type="image/jp2"').status_code == 406
    assert here.get(f"{path_of(native)}/frames/1", "application/octet-stream").content == stack[0].tobytes()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_big_endian_is_turned_round(web: OpenWeb, kind: type[np.generic]) -> None:
    """Frames are little endian in every case, also where a word of the file holds two pixels."""
    here, sent = web(), image()
    pixels = (chest_pixels(64, 64) >> 4).astype(kind)
    set_pixels(sent, pixels, 8)
    sent["PixelData"].VR = "OW"
    swapped = pixels.view(np.uint16).astype(">u2").tobytes()
    sent.PixelData = swapped
    sent.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    here.box.admit(_big_endian(sent))
    ((media_type, frame),) = parts_of(here.get(f"{path_of(sent)}/frames/1", OCTETS))
    assert media_type.endswith(ExplicitVRLittleEndian)
    assert frame == pixels.tobytes()
    picture = _shown(here.get(f"{path_of(sent)}/rendered", "image/png").content)
    assert np.corrcoef(picture.ravel(), pixels.ravel())[0, 1] > 0.99


def _big_endian(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True, implicit_vr=False, little_endian=False)
    return buffer.getvalue()


def test_colours_come_decompressed_as_rgb(web: OpenWeb) -> None:
    """Whichever codec; a picture of them is a colour picture."""
    here, sent = web(), image()
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[..., 0], colours[:, 32:, 1] = 200, 100
    set_pixels(sent, colours, 8)
    packed = compressed(sent, RLELossless)
    here.box.receive(packed)
    ((_, frame),) = parts_of(here.get(f"{path_of(sent)}/frames/1", OCTETS))
    assert frame == colours.tobytes()
    shown = cv2.imdecode(np.frombuffer(here.get(f"{path_of(sent)}/rendered", "image/png").content, np.uint8), -1)
    assert np.array_equal(np.asarray(shown)[..., ::-1], colours)


def test_pictures_for_people(web: OpenWeb) -> None:
    """JPEG or PNG, in the viewport, through a window, the right way round."""
    here = web()
    ramp = np.tile(np.arange(4096, dtype=np.uint16), (64, 1))
    for seed, kind in (("1", "MONOCHROME1"), ("2", "MONOCHROME2")):
        here.box.receive(_ramp(ramp, seed, kind))
    white_left, white_right = (_ramp(ramp, seed, kind) for seed, kind in (("1", "MONOCHROME1"), ("2", "MONOCHROME2")))
    shown = [_shown(here.get(f"{path_of(one)}/rendered", "image/png").content) for one in (white_left, white_right)]
    assert shown[1].shape == (64, 4096)
    assert shown[1][0, 0] == 0
    assert shown[1][0, -1] == 255
    assert np.array_equal(shown[0], 255 - shown[1])
    narrow = here.get(f"{path_of(white_right)}/rendered", "image/png", window="100,10", viewport="1024,1024")
    small = _shown(narrow.content)
    assert small.shape == (16, 1024)
    assert (small[0, 100], small[0, 0]) == (255, 0)
    assert here.get(f"{path_of(white_right)}/frames/1/rendered").headers["content-type"] == "image/jpeg"
    thumbnail = here.get(f"/studies/{white_right.StudyInstanceUID}/thumbnail")
    assert max(_shown(thumbnail.content).shape) == 200
    for wrong, status in (
        ({"viewport": "0,1"}, 400), ({"viewport": "a"}, 400), ({"window": "1"}, 400), ({"quality": "0"}, 400),
        ({"window": "1,2,sigmoid"}, 400), ({"accept": "video/mp4"}, 406),
    ):  # fmt: skip
        assert here.get(f"{path_of(white_right)}/rendered", **wrong).status_code == status


def _ramp(ramp: NDArray[Any], seed: str, kind: str) -> Dataset:
    dataset = image(seed=seed)
    set_pixels(dataset, ramp, 12)
    dataset.PhotometricInterpretation = kind
    del dataset.WindowCenter, dataset.WindowWidth
    return dataset


def _shown(data: bytes) -> NDArray[Any]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize("what", ["rendered", "frames/1"])
def test_what_cannot_be_decoded_has_a_reason(web: OpenWeb, what: str) -> None:
    """Damaged pixels: refused, with the hint that the file itself can be had."""
    here = web()
    sent = compressed(image(), RLELossless)
    sent.PixelData = sent.PixelData[:40] + b"\xff" * (len(sent.PixelData) - 48) + sent.PixelData[-8:]
    here.box.receive(sent)
    accept = OCTETS if what.startswith("frames") else "image/png"
    answer = here.get(f"{path_of(sent)}/{what}", accept)
    assert answer.status_code == 406
    assert here.get(path_of(sent), "application/dicom").content == as_bytes(sent)
