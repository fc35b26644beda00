"""RAW, videos and pairs in a library: what comes, what counts once, what stays findable."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from indexer.core.types import Kind, Orientation, Record
from indexer.duplicates.finder import find_duplicates
from indexer.ingest.index_report import IndexReport
from indexer.ingest.pipeline import index_folders
from indexer.ingest.reindex import reindex
from indexer.library.library import Library
from indexer.library.repair import rescue
from indexer.library.verify import check
from tests.clips import clip, scene
from tests.fakes import ColourEncoder, draw
from tests.raws import dng

ENCODER = ColourEncoder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def _index(library: Library, folder: Path) -> IndexReport:
    return index_folders(library, ENCODER, [folder])


def _found(library: Library, colour: str, count: int = 1) -> list[Record]:
    (hits,) = library.search(ENCODER.encode_texts([colour]), Kind.PHOTO, count)
    return library.records([hit.id for hit in hits])


def _raw(path: Path, colour: str, *, orientation: int = 1) -> Path:
    sensor = scene(colour, size=(96, 64))
    path.write_bytes(dng(sensor, preview=sensor, orientation=orientation))
    return path


def test_a_raw_is_found(library: Library, folder: Path) -> None:
    _raw(folder / "a.dng", "red", orientation=8)
    draw(folder / "b.png", "blue")
    assert _index(library, folder).photos == 2
    (hit,) = _found(library, "red")
    assert (hit.path, hit.time) == (folder / "a.dng", None)
    assert (hit.about.camera, hit.about.orientation) == ("Fujifilm X100V", Orientation.PORTRAIT)


def test_a_touched_raw_keeps_what_is_known(library: Library, folder: Path) -> None:
    path = _raw(folder / "a.dng", "red", orientation=8)
    _index(library, folder)
    before = _found(library, "red")
    os.utime(path, ns=(7, 7))
    report = _index(library, folder)
    assert (report.photos, report.updated, report.unchanged) == (0, 0, 1)
    assert _found(library, "red") == before


@pytest.fixture
def video(folder: Path) -> Path:
    scenes = [(scene("red", "blue"), 5), (scene("green"), 5), (scene("yellow", "purple"), 5)]
    return clip(folder / "a.mp4", scenes, tags={"title": "Harbour", "creation_time": "2019-07-14"})


def test_frames_of_a_video_are_items(library: Library, folder: Path, video: Path) -> None:
    report = _index(library, folder)
    assert (report.photos, report.videos, report.skipped) == (0, 1, ())
    frames = _found(library, "purple", 9)
    # Green alone is blank; of 15 s the key frames before 2.5, 7.5 and 12.5 s were looked at.
    assert [(frame.path, frame.time) for frame in frames] == [(video, 12.0), (video, 2.0)]
    assert frames[0].about == frames[1].about
    assert (frames[0].about.title, frames[0].about.width) == ("Harbour", 96)
    info = library.info()
    assert (info.photos, info.videos, info.frames) == (0, 1, 2)
    assert check(library.folder) == []


def test_a_video_is_known_again(library: Library, folder: Path, video: Path) -> None:
    _index(library, folder)
    ids = [frame.id for frame in _found(library, "purple", 9)]
    assert _index(library, folder).unchanged == 1
    os.utime(video, ns=(9, 9))
    assert _index(library, folder).unchanged == 1
    video.rename(folder / "b.mp4")
    assert _index(library, folder).moved == 1
    assert [(frame.id, frame.time) for frame in _found(library, "purple", 9)] == [
        (ids[0], 12.0),
        (ids[1], 2.0),
    ]
    clip(folder / "b.mp4", [(scene("white", "black"), 1)])
    assert _index(library, folder).updated == 1
    assert [frame.time for frame in _found(library, "white", 9)] == [0.0]


def test_a_broken_video_is_listed_and_tried_again(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.mp4").write_bytes(b"words" * 99)
    (skip,) = _index(library, folder).skipped
    assert skip.reason.startswith("broken or unknown video")
    monkeypatch.setattr("indexer.ingest.prefetch._versions", lambda: "another PyAV")
    clip(folder / "a.mp4", [(scene("red", "blue"), 1)])
    assert _index(library, folder).skipped == ()


def test_duplicates_are_photos(library: Library, folder: Path, video: Path) -> None:
    video.with_name("b.mp4").write_bytes(video.read_bytes())
    one, other = _raw(folder / "c.dng", "red"), _raw(folder / "d.dng", "red")
    _index(library, folder)
    (group,) = find_duplicates(library)
    assert [copy.path for copy in group.copies] == [one, other]
    assert (group.copies[0].width, group.copies[0].height) == (96, 64)


def test_a_rescued_catalog_keeps_videos(library: Library, folder: Path, video: Path) -> None:
    draw(folder / "b.png", "blue")
    _index(library, folder)
    library.close()
    with library.writing():
        assert rescue(library.folder) == 0
    with Library.open(library.folder) as rescued:
        assert [frame.time for frame in _found(rescued, "purple")] == [12.0]
        assert _index(rescued, folder).unchanged == 2


def test_a_rescued_catalog_without_checksums_embeds_videos_anew(
    library: Library, folder: Path, video: Path
) -> None:
    draw(folder / "b.png", "blue")
    _index(library, folder)
    library.close()
    with closing(sqlite3.connect(library.folder / "catalog.sqlite")) as connection, connection:
        connection.execute("DELETE FROM sums")
    with library.writing():
        assert rescue(library.folder) == 1
    with Library.open(library.folder) as rescued:
        assert rescued.info().frames == 0
        report = _index(rescued, folder)
        assert (report.videos, report.photos) == (1, 0)
        assert [frame.time for frame in _found(rescued, "purple")] == [12.0]


def test_a_pair_counts_once_and_either_stays_findable(library: Library, folder: Path) -> None:
    jpeg, raw = draw(folder / "a.jpg", "red"), _raw(folder / "a.dng", "green")
    film = clip(folder / "a.mov", [(scene("yellow", "purple"), 1)])
    assert _index(library, folder).photos == 1
    (hit,) = _found(library, "red", 9)
    assert (hit.path, hit.about.also) == (jpeg, ("a.dng", "a.mov"))
    assert _index(library, folder).unchanged == 1

    film.unlink()
    report = _index(library, folder)
    assert (report.unchanged, report.removed) == (1, 0)
    (hit,) = _found(library, "red", 9)
    assert hit.about.also == ("a.dng",)

    jpeg.unlink()
    report = _index(library, folder)
    assert (report.photos, report.removed) == (1, 1)
    (hit,) = _found(library, "green", 9)
    assert (hit.path, hit.about.also) == (raw, ())

    draw(jpeg, "red")
    report = _index(library, folder)
    assert (report.photos, report.removed) == (1, 1)
    assert [hit.path for hit in _found(library, "red", 9)] == [jpeg]


def test_a_companion_of_any_name(library: Library, folder: Path) -> None:
    name = os.fsdecode(b"a\xff\n")
    draw(folder / "b.jpg", "red").rename(folder / f"{name}.jpg")
    _raw(folder / "b.dng", "green").rename(folder / f"{name}.dng")
    _index(library, folder)
    (hit,) = _found(library, "red", 9)
    assert hit.about.also == (f"{name}.dng",)
    assert _index(library, folder).unchanged == 1


def test_another_model_takes_videos_over(library: Library, folder: Path, video: Path) -> None:
    _index(library, folder)
    library.close()
    other = ColourEncoder(name="other", fingerprint="07e4")
    report = reindex(library.folder, other)
    assert (report.photos, report.skipped) == (2, ())
    with Library.open(library.folder) as switched:
        assert [frame.time for frame in _found(switched, "purple", 9)] == [12.0, 2.0]
