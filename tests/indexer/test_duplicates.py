"""Copies of real photos are found, and other photos are not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageEnhance

from indexer.build import index_folders
from indexer.duplicates import Group, find_duplicates
from indexer.encoder import Vectors
from indexer.library import Library
from indexer.likeness import ALIKE, likeness, picture
from retrieval.cli import duplicates
from tests.fakes import ColourEncoder

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


def names(group: Group) -> list[str]:
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


def test_the_command_has_the_same_default() -> None:
    assert duplicates.ALIKE == ALIKE
