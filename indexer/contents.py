"""What a photo file holds: all its frames or pages at full depth, and what tells it from others.

Two files hold the same if they have the same bytes, or show the same: as many frames or pages, each
with the same pixels, held upright, with the same transparency, colour profile and duration. What
Pillow does not read in full (16 bits a colour, a map of depth, layers, a camera RAW) is the same
as nothing but the same bytes. A film behind a JPEG counts as part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageCms

from indexer.errors import FileUnreadable
from indexer.formats import Form, form_of
from indexer.likeness import Picture, picture
from indexer.metadata import read_metadata, read_raw_metadata
from indexer.photos import (
    BAD_DATA,
    MAX_MEGAPIXELS,
    check_size,
    opened,
    orientation,
    read_bytes,
    read_photo,
    reason,
    upright,
)
from indexer.pictures import read_picture
from indexer.raws import read_raw
from indexer.types import Metadata

MOST_PAGES = 2_000
"""Of a longer animation the bytes are compared; each frame is decoded upon those before it."""

_SMALL = 64  # pixels a side of what small pictures are made from
_RAW_BITS = 14  # of a sensor, where the file does not say; more than a JPEG's
_TELLING_PAGES = 5  # of an animation, that are compared as pictures

_READ_IN_FULL = frozenset({"JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "HEIF"})
"""Formats of which Pillow, or pillow-heif, gives every pixel; at 8 bits a colour, or as below."""

_DEEP = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
"""Modes that keep more than 8 bits; what is deeper in another one loses them."""

_PLAIN = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Modes that are compared as RGB, or RGBA where something shows through."""

_SRGB = "sRGB"
_BITS, _SAMPLES, _FURTHER, _LAYERS = 258, 277, 330, 37724  # tags of a TIFF
_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"free", b"skip"})  # of a HEIC without a film


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a photo file holds.

    Attributes:
        width: of the upright picture in pixels; of a RAW, of the photo it is of.
        height: likewise.
        depth: bits a colour.
        pages: frames of an animation, pages of a document.
        digest: of the bytes; equal for equal files.
        picture: to compare with others.
        about: what the file and its sidecar say about it.
    """

    width: int
    height: int
    depth: int
    pages: int
    digest: bytes
    picture: Picture
    about: Metadata


def contents(path: Path) -> Contents:
    """Look at a photo or RAW file.

    Raises:
        FileUnreadable: the reason.
    """
    data, sidecar = read_bytes(path), _sidecar(path)
    if form_of(path) == Form.RAW:
        raw = read_raw(data, size_hint=_SMALL)
        image, sides = raw.image, (raw.width, raw.height)
        depth, pages = _RAW_BITS, 1
        about = read_raw_metadata(data, size=sides, sidecar=sidecar)
    else:
        image = read_photo(data, size_hint=_SMALL)
        sides, depth, pages = _header(data)
        about = read_metadata(data, sidecar=sidecar)
    longer, shorter = max(sides), min(sides)
    lying = image.width >= image.height
    return Contents(
        width=longer if lying else shorter,
        height=shorter if lying else longer,
        depth=depth,
        pages=pages,
        digest=_digest(data),
        picture=picture(image),
        about=about,
    )


def all_it_shows(path: Path) -> bytes:
    """Return a hash of all that a file shows; equal for files that hold the same.

    Raises:
        FileUnreadable: the reason.
    """
    data = read_bytes(path)
    if form_of(path) == Form.RAW:
        return _digest(data)
    try:
        with opened(data) as image:
            if not _is_read_in_full(image, data):
                return _digest(data)
            shown = blake2b(digest_size=16)
            for part in _shown(image, data):
                shown.update(blake2b(part).digest())
            return shown.digest()
    except BAD_DATA as error:
        raise FileUnreadable(reason(error, data)) from error


def telling_pages(pages: int) -> Sequence[int | None]:
    """Return which frames or pages are compared as pictures; None for the one that there is."""
    if pages == 1:
        return [None]
    last = _TELLING_PAGES - 1
    return sorted({(pages - 1) * number // last for number in range(_TELLING_PAGES)})


def grey_detail(path: Path, page: int | None, side: int) -> Image.Image:
    """Return a page in grey, its longer side at most so many pixels.

    Raises:
        FileUnreadable: the reason.
    """
    if page is None:
        image = read_picture(path, size_hint=side // 2)
    else:
        image = read_photo(path, size_hint=side // 2, page=page)
    grey = image.convert("L")
    grey.thumbnail((side, side), Image.Resampling.BOX)
    return grey


def _header(data: bytes) -> tuple[tuple[int, int], int, int]:
    """Return the size as it is stored, the bits a colour, and the number of pages."""
    try:
        with opened(data) as image:
            return image.size, _depth(image, data), _pages(image)
    except BAD_DATA as error:
        raise FileUnreadable(reason(error, data)) from error


def _pages(image: Image.Image) -> int:
    """Count the frames or pages. The further pictures of a JPEG are previews of the first."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _depth(image: Image.Image, data: bytes) -> int:
    """Return the bits a colour that a file keeps."""
    if image.format == "PNG":
        return max(8, data[24])  # in the header, behind its name and the size
    if image.format == "TIFF":
        return max(8, *_numbers(image, _BITS))
    if image.format == "JPEG2000":
        at = data.find(b"\xff\x4f\xff\x51")  # the size of its pixels comes 42 bytes later
        return max(8, (data[at + 42] & 0x7F) + 1) if 0 <= at < len(data) - 42 else 8
    if image.format == "PPM":
        return 16 if _levels(image) > 255 else 8
    if image.mode in _DEEP:
        return 16
    return int(image.info.get("bit_depth", 8))


