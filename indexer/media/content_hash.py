"""A hash of everything that a photo file shows: every frame or page at full depth.

Two files show the same if they have the same number of frames or pages, each with the same upright
pixels, transparency, colour profile and duration. If Pillow cannot read everything (16 bits per
colour, a depth map, layers), or the file is damaged, only the same bytes count as the same. A video
behind a JPEG counts as part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from io import BytesIO

from PIL import Image, ImageCms

from indexer.core.errors import FileUnreadable
from indexer.media.image import (
    BAD_DATA,
    MAX_MEGAPIXELS,
    Claim,
    admit,
    header,
    opened,
    orientation,
    reason,
    upright,
)

MOST_PAGES = 2_000
"""Of a longer animation the bytes are compared; each frame is decoded upon those before it."""

_READ_IN_FULL = frozenset({"JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "HEIF"})
"""Formats of which Pillow, or pillow-heif, gives every pixel; at 8 bits a colour, or as below."""

_DEEP = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
"""Modes that keep more than 8 bits; what is deeper in another one loses them."""

_PLAIN = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Modes that are compared as RGB, or RGBA where something shows through."""

_SRGB = "sRGB"
_BITS, _SAMPLES, _FURTHER, _LAYERS = 258, 277, 330, 37724  # tags of a TIFF
_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"free", b"skip"})  # of a HEIC without a film


def depth_and_pages(data: bytes) -> tuple[int, int]:
    """Return the bits a colour of a photo, and the number of its frames or pages.

    Raises:
        FileUnreadable: the reason.
    """
    try:
        with opened(data) as image:
            return _depth(image, data), _pages(image)
    except BAD_DATA as error:
        raise FileUnreadable(reason(error, data)) from error


def shown_digest(data: bytes, claim: Claim) -> bytes:
    """Return a hash of all that a photo shows; equal for files that hold the same.

    Args:
        data: the file.
        claim: told how much memory each page takes, before it is decoded.

    Raises:
        FileUnreadable: the reason.
    """
    try:
        with header(data) as image:
            if not _is_read_in_full(image, data):
                return digest(data)
            shown = blake2b(digest_size=16)
            for part in _shown(image, data, claim):
                shown.update(blake2b(part).digest())
            return shown.digest()
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
    """Return whether all that a file shows comes out of it."""
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


def _shown(image: Image.Image, data: bytes, claim: Claim) -> Iterator[bytes]:
    """Yield all that a file shows, in a form that is equal for equal pictures."""
    pages = _pages(image)
    yield repr((pages, image.info.get("loop") if pages > 1 else None)).encode()
    yield _profile(image)
    yield _behind_jpeg(data) if image.format in {"JPEG", "MPO"} else b""
    for page in range(pages):
        if pages > 1:
            image.seek(page)
        admit(max(image.size), MAX_MEGAPIXELS, claim, image)
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


def digest(data: bytes) -> bytes:
    """Hash the bytes of a file."""
    return blake2b(data, digest_size=16).digest()
