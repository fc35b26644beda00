"""The index line on files that are no good: named each time, tried again when it may help."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from indexer.core.encoder import Vectors
from indexer.core.types import Kind, Skip
from indexer.decoding.pool import DecodeOptions
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from tests.fakes import ColourEncoder, draw
from tests.indexer.ingest.runs import best, counted, findable, index


def test_a_damaged_file_whose_picture_is_there_is_taken_and_told(
    library: Library, photos: Path
) -> None:
    path = draw(photos / "whole.jpg", "red", "blue")
    path.write_bytes(path.read_bytes()[:-2])
    report = index(library, photos)
    told = Skip(path=path, reason="its end marker is missing; the picture is there")
    assert (counted(report), report.damaged) == ({"photos": 4, "texts": 2}, (told,))
    assert (report.skipped, library.info().skipped) == ((), 0)
    again = index(library, photos)
    assert (counted(again), again.damaged) == ({"unchanged": 5}, ())  # it is told once


def test_a_broken_file_is_skipped_and_listed_each_time(library: Library, photos: Path) -> None:
    (photos / "broken.jpg").write_text("hello")
    skip = Skip(path=photos / "broken.jpg", reason="not an image Pillow can read")
    report = index(library, photos)
    assert (counted(report), report.skipped) == ({"photos": 3, "texts": 2}, (skip,))
    report = index(library, photos)
    assert (counted(report), report.skipped) == ({"unchanged": 4}, (skip,))
    assert library.info().skipped == 1
    draw(photos / "broken.jpg", "black")
    assert counted(index(library, photos)) == {"updated": 1, "unchanged": 4}
    assert (library.info().skipped, library.info().photos) == (0, 4)


def test_what_was_skipped_before_is_told_apart(library: Library, photos: Path) -> None:
    (photos / "broken.jpg").write_text("hello")
    (photos / "link.jpg").symlink_to(photos / "gone.jpg")
    broken = Skip(path=photos / "broken.jpg", reason="not an image Pillow can read")
    link = Skip(path=photos / "link.jpg", reason="a link that leads nowhere")
    reports = [index(library, photos) for _ in range(2)]
    assert [set(report.skipped) for report in reports] == [{broken, link}] * 2
    assert [set(report.still) for report in reports] == [set(), {broken, link}]
    # Another reader tries again and fails for the same reason; of another content it is new.
    again = index(library, photos, decode=DecodeOptions(max_megapixels=10))
    assert set(again.still) == {broken, link}
    (photos / "broken.jpg").write_text("hello again")
    assert index(library, photos).still == (link,)
    # Once it was mended, the link is new when it breaks again; another folder changes nothing.
    draw(photos / "gone.jpg", "black")
    draw(photos.parent / "other" / "a.png", "red")
    assert index(library, photos).still == (broken,)
    assert index(library, photos.parent / "other").skipped == ()
    (photos / "gone.jpg").unlink()
    report = index(library, photos)
    assert (set(report.skipped), report.still) == ({broken, link}, (broken,))


def test_a_file_that_only_moved_is_skipped_still(library: Library, photos: Path) -> None:
    (photos / "broken.jpg").write_text("hello")
    index(library, photos)
    (photos / "broken.jpg").rename(photos / "moved.jpg")
    assert [skip.path.name for skip in index(library, photos).still] == ["moved.jpg"]


def test_a_broken_file_is_not_read_again(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "broken.jpg").write_text("hello")
    index(library, photos)
    monkeypatch.setattr("indexer.decoding.pool.DecodePool.see", None)
    assert len(index(library, photos).skipped) == 1


def test_a_photo_that_breaks_leaves(library: Library, photos: Path) -> None:
    index(library, photos)
    (photos / "red.png").write_bytes(b"")
    report = index(library, photos)
    assert report.skipped == (Skip(path=photos / "red.png", reason="empty file"),)
    assert set(findable(library)) == {"green.png", "blue.png"}


def test_a_higher_cap_tries_again(library: Library, tmp_path: Path) -> None:
    photo = draw(tmp_path / "p" / "a.png", "red", size=(200, 100))
    (skip,) = index(library, photo, decode=DecodeOptions(max_megapixels=0.01)).skipped
    assert skip.reason.startswith("0 megapixels, over the limit of 0.01; raise it")
    report = index(library, photo, decode=DecodeOptions(max_megapixels=0.02))
    assert (report.skipped, set(findable(library))) == ((), {"a.png"})


def test_a_photo_for_which_memory_lacks_is_tried_again(library: Library, tmp_path: Path) -> None:
    """It is not broken: another machine, or a larger container, reads it."""
    path = tmp_path / "p" / "a.png"
    path.parent.mkdir()
    Image.new("1", (10_000, 10_000), 1).save(path)
    small = DecodeOptions(memory_bytes=450_000_000)
    for _ in range(2):
        (skip,) = index(library, path, decode=small).skipped
        assert skip.reason.startswith("takes 0.8 GB of memory to decode, and decoding may take")
        assert findable(library) == {}
    report = index(library, path)
    assert (report.skipped, report.photos) == ((), 1)


def test_bad_rows_are_listed_and_the_rest_kept(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "t" / "captions.jsonl"
    path.parent.mkdir()
    path.write_text('{"captions": ["a red hat", "a hat"]}\nnot json\n')
    skip = Skip(path=path, reason="line 2: not JSON")
    for tally in ({"texts": 2}, {}):
        report = index(library, path.parent)
        assert (counted(report), report.skipped) == (tally, (skip,))
    assert set(findable(library, Kind.TEXT)) == {"a red hat", "a hat"}


def test_odd_exif_says_nothing_on_the_way(library: Library, tmp_path: Path) -> None:
    # Pillow warns; warnings are errors here.
    path = tmp_path / "p" / "a.jpg"
    path.parent.mkdir()
    Image.new("RGB", (8, 8), "red").save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert counted(index(library, path.parent)) == {"photos": 1}


def test_names_of_any_bytes(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    names = ["a\nb.png", os.fsdecode(b"caf\xe9.png")]
    for name in names:
        shutil.copy(draw(folder / "red.png", "red"), folder / name)
    index(library, folder)
    assert set(findable(library)) == {"red.png", *names}
    assert counted(index(library, folder)) == {"unchanged": 3}


def test_a_file_that_changes_while_it_is_read_is_skipped(library: Library, photos: Path) -> None:
    class Meddling(ColourEncoder):
        def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
            (photos / "red.png").unlink(missing_ok=True)
            draw(photos / "green.png", "white", size=(9, 9))
            return super().encode_images(images)

    options = IndexOptions(batch_size=1, threads=1)
    report = index_folders(library, Meddling(), [photos], options=options)
    assert report.photos + len(report.skipped) == 3
    index(library, photos)
    assert set(findable(library)) == {"green.png", "blue.png"}
    assert best(library, "white") == "green.png"
