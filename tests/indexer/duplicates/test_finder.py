"""Copies of real photos are found, and other photos are not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from PIL import Image, ImageEnhance

from indexer.core.encoder import Vectors
from indexer.duplicates.finder import DuplicateGroup, find_duplicates
from indexer.duplicates.similarity import ALIKE, likeness, picture
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.cli.commands import duplicates
from tests.documents import chat, lines, page
from tests.fakes import ColourEncoder
from tests.raws import dng

DATA = Path(skimage.__file__).parent / "data"


class Shrunk(ColourEncoder):
    """Sees a photo as three by three grey pixels: all photos are near, copies nearest."""

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        rows = [np.asarray(image.convert("L").resize((3, 3)), np.float32) for image in images]
        vectors = np.array(rows).reshape(-1, 9) + 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos, the first of them in seven files."""
    folder = tmp_path / "photos"
    (folder / "old").mkdir(parents=True)
    for name in ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg"):
        shutil.copy(DATA / name, folder)
    cat = Image.open(DATA / "chelsea.png").convert("RGB")
    shutil.copy(folder / "chelsea.png", folder / "old" / "same bytes.png")
    os.utime(folder / "old" / "same bytes.png", (0, 0))
    cat.save(folder / "same pixels.bmp")
    cat.resize((cat.width // 2, cat.height // 2)).save(folder / "half.jpg")
    cat.save(folder / "old" / "low.jpg", quality=30)
    cat.crop((10, 7, cat.width - 10, cat.height - 7)).save(folder / "crop.jpg")
    ImageEnhance.Brightness(cat).enhance(1.2).save(folder / "bright.jpg")
    return folder


@pytest.fixture
def library(photos: Path, tmp_path: Path) -> Iterator[Library]:
    with Library.create(tmp_path / "library", Shrunk()) as opened:
        index_folders(opened, Shrunk(), [photos])
        yield opened


def names(group: DuplicateGroup) -> list[str]:
    return [copy.path.name for copy in group.copies]


def test_exact_and_near_copies_best_first(library: Library) -> None:
    exact, near = find_duplicates(library)
    assert (exact.exact, exact.alike, near.exact) == (True, 1.0, False)
    # None says anything about itself, all have as many pixels: the oldest file is the original.
    assert names(exact) == ["same bytes.png", "chelsea.png", "same pixels.bmp"]
    assert (exact.keep.name, exact.why) == ("same bytes.png", "it is the oldest file")
    assert names(near)[0] == "same bytes.png"
    assert set(names(near)[1:]) == {"bright.jpg", "low.jpg", "crop.jpg", "half.jpg"}
    assert names(near)[-2:] == ["crop.jpg", "half.jpg"]
    assert ALIKE <= near.alike < 1
    best = exact.copies[0]
    assert (best.width, best.height, best.bytes) == (451, 300, best.path.stat().st_size)


def test_only_below_a_folder(library: Library, photos: Path) -> None:
    assert [names(group) for group in find_duplicates(library, [photos / "old"])] == [
        ["same bytes.png", "low.jpg"]
    ]


def test_nothing_is_alike_beyond_one(library: Library) -> None:
    assert [group.exact for group in find_duplicates(library, alike=1.1)] == [True]


def test_a_file_that_is_gone_is_left_out(library: Library, photos: Path) -> None:
    (photos / "old" / "same bytes.png").unlink()
    told: list[tuple[int, int]] = []
    exact, near = find_duplicates(library, progress=lambda *step: told.append(step))
    assert names(exact) == ["chelsea.png", "same pixels.bmp"]
    assert names(near)[0] == "chelsea.png"
    assert told[-1][0] == told[-1][1] == len(told)


def test_an_empty_library_has_none(tmp_path: Path) -> None:
    with Library.create(tmp_path / "empty", Shrunk()) as empty:
        assert find_duplicates(empty) == []


def test_likeness_is_the_correlation_of_steps() -> None:
    left, right = (Image.open(DATA / f"motorcycle_{side}.png") for side in ("left", "right"))
    one, other = picture(left), picture(right)
    assert likeness(one, one) == pytest.approx(1.0, abs=1e-5)

    def steps(grey: np.ndarray) -> np.ndarray:
        grey = grey.astype(float)
        return np.concatenate([np.diff(grey, axis=1).ravel(), np.diff(grey, axis=0).ravel()])

    pairs = [(one[0], crop) for crop in other] + [(crop, other[0]) for crop in one]
    wanted = max(np.corrcoef(steps(a), steps(b))[0, 1] for a, b in pairs)
    assert likeness(one, other) == pytest.approx(wanted, abs=1e-4)
    assert wanted < ALIKE  # two shots of one motorcycle are no copies


def indexed(tmp_path: Path, *roots: Path) -> list[DuplicateGroup]:
    """Index folders and return the groups of copies."""
    with Library.create(tmp_path / "made", Shrunk()) as made:
        index_folders(made, Shrunk(), roots)
        return find_duplicates(made)


def shot(path: Path, seed: int = 0, **options: Any) -> Path:
    """Draw a photo of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (15, 20, 3)).astype(np.uint8)
    Image.fromarray(levels).resize((200, 150)).save(path, **options)
    return path


def camera(**tags: str) -> Image.Exif:
    """Make EXIF as a camera writes it: a model, and a date of taking."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = tags.get("date", "2019:07:14 10:11:12")
    exif[0x0110] = tags.get("model", "X100")
    return exif


def test_names_of_one_file_are_no_copies(tmp_path: Path) -> None:
    real = shot(tmp_path / "p" / "Photos" / "x.jpg")
    albums = tmp_path / "p" / "Albums"
    albums.mkdir()
    (albums / "best.jpg").symlink_to(real)
    (albums / "hard.jpg").hardlink_to(real)
    assert indexed(tmp_path, tmp_path / "p") == []


def test_a_file_with_links_and_its_copy(tmp_path: Path) -> None:
    real = shot(tmp_path / "p" / "x.jpg")
    (tmp_path / "p" / "a link.jpg").symlink_to(real)
    copied = tmp_path / "p" / "copied.jpg"
    shutil.copy2(real, copied)
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.keep, group.why, group.spare) == (real, "more links point to it", (copied,))
    assert group.copies[0].links == (tmp_path / "p" / "a link.jpg",)


def test_a_file_is_kept_before_a_link_that_leads_out_of_the_library(tmp_path: Path) -> None:
    elsewhere = shot(tmp_path / "elsewhere" / "x.jpg", exif=camera())
    link = tmp_path / "p" / "a.jpg"
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    own = tmp_path / "p" / "the copy.jpg"
    shutil.copy(elsewhere, own)
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.keep, group.spare) == (own, (link,))
    assert group.why == "it is a file, and the other is a link"


