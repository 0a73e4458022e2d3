"""DCMTK as scanner and as archive: every transfer syntax it speaks goes in unchanged, every result comes out whole."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HEVCMP51,
    JPEG2000,
    MPEG2MPML,
    MPEG4HP41,
    UID,
    JPEG2000Lossless,
    SecondaryCaptureImageStorage,
)

from appliance.ingest.header import dataset_digest
from appliance.results.outcome import ImageFinding, StudyOutcome
from appliance.results.pacs import PacsLink
from appliance.results.picture import build_picture
from appliance.results.report import build_report
from appliance.schema import instances
from appliance.settings import Dicom
from models.decision import Decision, PackIdentity
from tests.dicom_factory import as_file, chest_pixels, chest_radiograph, compressed, uid
from tests.interop.peers import Box, digests, run, storescp, succeed

pytestmark = pytest.mark.interop
_SUCCESS = "DIMSE Status                  : 0x0000: Success"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A receiver as its own process, for all tests of this file."""
    with Box(tmp_path_factory.mktemp("box")).serving("run", "receiver") as serving:
        yield serving


def _send(box: Box, *arguments: str | Path) -> str:
    """``storescu`` to the box; returns what it said of the exchange."""
    return succeed("storescu", "-d", "-aec", "SCANSIDE", *arguments)


def _small(seed: str, bits: int = 12) -> Dataset:
    pixels = chest_pixels(96, 128, bits)
    return chest_radiograph(seed=seed, pixels=pixels.astype(np.uint8) if bits == 8 else pixels, bits=bits)


@dataclass(frozen=True)
class Syntax:
    """One transfer syntax and how a file in it is made; what DCMTK has no encoder for is made by pydicom."""

    uid: str
    make: Callable[[Path, Path], object]


def _by(name: str, *options: str, bits: int = 12) -> Callable[[Path, Path], object]:
    def make(source: Path, target: Path) -> str:
        as_file(_small(target.stem, bits), source)
        return succeed(name, *options, source, target)

    return make


def _by_pydicom(syntax: UID, **options: object) -> Callable[[Path, Path], object]:
    return lambda _source, target: as_file(compressed(_small(target.stem), syntax, **options), target)


def _opaque(syntax: UID) -> Callable[[Path, Path], object]:
    """Pixels nobody can decode: reception must not care."""

    def make(_source: Path, target: Path) -> Path:
        dataset = _small(target.stem, 8)
        dataset.PixelData = encapsulate([bytes(range(256)) * 5])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
        return as_file(dataset, target)

    return make


SYNTAXES = {
    "implicit little endian": Syntax("1.2.840.10008.1.2", _by("dcmconv", "+ti")),
    "explicit little endian": Syntax("1.2.840.10008.1.2.1", _by("dcmconv", "+te")),
    "explicit big endian": Syntax("1.2.840.10008.1.2.2", _by("dcmconv", "+tb")),
    "deflated": Syntax("1.2.840.10008.1.2.1.99", _by("dcmconv", "+td")),
    "JPEG baseline": Syntax("1.2.840.10008.1.2.4.50", _by("dcmcjpeg", "+eb", bits=8)),
    "JPEG extended 12 bit": Syntax("1.2.840.10008.1.2.4.51", _by("dcmcjpeg", "+ee", "+bt")),
    "JPEG spectral selection": Syntax("1.2.840.10008.1.2.4.53", _by("dcmcjpeg", "+es", "+bt")),
    "JPEG progressive": Syntax("1.2.840.10008.1.2.4.55", _by("dcmcjpeg", "+ep", "+bt")),
    "JPEG lossless": Syntax("1.2.840.10008.1.2.4.57", _by("dcmcjpeg", "+el")),
    "JPEG lossless SV1": Syntax("1.2.840.10008.1.2.4.70", _by("dcmcjpeg", "+e1")),
    "JPEG-LS lossless": Syntax("1.2.840.10008.1.2.4.80", _by("dcmcjpls", "+el")),
    "JPEG-LS near-lossless": Syntax("1.2.840.10008.1.2.4.81", _by("dcmcjpls", "+en")),
    "JPEG 2000 lossless": Syntax(JPEG2000Lossless, _by_pydicom(JPEG2000Lossless)),
    "JPEG 2000": Syntax(JPEG2000, _by_pydicom(JPEG2000, j2k_cr=[8])),
    "RLE": Syntax("1.2.840.10008.1.2.5", _by("dcmcrle")),
    "MPEG-2": Syntax(MPEG2MPML, _opaque(MPEG2MPML)),
    "MPEG-4": Syntax(MPEG4HP41, _opaque(MPEG4HP41)),
    "HEVC": Syntax(HEVCMP51, _opaque(HEVCMP51)),
}


