"""What a requester accepts: the Accept header or the ``accept`` query parameter (PS3.18 8.3.3.1, 8.7.5)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.request import parse_http_list

from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from appliance.dicomweb.words import DICOM_JSON, MULTIPART

_JSON = frozenset({DICOM_JSON, "application/json", "application/*", "*/*"})


@dataclass(frozen=True)
class Accepted:
    """One media range; ``kind`` is that of the parts when ``multipart``. ``""`` where no transfer syntax is named."""

    kind: str
    transfer_syntax_uid: str
    multipart: bool


def accepted(request: Request) -> tuple[Accepted, ...]:
    """In the requester's order; those with q=0 are left out. Without any: everything."""
    asked = [request.query_params["accept"]] if "accept" in request.query_params else request.headers.getlist("accept")
    ranges = [one for value in asked for item in parse_http_list(value) if (one := _range(item)) is not None]
    return tuple(ranges) or (Accepted("*/*", "*", True), Accepted("*/*", "*", False))


def _range(item: str) -> Accepted | None:
    kind, options = parse_options_header(item)
    values = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in options.items()}
    if not kind or values.get("q", "1") in ("0", "0.0", "0.00", "0.000"):
        return None
    name = kind.decode("latin-1")
    multipart = name in (MULTIPART, "multipart/*")
    syntax = values.get("transfer-syntax", "*" if name == "*/*" else "")
    return Accepted(values.get("type", "*/*").lower() if multipart else name, syntax, multipart)


def wants_json(request: Request) -> None:
    """Raises HTTPException 406 when DICOM JSON is not accepted."""
    if not any(one.kind in _JSON and not one.multipart for one in accepted(request)):
        raise HTTPException(406, f"This is answered as {DICOM_JSON} only.")
