"""A picture that is there is taken, whatever else is damaged; one that is cut is not."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from indexer.core.errors import FileUnreadable
from indexer.core.types import Metadata
from indexer.media import image
from indexer.media.image import decoded, read_photo
from indexer.metadata.extract import read_metadata

LEVELS = np.random.default_rng(0).integers(0, 255, (15, 20, 3), dtype=np.uint8)
PICTURE = Image.fromarray(LEVELS).resize((400, 300), Image.Resampling.BICUBIC)


def _bytes(format_: str, **options: Any) -> bytes:
    buffer = BytesIO()
    PICTURE.save(buffer, format_, **options)
    return buffer.getvalue()


def _is_whole(data: bytes, apart: float = 4.0) -> str:
    """Compare with the picture; return the remark."""
    read = decoded(data, size_hint=200)
    assert read.image.size == PICTURE.size
    levels = np.asarray(read.image, dtype=int) - np.asarray(PICTURE, dtype=int)
    assert np.abs(levels).mean() < apart
    return read.remark


def _chunk(name: bytes, body: bytes, check: int | None = None) -> bytes:
    check = zlib.crc32(name + body) if check is None else check
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


PNG = _bytes("PNG")
HEAD, REST = PNG[:33], PNG[33:]


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"gAMA", b"pHYs"])
@pytest.mark.parametrize("body", [b"", b"x\0\0junk"])
def test_a_chunk_that_no_pixel_needs_costs_no_picture(name: bytes, body: bytes) -> None:
    assert not _is_whole(PNG)
    for check in (None, 1):
        _is_whole(HEAD + _chunk(name, body, check) + REST)
        _is_whole(PNG[:-12] + _chunk(name, body, check) + PNG[-12:])
    remark = _is_whole(HEAD + _chunk(name, body, 1) + REST)
    assert remark == f"damaged outside its picture; read without {name.decode()}"


def test_large_chunks() -> None:
    profile = _bytes("PNG", icc_profile=os.urandom(1_500_000))
    assert _is_whole(profile) == "damaged outside its picture; read without iCCP"
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 1_500_000, zip=True)
    assert _is_whole(_bytes("PNG", pnginfo=text))
    many = _chunk(b"zTXt", b"k\0\0" + zlib.compress(b"y" * 1_000_000)) * 80
    assert _is_whole(HEAD + many + REST)


def test_the_rest_of_a_damaged_png_is_known() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS R5"
    data = _bytes("PNG", exif=exif)
    about = read_metadata(data[:33] + _chunk(b"iCCP", b"", 1) + data[33:])
    assert (about.camera, about.width, about.height) == ("Canon EOS R5", 400, 300)


@pytest.mark.parametrize("length", [5_000, 1 << 31])
def test_a_chunk_of_a_wrong_length(length: int) -> None:
    _is_whole(HEAD + struct.pack(">I", length) + b"tEXta\0b1234" + REST)


def test_checksums_of_pixels() -> None:
    checked, spoilt = bytearray(PNG), bytearray(PNG)
    checked[-13] ^= 1  # the last byte of the last checksum
    _is_whole(bytes(checked))
    spoilt[PNG.index(b"IDAT") + 500] ^= 1
    with pytest.raises(FileUnreadable, match=r"^broken image data"):
        read_photo(bytes(spoilt), size_hint=200)


def test_an_animation_with_a_damaged_part_shows_its_first_picture() -> None:
    buffer = BytesIO()
    PICTURE.save(buffer, "PNG", save_all=True, append_images=[PICTURE.rotate(180)])
    data = bytearray(buffer.getvalue())
    data[data.index(b"acTL") + 12] ^= 1  # its checksum
    assert "acTL" in _is_whole(bytes(data))


@pytest.mark.parametrize("cut", [1, 4, 12, 14])
def test_the_end_of_a_png_without_pixels(cut: int) -> None:
    _is_whole(PNG[:-cut])
    _is_whole(PNG + b"junk" * 99)


JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {"quality": 90},
    "progressive": {"quality": 90, "progressive": True},
    "restarts": {"quality": 90, "restart_marker_rows": 1},
    "coarse": {"quality": 30, "subsampling": 2},
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_of_one_colour_without_its_end_marker(kind: str) -> None:
    # Its last bytes may be zeros, which are pixels.
    for levels in range(0, 256, 5):
        buffer = BytesIO()
        image = Image.new("L", (64, 64), levels)
        image.paste(255 - levels, (32, 0, 64, 64))
        image.save(buffer, "JPEG", **JPEGS[kind])
        read = decoded(buffer.getvalue()[:-2], size_hint=32)
        assert read.image.size == (64, 64)


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_marker(kind: str) -> None:
    data = _bytes("JPEG", **JPEGS[kind])
    told = "its end marker is missing; the picture is there"
    assert not _is_whole(data, 12)
    assert [_is_whole(data[:-cut], 12) for cut in (1, 2, 3)] == [told] * 3
    for behind in (b"\0" * 500, b"junk" * 99):
        _is_whole(data[:-2] + behind, 12)
        _is_whole(data + behind, 12)


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("part", [0.97, 0.95, 0.9, 0.8, 0.5, 0.3])
def test_a_jpeg_that_is_cut_stays_refused(
    kind: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _bytes("JPEG", **JPEGS[kind])
    cut = data[: int(len(data) * part)]
    with pytest.raises(FileUnreadable, match=r"^truncated: the file ends before the picture does$"):
        read_photo(cut, size_hint=200)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as --allow-truncated does
    assert read_photo(cut, size_hint=200).size == PICTURE.size


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe1\0\x10Exif\0\0junkjunk",
        b"\xff\xe2\0\x12ICC_PROFILE\0\1\2x",
        b"\xff\xe2\0\x10MPF\0junkjunkjj",
        b"\xff\xed\0\x20Photoshop 3.0\0" + b"8BIM" + b"\xff" * 12,
        b"\xff\xe0\0\4JF",
        b"\xff\xe1\0\0Exif\0\0",  # wrong lengths lead into the tables, or beyond the end
        b"\xff\xe1\0\x40Exif\0\0",
        b"\xff\xe1\xff\xffExif\0\0",
        b"junk",
    ],
)
def test_a_damaged_segment_of_a_jpeg(segment: bytes) -> None:
    data = _bytes("JPEG", quality=90)
    _is_whole(data[:2] + segment + data[2:])


@pytest.mark.parametrize("kind", JPEGS)
def test_a_damaged_jpeg_is_not_decoded_before_it_is_admitted(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its header cannot be read, and only its pixels can tell whether its end is there."""
    data = _bytes("JPEG", **JPEGS[kind])
    damaged = data[:2] + b"junk" + data[2:-2]
    with pytest.raises(FileUnreadable, match="over the limit"):
        decoded(damaged, size_hint=8, max_megapixels=0.1)
    claimed: list[int] = []
    assert decoded(damaged, size_hint=200, claim=claimed.append).remark
    assert min(claimed) >= 8 * PICTURE.width * PICTURE.height
    assert len(claimed) > 1  # to look at its end, then to decode it
    assert read_metadata(damaged).width == PICTURE.width
    monkeypatch.setattr(image, "MAX_MEGAPIXELS", 0.1)
    assert read_metadata(damaged) == Metadata()


