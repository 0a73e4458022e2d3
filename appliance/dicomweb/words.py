"""Names that several modules of this package need."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

#: Below this path of the status page's server all of it lies.
ROOT_PATH: Final = "/dicom-web"
#: What stands as the sender of an instance that came by STOW-RS, as a calling AE title does for one by C-STORE.
SOURCE: Final = "DICOMWEB"
DICOM: Final = "application/dicom"
DICOM_JSON: Final = "application/dicom+json"
OCTETS: Final = "application/octet-stream"
MULTIPART: Final = "multipart/related"


def root_of(request: Request) -> str:
    """The address of all this as the requester knows it, with a closing slash."""
    return f"{str(request.base_url).rstrip('/')}{ROOT_PATH}/"