def _offering(folder: Path, sop_class_uid: str, transfer_syntax_uid: str) -> list[str]:
    """A profile for ``storescu`` or ``storescp``: one presentation context with one transfer syntax, nothing else."""
    profile = folder / "profile.cfg"
    profile.write_text(
        f"[[TransferSyntaxes]]\n[Only]\nTransferSyntax1 = {transfer_syntax_uid}\n"
        f"[[PresentationContexts]]\n[One]\nPresentationContext1 = {sop_class_uid}\\Only\n"
        "[[Profiles]]\n[Alone]\nPresentationContexts = One\n",
        encoding="ascii",
    )
    return ["-xf", str(profile), "Alone"]


def test_echo(box: Box) -> None:
    """``echoscu`` gets its answer."""
    assert "Echo Response (Success)" in succeed("echoscu", "-v", "-aec", "SCANSIDE", "127.0.0.1", str(box.port))


@pytest.mark.parametrize("name", SYNTAXES)
def test_every_transfer_syntax_offered_alone_is_stored_as_it_came(name: str, box: Box, tmp_path: Path) -> None:
    """The box and DCMTK's own bit-preserving SCP hold the same data set, and it is in the one syntax offered."""
    syntax = SYNTAXES[name]
    image = tmp_path / f"{syntax.uid[-9:]}.dcm"
    syntax.make(tmp_path / "source.dcm", image)
    sent = dcmread(image)
    assert sent.file_meta.TransferSyntaxUID == syntax.uid
    alone = _offering(tmp_path, sent.SOPClassUID, syntax.uid)
    assert _SUCCESS in _send(box, *alone, "127.0.0.1", str(box.port), image)
    with storescp(tmp_path / "archive", *alone) as port:
        assert _SUCCESS in _send(box, *alone, "127.0.0.1", str(port), image)
    stored = box.stored(sent.SOPInstanceUID)
    assert {dataset_digest(stored)} == digests(tmp_path / "archive")
    assert box.instance(sent.SOPInstanceUID).transfer_syntax_uid == syntax.uid
    assert dcmread(stored).PixelData == sent.PixelData


@pytest.mark.parametrize("option", ["-xi", "-xe", "-xb", "-xd"])
def test_what_storescu_transcodes_on_the_way_keeps_its_pixels(option: str, box: Box, tmp_path: Path) -> None:
    """An explicit little endian file sent in another uncompressed syntax has the same picture afterwards."""
    dataset = _small(f"transcoded {option}")
    image = as_file(dataset, tmp_path / "image.dcm")
    assert _SUCCESS in _send(box, "-R", option, "127.0.0.1", str(box.port), image)
    stored = dcmread(box.stored(dataset.SOPInstanceUID))
    assert np.array_equal(stored.pixel_array, dataset.pixel_array)
    assert stored.PatientName == dataset.PatientName


def test_dcmsend_of_a_folder(box: Box, tmp_path: Path) -> None:
    """A study in mixed transfer syntaxes arrives whole over one association, and again without doubling."""
    study = uid("folder")
    members = [chest_radiograph(seed=f"folder {n}", pixels=chest_pixels(64, 64), StudyInstanceUID=study) for n in "abc"]
    members.append(compressed(chest_radiograph(seed="folder d", StudyInstanceUID=study), JPEG2000Lossless))
    for number, member in enumerate(members):
        as_file(member, tmp_path / "in" / f"{number}.dcm")
    for _ in range(2):
        succeed("dcmsend", "-aec", "SCANSIDE", "+sd", "+r", "-dn", "127.0.0.1", str(box.port), tmp_path / "in")
        held = {row.sop_instance_uid for row in box.rows(instances) if row.study_instance_uid == study}
        assert held == {member.SOPInstanceUID for member in members}
        assert box.study(study).instance_count == len(members)