def _riff_length(data: bytearray) -> None:
    data[4] ^= 9


def _exif_length(data: bytearray) -> None:
    at = data.index(b"EXIF") + 4
    data[at : at + 4] = b"\xff\xff\0\0"


def _cut_exif(data: bytearray) -> None:
    del data[-10:]


@pytest.mark.parametrize("spoil", [_riff_length, _exif_length, _cut_exif])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_that_is_damaged_beside_its_picture(
    spoil: Callable[[bytearray], None], lossless: bool
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    data = bytearray(
        _bytes("WEBP", exif=exif, lossless=lossless, quality=90, icc_profile=b"x" * 99)
    )
    spoil(data)
    assert _is_whole(bytes(data)).startswith("damaged outside its picture")
    with pytest.raises(FileUnreadable):
        read_photo(bytes(data[: len(data) // 2]), size_hint=200)


@pytest.mark.parametrize("format_", ["GIF", "TIFF", "BMP", "HEIF", "AVIF", "JPEG2000"])
def test_what_follows_a_picture_costs_nothing(format_: str) -> None:
    read_metadata(b"")  # teaches Pillow the formats
    _is_whole(_bytes(format_) + b"junk" * 9, 12)


@pytest.mark.parametrize("kind", ["PNG", *JPEGS])
def test_mending_spoilt_bytes_ends(kind: str) -> None:
    rng = np.random.default_rng(4)
    data = PNG if kind == "PNG" else _bytes("JPEG", **JPEGS[kind])
    whole = np.frombuffer(data, dtype=np.uint8)
    for _ in range(40):
        spoilt = whole.copy()
        spoilt[rng.integers(0, 700, 3)] = rng.integers(0, 256, 3)
        try:
            read = decoded(spoilt.tobytes()[: -int(rng.integers(1, 99))], size_hint=64)
        except FileUnreadable:
            continue
        assert read.image.mode == "RGB"