def _levels(image: Image.Image) -> int:
    """Return the number that means white in a PPM."""
    tiles = getattr(image, "tile", None)
    decoded = tiles[0][3] if tiles else ()
    told = [each for each in decoded if isinstance(each, int)] if isinstance(decoded, tuple) else []
    return 65535 if image.mode in _DEEP else max(255, *told, 0)


def _numbers(image: Image.Image, tag: int) -> tuple[int, ...]:
    """Return the values of a tag of a TIFF that holds numbers."""
    found = getattr(image, "tag_v2", {}).get(tag, ())
    values = found if isinstance(found, tuple) else (found,)
    return (0, *(value for value in values if isinstance(value, int)))


def _is_read_in_full(image: Image.Image, data: bytes) -> bool:
    """Tell whether all that a file shows comes out of it."""
    if image.format not in _READ_IN_FULL or _pages(image) > MOST_PAGES:
        return False
    if _depth(image, data) > 8 and image.mode not in _DEEP:
        return False
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        extra = max(_numbers(image, _SAMPLES)) > len(image.getbands())
        return not (extra or _FURTHER in tags or _LAYERS in tags)
    if image.format == "HEIF":
        beside = image.info.get("depth_images") or image.info.get("aux")
        return not beside and set(_boxes(data)) <= _BOXES
    return True


def _shown(image: Image.Image, data: bytes) -> Iterator[bytes]:
    """Yield all that a file shows, in a form that is equal for equal pictures."""
    pages = _pages(image)
    yield repr((pages, image.info.get("loop") if pages > 1 else None)).encode()
    yield _profile(image)
    yield _behind_jpeg(data) if image.format in {"JPEG", "MPO"} else b""
    for page in range(pages):
        if pages > 1:
            image.seek(page)
        check_size(image.size, MAX_MEGAPIXELS)
        image.load()
        yield b"" if _is_read_in_full(image, data) else data  # a page may be deeper than the first
        plain = upright(_plain(image), orientation(image))
        duration = image.info.get("duration", 0) if pages > 1 else 0
        yield repr((plain.mode, plain.size, duration)).encode()
        yield plain.tobytes()


def _profile(image: Image.Image) -> bytes:
    """Return the colour profile; none for sRGB, which is meant where a file has none."""
    profile: bytes = image.info.get("icc_profile") or b""
    try:
        named = ImageCms.getProfileDescription(BytesIO(profile)) if profile else _SRGB
    except (*BAD_DATA, ImageCms.PyCMSError):
        return profile
    return b"" if _SRGB in named else profile


def _plain(image: Image.Image) -> Image.Image:
    """Return a page as RGB, or RGBA where something shows through; deep ones as they are."""
    if image.mode not in _PLAIN:
        return image
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    covered = layer.getchannel("A").getextrema() == (255, 255)
    return layer.convert("RGB") if covered else layer


def _behind_jpeg(data: bytes) -> bytes:
    """Return what follows the first picture of a JPEG: a film, a second picture."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == 0xD9:
            return data[at + 2 :].strip(b"\0")
        if marker == 0xFF:
            at += 1  # a filling byte
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 2  # a byte of the picture, or a mark without a length
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return b""


def _boxes(data: bytes) -> Iterator[bytes]:
    """Yield the kinds of the boxes that make up a HEIC."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        at = at + size if size >= 8 else len(data)


def _sidecar(path: Path) -> Path | None:
    """Return the `.xmp` file beside a photo, if there is one."""
    names = (f"{path.name}.xmp", f"{path.name}.XMP", f"{path.stem}.xmp", f"{path.stem}.XMP")
    return next((each for each in map(path.with_name, names) if each.is_file()), None)


def _digest(data: bytes) -> bytes:
    """Hash the bytes of a file."""
    return blake2b(data, digest_size=16).digest()