def test_one_folder_under_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a share does that is mounted twice: another device, the same inode and times.
    one = shot(tmp_path / "one" / "x.jpg")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "x.jpg").hardlink_to(one)
    stat = Path.stat

    def mounted(path: Path, **how: Any) -> os.stat_result:
        status = stat(path, **how)
        values = list(status)
        values[2] = 7777 if path.parent.name == "two" else values[2]
        return type(status)(values, {n: getattr(status, n) for n in dir(status) if "_ns" in n})

    with Library.create(tmp_path / "made", Shrunk()) as made:
        index_folders(made, Shrunk(), [tmp_path / "one", tmp_path / "two"])
        monkeypatch.setattr(Path, "stat", mounted)
        assert find_duplicates(made) == []


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_files_that_share_a_page_are_in_no_group(tmp_path: Path, suffix: str) -> None:
    c, a, b, d, e = (Image.open(shot(tmp_path / "made" / f"{n}.png", n)) for n in range(5))
    (tmp_path / "p").mkdir()
    for name, first, last in (("1", a, b), ("2", d, e)):
        first.save(tmp_path / "p" / f"{name}.{suffix}", save_all=True, append_images=[c, last])
    c.save(tmp_path / "p" / f"3.{suffix}")
    shutil.rmtree(tmp_path / "made")
    assert indexed(tmp_path, tmp_path / "p") == []


def test_a_smaller_animation_is_a_near_copy(tmp_path: Path) -> None:
    pages = [Image.open(shot(tmp_path / "made" / f"{n}.png", n)) for n in range(3)]
    (tmp_path / "p").mkdir()
    for name, side in (("large", 200), ("small", 120)):
        first, *others = (page.resize((side, side)) for page in pages)
        first.save(tmp_path / "p" / f"{name}.webp", save_all=True, append_images=others, quality=90)
    shutil.rmtree(tmp_path / "made")
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.exact, names(group)) == (False, ["large.webp", "small.webp"])


def test_a_raw_is_not_its_jpeg(tmp_path: Path) -> None:
    shown = Image.open(shot(tmp_path / "p" / "b.jpg", quality=95))
    (tmp_path / "p" / "a.dng").write_bytes(dng(shown.convert("RGB"), preview=shown))
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.exact, names(group)) == (False, ["a.dng", "b.jpg"])


