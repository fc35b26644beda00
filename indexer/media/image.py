"""Decode a file to an upright RGB photo, or to a reason why that fails."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import read_regular
from indexer.core.file_types import PICTURE_FORMATS, wanting
from indexer.media.image_repair import Admit, mended

MAX_MEGAPIXELS = 200.0
"""Above what cameras and phones make; a 100 KB file can claim a gigapixel and fill the memory."""

MAX_PHOTO_BYTES = 1_000_000_000
"""A larger file is a scan or a mosaic whose bytes alone would crowd the memory."""

TRUNCATED = "truncated: the file ends before the picture does"
"""Why a photo whose end is missing is not read, unless such photos are wanted."""

_ORIENTATION = 0x0112  # the EXIF tag
_PHOTOMETRIC, _WHITE_IS_ZERO = 0x0106, 0  # a TIFF's tag; Pillow heeds it at 8 bits alone
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BAD_DATA = (
    OSError,  # most of them; UnidentifiedImageError too
    SyntaxError,  # a broken PNG or JPEG marker
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,  # a later frame that claims to be larger than the first
    Warning,  # where the host makes warnings errors
)
"""What Pillow's readers raise for data that is not what it claims to be."""

_ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
"""Not TIFF, HEIC and JPEG, whose further pictures are other pages, previews, maps of depth."""

_FAR = 100  # frames: each is decoded upon those before it
_FAR_PIXELS = 200_000_000  # of all of these frames: a second or two
_BLANK = 4.0  # standard deviation of grey levels: a fade has less

_header_lock = threading.Lock()

Claim: TypeAlias = Callable[[int], None]
"""Told how many bytes a picture takes, before it is decoded; it waits for them, or refuses."""

_COSTS = {"JPEG": 8, "MPO": 8, "PNG": 8, "BMP": 8, "PPM": 8, "WEBP": 24, "JPEG2000": 40}
_COST, _COST_WHOLE = 16, 16
"""Bytes a pixel that a reader takes at most; `_COST` of other formats, and `_COST_WHOLE` more
where the answer is not made smaller."""

"""A pipe that nobody writes into is opened without waiting for one who does."""

_STRIP_PIXELS = (
    4_000_000  # converted at once: a photo of any size is in memory once, not five times
)


def free(need: int) -> None:
    """Let a picture take what it needs: a `Claim` of one who has no limit."""
    del need


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """A photo, and what is wrong with its file although its picture is there; "" for nothing."""

    image: Image.Image
    remark: str = ""


def read_photo(
    source: Path | bytes,
    *,
    size_hint: int,
    max_megapixels: float = MAX_MEGAPIXELS,
    claim: Claim = free,
    page: int | None = None,
) -> Image.Image:
    """Decode a photo as a person sees it: upright, RGB, on white; of an animation one frame.

    Decoding stops early at twice `size_hint`, which an encoder cannot tell from the full size
    and which costs a quarter of the time on a 12-megapixel JPEG.

    Args:
        source: a file, or its bytes.
        size_hint: pixels a side that the encoder sees. The shorter side of the answer has at
            least twice as many, unless the photo itself has fewer.
        max_megapixels: larger photos are refused before they are decoded.
        claim: told how much memory the photo takes, before it is decoded.
        page: the number of a frame or page, from 0, to read in place of the one that tells most.

    Raises:
        FileUnreadable: the reason, fit for a list of skipped files.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    return decoded(
        data, size_hint=size_hint, max_megapixels=max_megapixels, claim=claim, page=page
    ).image


def decoded(
    data: bytes,
    *,
    size_hint: int,
    max_megapixels: float = MAX_MEGAPIXELS,
    claim: Claim = free,
    page: int | None = None,
) -> DecodedImage:
    """Decode a photo as `read_photo` does, and say what was wrong with its file."""
    if not data:
        raise FileUnreadable("empty file")
    try:
        return DecodedImage(image=_shown(data, size_hint, max_megapixels, claim, page))
    except BAD_DATA as error:
        for again in mended(data, partial(admit, 2 * size_hint, max_megapixels, claim)):
            with suppress(*BAD_DATA):
                image = _shown(again.data, size_hint, max_megapixels, claim, page)
                return DecodedImage(image=image, remark=again.remark)
        raise FileUnreadable(reason(error, data)) from error


def seen(image: Image.Image, *, size_hint: int) -> Image.Image:
    """Return a picture that is open already as `read_photo` returns that of a file.

    Raises:
        FileUnreadable: it has no pixels, or they cannot be read.
    """
    if not min(image.size):
        raise FileUnreadable("the picture has no pixels")
    try:
        return upright(smaller(_rgb(image, 2 * size_hint), 2 * size_hint), orientation(image))
    except BAD_DATA as error:
        raise FileUnreadable(reason(error, b"")) from error


def _shown(
    data: bytes, size_hint: int, max_megapixels: float, claim: Claim, page: int | None
) -> Image.Image:
    """Decode a photo whose file is whole."""
    with header(data) as image:
        admit(2 * size_hint, max_megapixels, claim, image)
        image.draft(None, (2 * size_hint, 2 * size_hint))
        image.load()
        allow = partial(admit, 2 * size_hint, max_megapixels, claim)
        return upright(_frame(image, 2 * size_hint, allow, page), orientation(image))


def admit(side: int, max_megapixels: float, claim: Claim, image: Image.Image) -> None:
    """Refuse a picture that is too large; claim the memory that it takes."""
    check_size(image.size, max_megapixels)
    claim(_cost(image, side))


def read_bytes(path: Path) -> bytes:
    """Read a whole file, if it is a regular one: a pipe or a device may have no end."""
    try:
        return read_regular(path, MAX_PHOTO_BYTES)
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Read the header of a photo, that of a damaged one too if its picture is there."""
    try:
        image = header(data)
    except BAD_DATA:
        again = _mended_header(data)
        if again is None:
            raise
        image = again
    with image:
        yield image


