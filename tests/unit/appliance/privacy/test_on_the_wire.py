"""What the uplink really sends, header by header and byte by byte, names nobody."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import httpx2
from pydicom.uid import CTImageStorage

from appliance.privacy.outgoing import require_nothing_in_text
from appliance.privacy.package import identifiers_in, package_study
from appliance.privacy.policy import DEFAULT_POLICY
from store_forward.uplink import CloudLink
from tests.dicom_factory import as_file
from tests.planted import Patient, planted_image
from tests.unit.store_forward.running_cloud import TOKEN, deliver, running, settings_at


class Recording(httpx2.HTTPTransport):
    """The real transport; keeps what goes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[str] = []
        self.bodies = b""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Note the request line, the headers (what tus encodes in them, too) and the body, and send them."""
        self.bodies += request.read()
        metadata = request.headers.get("Upload-Metadata", "")
        told = [base64.b64decode(pair.split(" ")[1]).decode() for pair in metadata.split(",") if " " in pair]
        self.heads.append(f"{request.method} {request.url} {list(request.headers.items())} {told}")
        return super().handle_request(request)


def test_no_request_carries_anything_of_the_patients(tmp_path: Path) -> None:
    """Addresses, headers and bodies of a whole upload to a real endpoint."""
    patient = Patient(1)
    source = as_file(planted_image(CTImageStorage, patient), tmp_path / f"{patient.patient_id}.dcm")
    package = package_study([source], bytes(range(32)), tmp_path / "archive.zip")
    wire = Recording()
    with running(settings_at(tmp_path / "cloud")) as port, httpx2.Client(transport=wire) as client:
        link = CloudLink(f"http://127.0.0.1:{port}", TOKEN, "box-1", 4096, 10.0, client)
        deliver(link, package.path)
    assert hashlib.sha256(package.path.read_bytes()).hexdigest() in "".join(wire.heads)
    identifiers = identifiers_in([source], DEFAULT_POLICY)
    for head in wire.heads:
        require_nothing_in_text(identifiers, head, "a request")
    seen = ("".join(wire.heads).encode() + wire.bodies).lower()
    assert [trace for trace in patient.traces if trace.encode() in seen] == []
    assert len(wire.bodies) >= package.path.stat().st_size
