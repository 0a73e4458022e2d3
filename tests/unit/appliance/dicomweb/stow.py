"""Requests as a DICOMweb client makes them."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from typing import Any

from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from tests.dicom_factory import as_bytes
from tests.small_box import SmallBox

ROOT = "/dicom-web"
RELATED = 'multipart/related; type="application/dicom"; boundary=xyz'


def body_of(*parts: bytes, media_type: str = "application/dicom", end: bytes = b"\r\n--xyz--\r\n") -> bytes:
    """A multipart body with these parts."""
    head = f"--xyz\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return b"\r\n".join(head + part for part in parts) + end


@dataclass
class Web:
    """The box and its client."""

    box: SmallBox
    client: TestClient

    def store(self, *contents: Dataset | bytes, study: str = "", **more: Any) -> Any:
        """POST instances; returns the answer."""
        parts = [as_bytes(one) if isinstance(one, Dataset) else one for one in contents]
        address = f"{ROOT}/studies/{study}" if study else f"{ROOT}/studies"
        return self.client.post(address, content=body_of(*parts), headers={"Content-Type": RELATED} | more)

    def get(self, path: str, accept: str = "*/*", **parameters: str) -> Any:
        """GET below the root; returns the answer."""
        return self.client.get(f"{ROOT}{path}", params=parameters, headers={"Accept": accept})

    def search(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """A search that must succeed."""
        answer = self.get(path, "application/dicom+json", **parameters)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


def path_of(dataset: Dataset) -> str:
    """Where an instance is to be found below the root."""
    series = f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
    return f"{series}/instances/{dataset.SOPInstanceUID}"


def parts_of(answer: Any) -> list[tuple[str, bytes]]:
    """The media type and the bytes of each part of a multipart answer."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content)
    found = message.get_payload()
    assert isinstance(found, list)
    return [(str(part["Content-Type"]), _exact(answer, number)) for number, part in enumerate(found)]


def _exact(answer: Any, number: int) -> bytes:
    """The bytes themselves: the mail parser treats line ends as text."""
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    part: bytes = answer.content.split(b"\r\n--" + boundary)[number + 1]
    return part.split(b"\r\n\r\n", 1)[1]
