"""Thumbnails come out of decoder processes as WebP files that fit, upright, of every form."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from indexer.core.errors import FileUnreadable
from indexer.core.file_types import MediaType
from indexer.decoding.pool import DecodeOptions, DecodePool
from indexer.decoding.render import thumbnail_request
from indexer.decoding.webp import is_thumbnail, webp_size
from tests.clips import clip, scene
from tests.raws import dng

RED, BLUE, GREEN, WHITE = (220, 20, 20), (20, 40, 220), (20, 160, 40), (255, 255, 255)


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecodePool]:
    with DecodePool(DecodeOptions(), size_hint=1) as decoders:
        yield decoders


def _halves(size: tuple[int, int], left: tuple[int, ...] = RED, right: tuple[int, ...] = BLUE):
    """A picture of two colours, side by side."""
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def _saved(image: Image.Image, format_: str, **how: object) -> bytes:
    data = BytesIO()
    image.save(data, format_, **how)
    return data.getvalue()


def _thumbnail(
    decoders: DecodePool, body: bytes, pixels: int = 256, form: MediaType = MediaType.PICTURE
) -> Image.Image:
    """The thumbnail of a file, read by Pillow."""
    webp = decoders.look(body, thumbnail_request(form, pixels)).webp
    image = Image.open(BytesIO(webp))
    assert (image.format, webp_size(webp)) == ("WEBP", image.size)
    return image


def _near(image: Image.Image, at: tuple[float, float], colour: tuple[int, ...]) -> bool:
    """Whether a picture has about this colour at a place, given in shares of its sides."""
    x, y = int(at[0] * (image.width - 1)), int(at[1] * (image.height - 1))
    found = image.convert("RGB").getpixel((x, y))
    return max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 24


def _shows_halves(image: Image.Image) -> bool:
    return _near(image, (0.25, 0.5), RED) and _near(image, (0.75, 0.5), BLUE)


@pytest.mark.parametrize(
    ("size", "pixels", "fits"),
    [
        ((4000, 3000), 1024, (1000, 750)),  # a quarter, which a JPEG decoder gives at once
        ((4000, 3000), 256, (250, 188)),
        ((3000, 2000), 256, (256, 171)),
        ((8000, 500), 256, (256, 16)),  # a panorama
        ((8000, 1), 256, (256, 1)),
        ((100, 60), 256, (100, 60)),  # never larger than the photo
        ((1, 1), 256, (1, 1)),
        ((2000, 2000), 1024, (1000, 1000)),
    ],
)
def test_a_thumbnail_fits_into_its_square(
    decoders: DecodePool, size: tuple[int, int], pixels: int, fits: tuple[int, int]
) -> None:
    image = _thumbnail(decoders, _saved(_halves(size), "JPEG"), pixels)
    assert image.size == fits
    assert min(size) < 2 or _shows_halves(image)


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "BMP", "HEIF", "AVIF", "JPEG2000"])
def test_each_format(decoders: DecodePool, format_: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = _thumbnail(decoders, _saved(_halves((600, 400)), format_))
    assert image.size == (256, 171)
    assert _shows_halves(image)


def test_a_photo_of_a_turned_camera_is_upright(decoders: DecodePool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is at the right
    image = _thumbnail(decoders, _saved(_halves((800, 400)), "JPEG", exif=exif))
    assert image.size == (128, 256)
    assert _near(image, (0.5, 0.25), RED)
    assert _near(image, (0.5, 0.75), BLUE)


def test_no_metadata_are_handed_on(decoders: DecodePool) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    data = _saved(_halves((800, 400)), "JPEG", exif=exif, comment=b"a secret place")
    webp = decoders.look(data, thumbnail_request(MediaType.PICTURE, 256)).webp
    assert b"secret" not in webp
    assert b"EXIF" not in webp


def test_what_is_transparent_is_white(decoders: DecodePool) -> None:
    layer = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    layer.paste((*RED, 255), (0, 0, 150, 300))
    image = _thumbnail(decoders, _saved(layer, "PNG"))
    assert _near(image, (0.25, 0.5), RED)
    assert _near(image, (0.75, 0.5), WHITE)


def test_an_animation_shows_a_frame_of_its_middle(decoders: DecodePool) -> None:
    frames = [Image.new("RGB", (300, 200), colour) for colour in (RED, GREEN, BLUE)]
    for frame in frames:
        frame.paste(WHITE, (0, 0, 30, 200))  # a frame of one colour is passed over
    data = _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    assert _near(_thumbnail(decoders, data), (0.75, 0.5), GREEN)


def test_a_document_shows_its_first_page(decoders: DecodePool) -> None:
    pages = [_halves((300, 200)), Image.new("RGB", (300, 200), GREEN)]
    data = _saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert _shows_halves(_thumbnail(decoders, data))


def test_a_raw_shows_its_preview(decoders: DecodePool) -> None:
    data = dng(Image.new("RGB", (64, 64), GREEN), preview=_halves((640, 480)))
    image = _thumbnail(decoders, data, form=MediaType.RAW)
    assert image.size == (256, 192)
    assert _shows_halves(image)


def test_a_video_shows_the_frame_of_a_time(decoders: DecodePool, tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", [(scene("red"), 2), (scene("blue"), 2)])
    body = os.fsencode(tmp_path / "a.mp4")
    for time, colour in ((0.5, RED), (3.0, BLUE)):
        request = thumbnail_request(MediaType.VIDEO, 256, time=time)
        image = Image.open(BytesIO(decoders.look(body, request).webp))
        assert image.size == (96, 64)
        assert _near(image, (0.05, 0.05), colour)


def test_wide_colours_keep_their_profile(decoders: DecodePool) -> None:
    """Else the red of a phone would look dull."""
    wide = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    plain = bytes(wide)
    while (at := wide.find("sRGB".encode("utf-16-be"))) >= 0:
        wide[at : at + 8] = "P3-D".encode("utf-16-be")
    wide_profile = bytes(wide).replace(b"sRGB", b"P3-D")
    for profile, kept in ((wide_profile, wide_profile), (plain, None)):
        data = _saved(_halves((600, 400)), "JPEG", icc_profile=profile)
        image = _thumbnail(decoders, data)
        assert image.info.get("icc_profile") == kept
        assert image.size == (256, 171)


def test_a_photo_that_ends_too_early_shows_what_is_there(decoders: DecodePool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    data = _saved(Image.fromarray(pixels), "JPEG")
    assert _thumbnail(decoders, data[: len(data) // 2]).size == (256, 171)


def test_what_is_no_picture_has_no_thumbnail(decoders: DecodePool) -> None:
    with pytest.raises(FileUnreadable, match="not an image"):
        _thumbnail(decoders, b"no picture")
    with pytest.raises(FileUnreadable, match="empty file"):
        _thumbnail(decoders, b"")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (255, 77), (1024, 3)])
def test_the_size_of_a_webp_file_is_that_of_pillow(mode: str, size: tuple[int, int]) -> None:
    data = _saved(Image.new(mode, size, 77), "WEBP", icc_profile=b"\0" * 200)
    assert webp_size(data) == Image.open(BytesIO(data)).size == size
    data = _saved(Image.new("RGB", size, 77), "WEBP")
    assert webp_size(data) == size
    assert is_thumbnail(data, max(size))
    assert not is_thumbnail(data, max(size) - 1)


def test_other_bytes_are_no_thumbnail() -> None:
    data = _saved(_halves((30, 20)), "WEBP")
    for wrong in (b"", data[:-1], data + b"\0", data[:29], b"<html>" + data[6:]):
        assert webp_size(wrong) is None
    assert webp_size(_saved(_halves((30, 20)), "WEBP", lossless=True)) is None