def _mended_header(data: bytes) -> Image.Image | None:
    """Read the header of a damaged photo; None if that does not help."""
    with suppress(FileUnreadable):  # too large to be looked at
        for again in mended(data, partial(admit, 0, MAX_MEGAPIXELS, free)):
            with suppress(*BAD_DATA):
                return header(again.data)
    return None


def header(data: bytes) -> Image.Image:
    """Read the header of a photo; Pillow's own pixel cap, a global, makes way for ours.

    Only the formats of photos are tried: others of Pillow's readers start programs (PostScript).
    """
    with _header_lock:
        known = _known_formats()
        cap, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(BytesIO(data), formats=known)
        finally:
            Image.MAX_IMAGE_PIXELS = cap


@cache
def _known_formats() -> tuple[str, ...]:
    """Return the formats of photos that can be read here, by Pillow's names.

    Pillow is taught HEIC, and JPEG XL where that is installed; of its own readers only those of
    photos are loaded.
    """
    import_module("pillow_heif").register_heif_opener()
    for module in ("pillow_jxl", *(f"PIL.{name}ImagePlugin" for name in _PLUGINS)):
        with suppress(ImportError):
            import_module(module)
    return tuple(name for name in PICTURE_FORMATS if name in Image.OPEN)


_PLUGINS = ("Jpeg", "Mpo", "Png", "WebP", "Gif", "Bmp", "Tiff", "Avif", "Jpeg2K", "Ppm", "Tga")


def check_size(sides: tuple[int, int], max_megapixels: float) -> None:
    """Refuse a photo by the size its header claims."""
    megapixels = sides[0] * sides[1] / 1e6
    if megapixels > max_megapixels:
        raise FileUnreadable(
            f"{megapixels:.0f} megapixels, over the limit of {max_megapixels:g}; "
            "raise it with --max-image-megapixels"
        )


def _cost(image: Image.Image, side: int) -> int:
    """Return how many bytes a picture takes while it is decoded, at most."""
    each = _COSTS.get(image.format or "", _COST)
    whole = _COST_WHOLE if min(image.size) < 2 * side else 0
    return image.width * image.height * (each + whole)


def _frame(image: Image.Image, side: int, allow: Admit, page: int | None) -> Image.Image:
    """Return a frame or page by its number, else the one that tells most, as RGB.

    A frame of a GIF may claim to be larger than the first; Pillow itself refuses huge ones.
    """
    frames = _telling_frames(image) if page is None else (page,)
    shown = image if frames else _rgb(image, side)
    for frame in frames:
        image.seek(frame)
        allow(image)
        image.load()
        shown = _rgb(image, side)
        if not is_blank(shown):
            break
    return shown


