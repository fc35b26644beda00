"""A file becomes an upright RGB photo, or a reason why not."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from indexer.core.errors import FileUnreadable
from indexer.media.image import opened, read_photo
from tests.fakes import COLOURS, draw

RED, GREEN, BLUE = COLOURS["red"], COLOURS["green"], COLOURS["blue"]


def _bytes(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def _corners() -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right; 32 by 16."""
    image = Image.new("RGB", (32, 16), "white")
    image.paste(RED, (0, 0, 16, 8))
    image.paste(GREEN, (16, 0, 32, 8))
    image.paste(BLUE, (0, 8, 16, 16))
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation: int) -> None:
    # How a camera stores an upright scene under each orientation: the inverse of its meaning.
    stored_as = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    scene = _corners()
    stored = scene.transpose(stored_as[orientation]) if orientation > 1 else scene
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(_bytes(stored, "PNG", exif=exif), size_hint=100)
    assert photo.size == (32, 16)
    assert np.array_equal(np.asarray(photo), np.asarray(scene))


def test_orientation_survives_an_early_stop() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (800, 400), RED)
    photo = read_photo(_bytes(image, "JPEG", exif=exif), size_hint=50)
    assert photo.size == (100, 200)


def test_decoding_stops_at_twice_the_hint() -> None:
    image = Image.new("RGB", (2000, 1000), BLUE)
    for format_ in ("JPEG", "PNG"):
        photo = read_photo(_bytes(image, format_), size_hint=50)
        assert photo.size in {(250, 125), (200, 100)}  # JPEG halves thrice; PNG averages by ten


def test_a_small_photo_keeps_its_size() -> None:
    assert read_photo(_bytes(_corners(), "PNG"), size_hint=224).size == (32, 16)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    levels = np.array([[0, 257, 25_700, 65_535]], dtype=np.uint16)
    photo = read_photo(_bytes(Image.fromarray(levels), "PNG"), size_hint=8)
    assert np.asarray(photo)[0, :, 0].tolist() == [0, 1, 100, 255]


def test_32_bit_grey_is_scaled_to_its_brightest() -> None:
    levels = np.array([[0, 200_000, 1_000_000]], dtype=np.int32)
    photo = read_photo(_bytes(Image.fromarray(levels), "TIFF"), size_hint=8)
    assert np.asarray(photo)[0, :, 0].tolist() == [0, 51, 255]


def test_16_bits_where_white_is_0() -> None:
    levels = Image.fromarray(np.array([[65_535, 25_700, 0]], dtype=np.uint16))
    photo = read_photo(_bytes(levels, "TIFF", tiffinfo={0x0106: 0}), size_hint=8)
    assert np.asarray(photo)[0, :, 0].tolist() == [0, 155, 255]


def test_lab() -> None:
    profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    to_lab = ImageCms.buildTransformFromOpenProfiles(*profiles, "RGB", "LAB")
    lab = ImageCms.applyTransform(_corners(), to_lab)
    photo = read_photo(_bytes(lab, "TIFF"), size_hint=100)
    assert np.abs(np.asarray(photo, dtype=int) - np.asarray(_corners())).max() < 8


def test_float_grey_goes_from_0_to_1() -> None:
    levels = np.array([[0.0, 0.2, 1.0, np.nan]], dtype=np.float32)
    photo = read_photo(_bytes(Image.fromarray(levels), "TIFF"), size_hint=8)
    assert np.asarray(photo)[0, :, 0].tolist() == [0, 51, 255, 0]


def test_palette_and_transparency_on_white() -> None:
    clear = Image.new("RGBA", (4, 2), (*RED, 255))
    clear.paste((0, 0, 0, 0), (2, 0, 4, 2))
    paletted = clear.convert("P")
    paletted.info["transparency"] = paletted.getpixel((3, 0))
    for data in (_bytes(clear, "PNG"), _bytes(paletted, "PNG"), _bytes(clear, "WEBP", lossless=1)):
        photo = read_photo(data, size_hint=8)
        assert photo.getpixel((3, 0)) == (255, 255, 255)
        assert photo.getpixel((0, 0)) == RED


def test_opaque_palette() -> None:
    paletted = Image.new("RGB", (4, 4), GREEN).convert("P", palette=Image.Palette.ADAPTIVE)
    assert read_photo(_bytes(paletted, "PNG"), size_hint=8).getpixel((1, 1)) == GREEN


def test_cmyk() -> None:
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # full magenta and yellow: red
    photo = read_photo(_bytes(cmyk, "TIFF"), size_hint=8)
    assert (photo.mode, photo.getpixel((0, 0))) == ("RGB", (255, 0, 0))
    photo = read_photo(_bytes(cmyk, "JPEG", quality=100), size_hint=8)
    red, green, blue = photo.getpixel((5, 5))
    assert (round(red / 50), round(green / 50), round(blue / 50)) == (5, 0, 0)