def test_the_one_that_says_more_is_the_original(tmp_path: Path) -> None:
    jpg = shot(tmp_path / "p" / "IMG_1.jpg", exif=camera(), quality=92)
    png = tmp_path / "p" / "IMG_1_converted.png"
    Image.open(jpg).save(png)
    os.utime(png, (0, 0))  # older, and it has more bytes
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.exact, group.keep, group.spare) == (True, jpg, (png,))
    assert group.why == "it has metadata (camera)"


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({"exif": camera(date="2019:07:14 10:11:12")}, {"exif": camera(date="2021:01:01 00:00:00")},
         "it has the earlier date"),
        ({"mtime": 100}, {"mtime": 200}, "it is the oldest file"),
        ({"name": "x.jpg"}, {"name": "x copy.jpg"}, "its name does not call it a copy"),
        ({"name": "holiday.jpg"}, {"name": "h (1).jpg"}, "its name does not call it a copy"),
        ({"name": "x.jpg"}, {"name": "aaa.jpg"}, "its name is the shortest"),
        ({"name": "a.jpg"}, {"name": "b.jpg"}, "it is the first by name"),
    ],
)  # fmt: skip
def test_why_one_is_kept(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], why: str
) -> None:
    paths = []
    for number, each in enumerate((first, second)):
        options = {"exif": each["exif"]} if "exif" in each else {}
        name = each.get("name", f"{number}.jpg")
        paths.append(shot(tmp_path / "p" / str(number) / name, **options))
        os.utime(paths[-1], (each.get("mtime", 50),) * 2)
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.keep, group.spare, group.why) == (paths[0], (paths[1],), why)


def test_what_a_copy_alone_says_is_not_dropped(tmp_path: Path) -> None:
    jpg = shot(tmp_path / "p" / "a.jpg", exif=camera())
    png = tmp_path / "p" / "b.png"
    Image.open(jpg).save(png)
    (tmp_path / "p" / "b.png.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
    )
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.exact, group.keep, group.spare) == (True, jpg, ())
    assert group.copies[1].alone == ("rating",)


def test_chats_and_pages_with_other_words_are_no_copies(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for seed in (1, 2, 3):
        chat(seed).save(tmp_path / "p" / f"chat{seed}.png")
        page(lines(seed)).save(tmp_path / "p" / f"page{seed}.png")
    chat(1).resize((540, 1080)).save(tmp_path / "p" / "smaller.jpg", quality=60)
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert (group.exact, names(group)) == (False, ["chat1.png", "smaller.jpg"])


def test_each_near_copy_is_alike_to_the_one_that_is_kept(tmp_path: Path) -> None:
    # Of a row of shots each of which is like the next, only those like the kept one go with it.
    whole = Image.open(DATA / "coffee.png").convert("RGB")
    (tmp_path / "p").mkdir()
    for share in (1.0, 0.88, 0.77):
        width, height = int(whole.width * share), int(whole.height * share)
        left, top = (whole.width - width) // 2, (whole.height - height) // 2
        cropped = whole.crop((left, top, left + width, top + height))
        cropped.save(tmp_path / "p" / f"{share}.png")
    (group,) = indexed(tmp_path, tmp_path / "p")
    assert names(group) == ["1.0.png", "0.88.png"]


def test_a_photo_that_changed_since_it_was_indexed_is_no_copy(tmp_path: Path) -> None:
    one, other = shot(tmp_path / "p" / "a.png"), shot(tmp_path / "p" / "b.png")
    with Library.create(tmp_path / "made", Shrunk()) as made:
        index_folders(made, Shrunk(), [tmp_path / "p"])
        assert len(find_duplicates(made)) == 1
        shot(other, seed=1)
        assert find_duplicates(made) == []
    assert one.exists()


def test_the_command_has_the_same_default() -> None:
    assert duplicates.ALIKE == ALIKE


def test_a_damaged_copy_is_not_the_one_to_keep(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cat = Image.open(DATA / "chelsea.png").convert("RGB")
    exif = Image.Exif()
    exif[0x0110] = "X100"  # it says its camera, and would be kept for that
    cat.save(photos / "damaged.jpg", quality=95, exif=exif)
    data = (photos / "damaged.jpg").read_bytes()
    (photos / "damaged.jpg").write_bytes(data.removesuffix(b"\xff\xd9"))
    cat.save(photos / "whole.jpg", quality=90)
    with Library.create(tmp_path / "library", Shrunk()) as library:
        index_folders(library, Shrunk(), [photos])
        (group,) = find_duplicates(library)
    assert (group.keep.name, group.why) == ("whole.jpg", "it is intact, and the other is damaged")
    assert group.spare == ()  # it alone has the camera