def test_an_unknown_sop_class_is_rejected_as_a_presentation_context(box: Box, tmp_path: Path) -> None:
    """The context is turned down for its abstract syntax (PS3.8 table 9-18, result 3), and the log names the class."""
    strange = "1.2.826.0.1.3680043.8.498.999"
    dataset = _small("strange")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(strange)
    image = as_file(dataset, tmp_path / "image.dcm")
    offered = _offering(tmp_path, strange, "1.2.840.10008.1.2.1")
    ended = run("storescu", "-d", *offered, "127.0.0.1", str(box.port), image)
    assert ended.returncode != 0
    assert "Context ID:        1 (Abstract Syntax Not Supported)" in ended.stdout
    assert strange in box.log.read_text(encoding="utf-8")
    assert dataset.SOPInstanceUID not in {row.sop_instance_uid for row in box.rows(instances)}


def test_the_same_uid_with_other_content_is_refused(box: Box, tmp_path: Path) -> None:
    """DCMTK sees the status 0xC111 and its comment; the first instance stays as it is."""
    first, second = _small("twice"), _small("twice", 8)
    assert _SUCCESS in _send(box, "-R", "127.0.0.1", str(box.port), as_file(first, tmp_path / "1.dcm"))
    before = box.instance(first.SOPInstanceUID).file_digest
    again = run("storescu", "-d", "-R", "127.0.0.1", str(box.port), as_file(second, tmp_path / "2.dcm"))
    assert "0xc111" in again.stdout
    assert box.instance(first.SOPInstanceUID).file_digest == before


def test_an_aborted_association_completes_the_study(box: Box, tmp_path: Path) -> None:
    """What was acknowledged before A-ABORT stays, and the study is due after its quiet time, as after a release."""
    dataset = _small("aborted")
    image = as_file(dataset, tmp_path / "image.dcm")
    said = _send(box, "-R", "--abort", "127.0.0.1", str(box.port), image)
    assert _SUCCESS in said
    assert "Aborting Association" in said
    give_up = time.monotonic() + 10.0
    while box.study(dataset.StudyInstanceUID).completes_at > time.time() + 0.5:
        assert time.monotonic() < give_up, "the study still waits for its sender"
        time.sleep(0.05)


def test_idle_connections_do_not_lock_anybody_out(box: Box) -> None:
    """Two hundred silent TCP connections: ``echoscu`` from the same address is answered before they time out."""
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", box.port), timeout=5.0))
        for _ in range(3):
            before = time.monotonic()
            succeed("echoscu", "-to", "5", "-aec", "SCANSIDE", "127.0.0.1", str(box.port))
            assert time.monotonic() - before < Dicom().acse_timeout_s


def _results() -> tuple[Dataset, bytes, bytes]:
    """An original with its report and its picture."""
    image = chest_radiograph(seed="result", PatientName="Müller^Zoë")
    outcome = StudyOutcome(
        image.StudyInstanceUID,
        1,
        Decision.urgent,
        1_773_483_300.0,
        findings=(ImageFinding(image.SOPInstanceUID, "pneumonia", 0.91),),
        pack=PackIdentity("chest-paediatric", "1.2.0", "ab" * 32),
        device="openvino:CPU",
    )
    heat = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)
    picture = build_picture(image, image.pixel_array.astype(np.float32), heat, outcome)
    return image, build_report([image], outcome), picture


def test_report_and_picture_arrive_at_storescp(tmp_path: Path) -> None:
    """DCMTK's archive holds both bit by bit, in the original study."""
    image, *documents = _results()
    paths = [tmp_path / f"{number}.dcm" for number in range(len(documents))]
    with storescp(tmp_path / "archive", "+xa") as port:
        link = PacsLink("127.0.0.1", port, "ARCHIVE", "SCANSIDE", 10.0)
        link.echo()
        for path, document in zip(paths, documents, strict=True):
            path.write_bytes(document)
            assert link.deliver(path) == "status 0x0000"
    assert digests(tmp_path / "archive") == {dataset_digest(path) for path in paths}
    received = [dcmread(path) for path in (tmp_path / "archive").iterdir()]
    assert {one.StudyInstanceUID for one in received} == {image.StudyInstanceUID}
    assert SecondaryCaptureImageStorage in {one.SOPClassUID for one in received}


def test_dsrdump_reads_the_report(tmp_path: Path) -> None:
    """DCMTK's SR reader checks the content tree against the IOD and prints what a person has to see."""
    image, report, _ = _results()
    (tmp_path / "report.dcm").write_bytes(report)
    said = succeed("dsrdump", "+Pl", "+Pu", "+U8", tmp_path / "report.dcm")
    for words in ("Comprehensive SR", "Müller^Zoë", '"Urgent"', '"Pneumonia"', "0.91", "1.2.0", "not for diagnosis"):
        assert words in said
    assert image.SOPInstanceUID in said