def test_the_first_frame_of_an_animation_that_shows_nothing() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    data = _bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_photo(data, size_hint=8).getpixel((0, 0)) == RED


@pytest.mark.parametrize("format_", ["HEIF", "AVIF", "JXL"])
def test_younger_formats(format_: str) -> None:
    with opened(_bytes(_corners(), "PNG")):
        pass  # teaches Pillow the formats, so that it can write them here
    scene = _corners().resize((320, 160), Image.Resampling.NEAREST)
    data = _bytes(scene, format_, quality=95)
    photo = read_photo(data, size_hint=320)
    assert (photo.mode, photo.size) == ("RGB", (320, 160))
    apart = np.asarray(photo, dtype=int) - np.asarray(scene, dtype=int)
    assert np.abs(apart).mean() < 4
    with pytest.raises(FileUnreadable):
        read_photo(data[: len(data) // 2], size_hint=8)


def test_heic_is_upright_once() -> None:
    with opened(_bytes(_corners(), "PNG")):
        pass
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = _corners().resize((320, 160), Image.Resampling.NEAREST)
    photo = read_photo(_bytes(stored, "HEIF", exif=exif.tobytes(), quality=95), size_hint=320)
    assert photo.size == (160, 320)
    turned = stored.transpose(Image.Transpose.ROTATE_270)
    assert np.abs(np.asarray(photo, dtype=int) - np.asarray(turned, dtype=int)).mean() < 4


def test_a_path_is_read_too(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", "red")
    assert read_photo(path, size_hint=32).getpixel((0, 0)) == RED


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's; an index run silences it
def test_broken_exif_counts_as_upright() -> None:
    data = _bytes(_corners(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_photo(data, size_hint=100).size == (32, 16)


def _bomb(side: int) -> bytes:
    """A PNG of a few KB that claims side × side pixels of one bit, all of them black."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes((side // 8 + 1) * side)))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FileUnreadable, match=r"^900 megapixels, over the limit of 200; raise it"):
        read_photo(_bomb(30_000), size_hint=8)


def test_the_cap_is_ours_not_pillows() -> None:
    # Pillow warns above 89 megapixels; warnings are errors here.
    assert read_photo(_bomb(9_600), size_hint=8).getpixel((0, 0)) == (0, 0, 0)
    assert Image.MAX_IMAGE_PIXELS is not None


def _gif(side: int) -> bytes:
    """A GIF of 8 x 8 pixels whose second frame claims so many pixels a side."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    data = bytearray(_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    descriptor = data.rindex(b",")  # then left, top, width, height, 2 bytes each
    data[descriptor + 5 : descriptor + 9] = struct.pack("<HH", side, side)
    return bytes(data)


def test_a_later_frame_that_is_a_bomb_is_refused() -> None:
    # Found by scripts/fuzz_photos.py: Pillow's error of its own was none that was caught.
    with pytest.raises(FileUnreadable, match=r"^one of its frames claims to be larger than any"):
        read_photo(_gif(65_535), size_hint=8)
    with pytest.raises(FileUnreadable, match=r"^4 megapixels, over the limit of 3; raise it with"):
        read_photo(_gif(2_000), size_hint=8, max_megapixels=3.0)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_truncated_file_is_refused(format_: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = _bytes(Image.fromarray(noise), format_)
    with pytest.raises(FileUnreadable):
        read_photo(data[: len(data) * 2 // 3], size_hint=8)


def test_reasons_are_friendly(tmp_path: Path) -> None:
    jpeg = _bytes(Image.effect_noise((64, 64), 90), "JPEG")
    reasons = {
        "empty file": b"",
        "not an image Pillow can read": b"a text that is called photo.jpg",
        "truncated: the file ends before the picture does": jpeg[: len(jpeg) // 2],
    }
    for reason, data in reasons.items():
        with pytest.raises(FileUnreadable) as caught:
            read_photo(data, size_hint=8)
        assert str(caught.value) == reason
    with pytest.raises(FileUnreadable, match=r"^no such file or directory$"):
        read_photo(tmp_path / "gone.jpg", size_hint=8)


@pytest.mark.parametrize(
    "format_", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"]
)
def test_spoilt_bytes_never_crash(format_: str) -> None:
    rng = np.random.default_rng(1)
    whole = np.frombuffer(_bytes(_corners(), format_), dtype=np.uint8)
    for _ in range(150):
        spoilt = whole.copy()
        spoilt[rng.integers(0, len(spoilt), 4)] = rng.integers(0, 256, 4)
        try:
            photo = read_photo(spoilt.tobytes(), size_hint=8, max_megapixels=1)
        except FileUnreadable:
            continue
        assert photo.mode == "RGB"