def _telling_frames(image: Image.Image) -> tuple[int, ...]:
    """Return a frame amid an animation, and earlier ones in case that is blank; none of a photo."""
    frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    amid = min(frames // 2, _FAR, _FAR_PIXELS // (image.width * image.height))
    return tuple(dict.fromkeys((amid, amid // 2, 0))) if frames > 1 else ()


def is_blank(image: Image.Image) -> bool:
    """Return whether a picture shows nothing: black, white, all one colour."""
    return float(grey(image).std()) < _BLANK


def grey(image: Image.Image) -> NDArray[np.float32]:
    """Return the grey levels of a picture, 0 to 255, made very small. Shape (16, 16)."""
    small = image.convert("L").resize((16, 16), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _rgb(image: Image.Image, side: int) -> Image.Image:
    """Convert any mode to 8-bit RGB and make it smaller, strip by strip: see `smaller`."""
    factor = max(1, min(image.size) // side)
    levels = _Levels(image) if image.mode.startswith("I") or image.mode == "F" else None
    rows = max(1, _STRIP_PIXELS // (factor * image.width)) * factor
    strips = (_strip(image, top, rows) for top in range(0, image.height, rows))
    plain = (levels.eight_bit(strip) if levels else _opaque(strip) for strip in strips)
    small = (strip.reduce(factor) if factor > 1 else strip for strip in plain)
    if rows >= image.height:
        return next(small)
    whole = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for number, strip in enumerate(small):
        whole.paste(strip, (0, number * (rows // factor)))
    return whole


def _strip(image: Image.Image, top: int, rows: int) -> Image.Image:
    """Return some rows of a picture; the picture itself, if those are all."""
    if rows >= image.height:
        return image
    return image.crop((0, top, image.width, min(top + rows, image.height)))


def _opaque(image: Image.Image) -> Image.Image:
    """Convert to RGB; what is transparent shows white."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


class _Levels:
    """Scales 16-bit, 32-bit and float grey to 8 bits; Pillow itself would clip at 255."""

    def __init__(self, image: Image.Image) -> None:
        rows = max(1, _STRIP_PIXELS // image.width)
        strips = (_strip(image, top, rows) for top in range(0, image.height, rows))
        self._white = _white(image.mode, max(float(_levels(strip).max()) for strip in strips))
        self._inverted = (
            isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        )

    def eight_bit(self, strip: Image.Image) -> Image.Image:
        """Return rows of the picture as RGB."""
        levels = _levels(strip)
        if self._inverted:
            levels = self._white - levels
        scaled = np.rint(levels * (255.0 / self._white)).astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")


def _levels(image: Image.Image) -> NDArray[np.float32]:
    """Return the grey levels of a picture, none below 0."""
    return np.nan_to_num(np.asarray(image, dtype=np.float32)).clip(0.0)


def _white(mode: str, brightest: float) -> float:
    """Find the value that means white: a usual full scale, or the brightest pixel beyond those."""
    scales = (1.0, 255.0, 65535.0) if mode == "F" else (65535.0,)
    return next((scale for scale in scales if brightest <= scale), brightest)


def smaller(image: Image.Image, side: int) -> Image.Image:
    """Average whole blocks of pixels while the shorter side stays at `side` or more."""
    factor = min(image.size) // side
    return image.reduce(factor) if factor > 1 else image


def orientation(image: Image.Image) -> int:
    """Read how the camera was held; broken EXIF counts as upright."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except BAD_DATA:
        return 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn and mirror a photo as its EXIF orientation asks."""
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def reason(error: BaseException, data: bytes) -> str:
    """Say in a few words what is wrong with the data."""
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine"
    if isinstance(error, Image.DecompressionBombError):
        return "one of its frames claims to be larger than any photo"
    if isinstance(error, UnidentifiedImageError):
        return wanting("jxl") if data.startswith(_JXL_MARKS) else _NO_IMAGE
    if "truncated" in str(error).lower():
        return TRUNCATED
    return f"broken image data ({error})" if str(error) else "broken image data"


_NO_IMAGE = "not an image Pillow can read"
_JXL_MARKS = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
