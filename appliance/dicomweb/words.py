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


def root_of(request: Request, public_url: str | None) -> str:
    """The address of all this with a closing slash: ``public_url``, or else as the requester named it."""
    return f"{(public_url or f'{request.base_url}'.rstrip('/') + ROOT_PATH).rstrip('/')}/"
