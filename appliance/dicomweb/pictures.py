"""WADO-RS of frames, as stored or decompressed, and of pictures for people (PS3.18 10.4.1.1.5 to .7, 8.3.5)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

from pydicom.uid import ExplicitVRLittleEndian
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from appliance.dicomweb.accept import Accepted, accepted
from appliance.dicomweb.frames import NoSuchFrame, Picture, frame_of, rendered
from appliance.dicomweb.held import Held
from appliance.dicomweb.opening import Unreadable
from appliance.dicomweb.parts import Part, multipart_answer, one_piece, single_answer
from appliance.dicomweb.readers import Readers
from appliance.dicomweb.retrieve import PLAIN, RetrieveEndpoint, readable
from appliance.dicomweb.words import OCTETS
from models.pixels import PixelLimits

_Found = TypeVar("_Found")
MOST_FRAMES: Final = 1000
LONGEST_SIDE_PX: Final = 8192
THUMBNAIL_PX: Final = 200
_FRAMES: Final = re.compile(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*")
#: The media type of a frame in each compressed transfer syntax (PS3.18 tables 8.7.3-4 and -5).
FRAME_MEDIA_TYPES: Final = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **{f"1.2.840.10008.1.2.4.{n}": "image/jpeg" for n in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jls" for n in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jp2" for n in (90, 91)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jpx" for n in (92, 93)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jxl" for n in (110, 111, 112)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jphc" for n in (201, 202, 203)},
}
_PICTURES: Final = {
    "image/jpeg": "image/jpeg",
    "image/png": "image/png",
    "image/*": "image/jpeg",
    "*/*": "image/jpeg",
}


class PictureEndpoint:
    """Answers GET of frames and pictures; one for the process."""

    def __init__(self, retrieve: RetrieveEndpoint, readers: Readers, limits: PixelLimits) -> None:
        self._retrieve, self._readers, self._limits = retrieve, readers, limits

    async def frames(self, request: Request) -> Response:
        """The frames of the list in the path, each a part."""
        text = request.path_params.pop("frames")
        if _FRAMES.fullmatch(text) is None or text.count(",") >= MOST_FRAMES:
            raise HTTPException(400, f"Frames are numbers from 1 with commas between, {MOST_FRAMES} at most.")
        (one,), _ = await self._retrieve.held(request)
        ranges = accepted(request)
        native = _native(one, ranges)
        kind = OCTETS if native else FRAME_MEDIA_TYPES.get(one.transfer_syntax_uid, OCTETS)
        numbers = [int(number) for number in text.split(",")]
        first = await self._frame(one, numbers[0], native, kind)
        if len(numbers) == 1 and not ranges[0].multipart and ranges[0].kind == kind:
            return single_answer(first)
        return multipart_answer(kind, self._parts(first, one, numbers[1:], native, kind))

    async def _parts(
        self, first: Part, one: Held, numbers: Sequence[int], native: bool, kind: str
    ) -> AsyncIterator[Part]:
        yield first
        for number in numbers:
            yield await self._frame(one, number, native, kind)

    async def _frame(self, one: Held, number: int, native: bool, kind: str) -> Part:
        found = await self._readers.run(frame_of, one.path, number, native, self._limits)
        frame = _value(found, 406 if native else 500)
        return Part(f"{kind}; transfer-syntax={frame.transfer_syntax_uid}", one_piece(frame.data))

    async def rendered(self, request: Request) -> Response:
        """One frame as a picture, the first unless the path says which."""
        text = request.path_params.pop("frames", "1")
        if not text.isascii() or not text.isdigit() or len(text) > 6:
            raise HTTPException(400, "One frame at a time is rendered.")
        picture = _picture(request)
        (one,), _ = await self._retrieve.held(request)
        return await self._shown(one, int(text), picture)

    async def thumbnail(self, request: Request) -> Response:
        """A small picture of the instance, or of the one in the middle of the series or study."""
        picture = _picture(request, THUMBNAIL_PX)
        found, _ = await self._retrieve.held(request)
        return await self._shown(found[len(found) // 2], 1, picture)

    async def _shown(self, one: Held, number: int, picture: Picture) -> Response:
        found = await self._readers.run(rendered, one.path, number, picture, self._limits)
        return Response(_value(found, 406), media_type=picture.media_type)


def _value(found: _Found | NoSuchFrame | Unreadable, status: int) -> _Found:
    if isinstance(found, NoSuchFrame):
        raise HTTPException(404, f"The instance has {found.number_of_frames} frames.")
    return readable(found, status)


def _native(one: Held, ranges: Sequence[Accepted]) -> bool:
    """Whether the frame is decompressed. Raises HTTPException 406: as asked for, it cannot be given."""
    own = FRAME_MEDIA_TYPES.get(one.transfer_syntax_uid, "")
    plain = one.transfer_syntax_uid in PLAIN
    for wanted in ranges:
        anything = wanted.kind in ("*/*", OCTETS, "application/*")
        if plain and anything and wanted.transfer_syntax_uid in ("", "*", ExplicitVRLittleEndian):
            return True
        if wanted.kind == own or (own.startswith("image/") and wanted.kind == "image/*"):
            if wanted.transfer_syntax_uid in ("", "*", one.transfer_syntax_uid):
                return False
        elif anything and wanted.transfer_syntax_uid in ("*", one.transfer_syntax_uid):
            return False
        elif anything and wanted.transfer_syntax_uid in ("", ExplicitVRLittleEndian):
            return True
    raise HTTPException(
        406, f"The frame is stored in {one.transfer_syntax_uid}; ask for {own or OCTETS}, or for {OCTETS} decompressed."
    )


def _picture(request: Request, longest_px: int | None = None) -> Picture:
    """What the query asks for. Raises HTTPException: 406 for another kind of file, 400 for what is not understood."""
    kinds = [_PICTURES[one.kind] for one in accepted(request) if not one.multipart and one.kind in _PICTURES]
    if not kinds:
        raise HTTPException(406, "Pictures are given as image/jpeg or image/png.")
    asked = request.query_params
    try:
        viewport = [int(one) for one in asked["viewport"].split(",")] if "viewport" in asked else []
        window = asked["window"].split(",") if "window" in asked else []
        through = (float(window[0]), float(window[1])) if window else None
        quality = int(asked.get("quality", "90"))
    except (ValueError, IndexError):
        raise HTTPException(400, "viewport is W,H; window is CENTER,WIDTH,linear; quality is 1 to 100.") from None
    if viewport and (len(viewport) != 2 or not all(1 <= side <= LONGEST_SIDE_PX for side in viewport)):
        raise HTTPException(
            400, f"viewport is W,H, each from 1 to {LONGEST_SIDE_PX}; a part of it cannot be asked for."
        )
    if through is not None and (through[1] < 1 or window[2:] not in ([], ["linear"])):
        raise HTTPException(400, "window is CENTER,WIDTH,linear with a WIDTH of at least 1.")
    if not 1 <= quality <= 100:
        raise HTTPException(400, "quality is 1 to 100.")
    width, height = viewport or (longest_px, longest_px)
    return Picture(kinds[0], width, height, through, quality)
