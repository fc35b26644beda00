"""A file becomes an upright RGB photo, or a reason why not."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from indexer.errors import FileUnreadable
from indexer.formats import wanting

MAX_MEGAPIXELS = 200.0
"""Above what cameras and phones make; a 100 KB file can claim a gigapixel and fill the memory."""

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
_BLANK = 4.0  # standard deviation of grey levels: a fade has less

_header_lock = threading.Lock()


def read_photo(
    source: Path | bytes,
    *,
    size_hint: int,
    max_megapixels: float = MAX_MEGAPIXELS,
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
        page: the number of a frame or page, from 0, to read in place of the one that tells most.

    Raises:
        FileUnreadable: the reason, fit for a list of skipped files.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    if not data:
        raise FileUnreadable("empty file")
    try:
        with opened(data) as image:
            check_size(image.size, max_megapixels)
            image.draft(None, (2 * size_hint, 2 * size_hint))
            image.load()
            _show(image, page, max_megapixels)
            return upright(smaller(_rgb(image), 2 * size_hint), orientation(image))
    except BAD_DATA as error:
        raise FileUnreadable(reason(error, data)) from error


def photo_size(path: Path) -> tuple[int, int]:
    """Read width and height in pixels from a photo's header, as they are stored.

    Raises:
        FileUnreadable: the reason.
    """
    data = read_bytes(path)
    try:
        with opened(data) as image:
            return image.size
    except BAD_DATA as error:
        raise FileUnreadable(reason(error, data)) from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Read the header. Pillow's own pixel cap, a global that warns first, makes way for ours."""
    with _header_lock:
        _teach_formats()
        cap, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(BytesIO(data))
        finally:
            Image.MAX_IMAGE_PIXELS = cap
    with image:
        yield image


@cache
def _teach_formats() -> None:
    """Teach Pillow what it does not know of itself: HEIC, and JPEG XL where that is installed."""
    import_module("pillow_heif").register_heif_opener()
    with suppress(ImportError):
        import_module("pillow_jxl")


def check_size(sides: tuple[int, int], max_megapixels: float) -> None:
    """Refuse a photo by the size its header claims."""
    megapixels = sides[0] * sides[1] / 1e6
    if megapixels > max_megapixels:
        raise FileUnreadable(
            f"{megapixels:.0f} megapixels, over the limit of {max_megapixels:g}; "
            "raise it with --max-image-megapixels"
        )


def _show(image: Image.Image, page: int | None, max_megapixels: float) -> None:
    """Go to a page by its number, else to the frame that tells most."""
    if page is None:
        _show_telling_frame(image, max_megapixels)
        return
    image.seek(page)
    check_size(image.size, max_megapixels)
    image.load()


def _show_telling_frame(image: Image.Image, max_megapixels: float) -> None:
    """Go to a frame amid an animation, an earlier one if that is blank, else to the first.

    A frame of a GIF may claim to be larger than the first; Pillow itself refuses huge ones.
    """
    frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    amid = min(frames // 2, _FAR)
    for frame in dict.fromkeys((amid, amid // 2, 0)) if frames > 1 else ():
        image.seek(frame)
        check_size(image.size, max_megapixels)
        image.load()
        if not is_blank(_rgb(image)):
            return


def is_blank(image: Image.Image) -> bool:
    """Tell whether a picture shows nothing: black, white, all one colour."""
    return float(grey(image).std()) < _BLANK


def grey(image: Image.Image) -> NDArray[np.float32]:
    """Return the grey levels of a picture, 0 to 255, made very small. Shape (16, 16)."""
    small = image.convert("L").resize((16, 16), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to 8-bit RGB; what is transparent shows white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bit(image).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey to 8 bits; Pillow itself would clip at 255."""
    levels = np.nan_to_num(np.asarray(image, dtype=np.float32)).clip(0.0)
    white = _white(image.mode, float(levels.max()))
    if isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        levels = white - levels
    return Image.fromarray(np.rint(levels * (255.0 / white)).astype(np.uint8))


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
