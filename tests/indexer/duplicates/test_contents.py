"""Files hold the same only if all they show is the same."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from indexer.core.errors import FileUnreadable
from indexer.duplicates.contents import all_it_shows, contents
from indexer.media.content_hash import shown_digest
from indexer.metadata.extract import read_metadata


def noise(seed: int, mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], len(mode)))
    return Image.fromarray(levels.astype(np.uint8).squeeze(), mode=None)


def same(*paths: Path) -> bool:
    return len({all_it_shows(path) for path in paths}) == 1


def saved(path: Path, *pages: Image.Image, **options: Any) -> Path:
    first, *others = pages
    if others:
        options |= {"save_all": True, "append_images": others}
    first.save(path, **options)
    return path


def test_one_picture_in_other_forms_is_the_same(tmp_path: Path) -> None:
    image = noise(0)
    files = [
        saved(tmp_path / "a.png", image),
        saved(tmp_path / "b.bmp", image),
        saved(tmp_path / "c.tif", image),
        saved(tmp_path / "d.webp", image, lossless=True),
        saved(tmp_path / "e.png", image, compress_level=0),
        saved(tmp_path / "f.ppm", image),
        saved(tmp_path / "g.png", image.convert("RGBA")),
    ]
    assert same(*files)
    camera = saved(tmp_path / "h.jpg", image)
    assert same(camera, saved(tmp_path / "i.png", Image.open(camera)))
    assert not same(camera, files[0])


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_files_that_share_a_page_are_not_the_same(tmp_path: Path, suffix: str) -> None:
    a, b, c, d, e = (noise(seed).convert("P" if suffix == "gif" else "RGB") for seed in range(5))
    options = {"lossless": True} if suffix == "webp" else {}
    one = saved(tmp_path / f"1.{suffix}", a, c, b, **options)
    other = saved(tmp_path / f"2.{suffix}", d, c, e, **options)
    still = saved(tmp_path / f"3.{suffix}", c, **options)
    longer = saved(tmp_path / f"4.{suffix}", a, c, b, d, **options)
    assert len({all_it_shows(path) for path in (one, other, still, longer)}) == 4
    again = saved(tmp_path / f"5.{suffix}", a, c, b, **options)
    assert same(one, again)
    assert [contents(path).pages for path in (one, still, longer)] == [3, 1, 4]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_other_durations_are_another_animation(tmp_path: Path, suffix: str) -> None:
    pages = [noise(seed).convert("P") for seed in range(3)]
    slow = saved(tmp_path / f"1.{suffix}", *pages, duration=500)
    fast = saved(tmp_path / f"2.{suffix}", *pages, duration=50)
    assert not same(slow, fast)
    assert same(fast, saved(tmp_path / f"3.{suffix}", *pages, duration=50))


def test_several_pictures_in_one_heic(tmp_path: Path) -> None:
    a, b, c = (noise(seed) for seed in range(3))
    read_metadata(b"")  # teaches Pillow HEIC
    one, other = (saved(tmp_path / f"{n}.heic", a, each) for n, each in enumerate((b, c)))
    alone = saved(tmp_path / "alone.heic", a)
    assert len({all_it_shows(path) for path in (one, other, alone)}) == 3
    assert [contents(path).pages for path in (one, alone)] == [2, 1]


def test_what_stands_behind_a_jpeg_counts(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.jpg", noise(0)).read_bytes()
    for name, behind in (("b.jpg", b"ftyp film"), ("c.jpg", b"ftyp other"), ("d.jpg", b"\0\0")):
        (tmp_path / name).write_bytes(whole + behind)
    a, b, c, d = (all_it_shows(tmp_path / f"{name}.jpg") for name in "abcd")
    assert len({a, b, c}) == 3
    assert a == d
    stereo = saved(tmp_path / "e.mpo", noise(0), noise(1))
    stereo = stereo.rename(tmp_path / "e.jpg")
    assert not same(stereo, tmp_path / "a.jpg")
    assert contents(stereo).pages == 1


def deep_png(path: Path, levels: np.ndarray) -> Path:
    """Write a PNG of 16 bits a colour, which Pillow does not."""
    import struct
    import zlib

    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_sixteen_bits_are_not_eight(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (40, 60, 3))
    deep = deep_png(tmp_path / "deep.png", levels)
    finer = deep_png(tmp_path / "finer.png", levels ^ 1)
    shallow = saved(tmp_path / "shallow.png", Image.open(deep).convert("RGB"))
    assert len({all_it_shows(path) for path in (deep, finer, shallow)}) == 3
    assert [contents(path).depth for path in (deep, shallow)] == [16, 8]
    grey = Image.fromarray(levels[..., 0].astype(np.uint16))
    one, other = saved(tmp_path / "g.png", grey), saved(tmp_path / "g.tif", grey)
    assert same(one, other)
    assert contents(other).depth == 16
    assert not same(one, saved(tmp_path / "g8.png", grey.point(lambda level: level / 256, "L")))


def test_what_shows_through_counts(tmp_path: Path) -> None:
    layer = noise(0, "RGBA")
    paper = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    assert not same(saved(tmp_path / "a.png", layer), saved(tmp_path / "b.png", paper))


def test_how_it_is_held_counts(tmp_path: Path) -> None:
    image = noise(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    held = saved(tmp_path / "held.png", image, exif=exif)
    lying = saved(tmp_path / "lying.png", image)
    turned = saved(tmp_path / "turned.png", image.transpose(Image.Transpose.ROTATE_270))
    assert same(held, turned)
    assert not same(held, lying)
    assert (contents(held).width, contents(held).height) == (40, 60)


def test_another_colour_profile_is_another_picture(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    plain, named, other = (
        saved(tmp_path / f"{number}.png", noise(0), icc_profile=profile)
        for number, profile in enumerate((None, srgb, lab))
    )
    assert same(plain, named)
    assert not same(plain, other)


def test_layers_and_further_pictures_of_a_tiff_are_not_left_out(tmp_path: Path) -> None:
    files = []
    for number, layers in enumerate((b"", b"one", b"two")):
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        if layers:
            tags[37724] = layers
            tags.tagtype[37724] = 7
        files.append(saved(tmp_path / f"{number}.tif", noise(0), tiffinfo=tags))
    assert len({all_it_shows(path) for path in files}) == 3


def frames(seeds: Sequence[int]) -> bytes:
    file = io.BytesIO()
    first, *others = (noise(seed).convert("P") for seed in seeds)
    first.save(file, "GIF", save_all=True, append_images=others)
    return file.getvalue()


def test_an_animation_that_breaks_off_is_like_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(frames(range(6))[:-3000])
    with pytest.raises(FileUnreadable):
        all_it_shows(tmp_path / "a.gif")


def test_a_damaged_file_is_like_nothing(tmp_path: Path) -> None:
    """Its picture is read, but it must not stand for the file that is whole."""
    whole = saved(tmp_path / "whole.png", noise(0)).read_bytes()
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(whole[:33] + b"\0\0\0\1gAMAxjunk" + whole[33:])
    assert contents(damaged).pages == 1
    with pytest.raises(FileUnreadable):
        all_it_shows(damaged)


def test_each_page_is_admitted_before_it_is_decoded(tmp_path: Path) -> None:
    """Pages of a TIFF may be of any size; the decoder claims memory for each."""
    pages = saved(tmp_path / "a.tif", noise(0, size=(60, 40)), noise(1, size=(120, 80)))
    claimed: list[int] = []
    assert shown_digest(pages.read_bytes(), claimed.append) == all_it_shows(pages)
    assert claimed[1] == 4 * claimed[0] >= 4 * 8 * 60 * 40
