"""Read a camera RAW: the preview that the camera made, or a picture developed from the sensor data.

Nearly every RAW file contains a JPEG that the camera developed, which is decoded in a tenth of a
second. If there is none, or only a tiny one, the sensor data are developed at half their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any

from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_types import wanting
from indexer.media.image import (
    BAD_DATA,
    MAX_MEGAPIXELS,
    Claim,
    check_size,
    free,
    read_photo,
    smaller,
)

_COST = 16  # bytes a pixel that developing takes at most

_TURNS = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_90,
    6: Image.Transpose.ROTATE_270,
}
"""What LibRaw's `flip` asks for."""


@dataclass(frozen=True, kw_only=True)
class RawImage:
    """A RAW as a person sees it, and the size in pixels of the upright photo it is of."""

    image: Image.Image
    width: int
    height: int


def read_raw(
    data: bytes, *, size_hint: int, max_megapixels: float = MAX_MEGAPIXELS, claim: Claim = free
) -> RawImage:
    """Read the picture of a RAW: upright, RGB; see `indexer.media.image.read_photo`.

    Raises:
        FileUnreadable: the reason, fit for a list of skipped files.
    """
    try:
        rawpy: Any = import_module("rawpy")
    except ImportError as error:
        raise FileUnreadable(wanting("raw")) from error
    if not data:
        raise FileUnreadable("empty file")
    try:
        with rawpy.imread(BytesIO(data)) as raw:
            sides = (raw.sizes.width, raw.sizes.height)
            check_size(sides, max_megapixels)
            width, height = sides[::-1] if raw.sizes.flip in (5, 6) else sides
            image = _preview(rawpy, raw, size_hint, claim)
            if image is None or min(image.size) < min(size_hint, *sides):
                claim(_COST * width * height)
                image = Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))
            return RawImage(image=smaller(image, 2 * size_hint), width=width, height=height)
    except (*BAD_DATA, rawpy.LibRawError) as error:
        raise FileUnreadable(_reason(error)) from error


def _preview(rawpy: Any, raw: Any, size_hint: int, claim: Claim) -> Image.Image | None:
    """Return the embedded picture, upright; None where there is none that can be read."""
    try:
        found = raw.extract_thumb()
        if found.format == rawpy.ThumbFormat.JPEG:
            # LibRaw writes into the JPEG how the camera was held, unless it says so itself.
            return read_photo(found.data, size_hint=size_hint, claim=claim)
        image = Image.fromarray(found.data)
    except (*BAD_DATA, rawpy.LibRawError, FileUnreadable):
        return None
    turn = _TURNS.get(raw.sizes.flip)
    return image if turn is None else image.transpose(turn)


def _reason(error: BaseException) -> str:
    """Say in a few words what is wrong with the data."""
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine"
    told = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
    return f"broken or unknown camera RAW ({told})"
