"""Thumbnails and files of items by their ids: the right ones, once, and none that is elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.contained_files import OUTSIDE
from indexer.core.errors import FileUnreadable
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.item_files import ItemFiles
from indexer.library.library import Library
from indexer.library.thumbnail_cache import THUMBNAILS, thumbnail_version
from indexer.library.thumbnail_maker import ThumbnailMaker
from tests.clips import clip, scene
from tests.fakes import COLOURS, ColourEncoder, draw


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos, a video and a text."""
    draw(tmp_path / "photos" / "red.jpg", "red", size=(400, 300))
    draw(tmp_path / "photos" / "two.png", "green", "blue", size=(600, 200))
    clip(
        tmp_path / "photos" / "film.mp4", [(scene("red", "white"), 6), (scene("blue", "white"), 6)]
    )
    (tmp_path / "photos" / "note.txt").write_text("a note\n")
    return tmp_path / "photos"


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """The library of these photos."""
    with Library.create(tmp_path / "library", ColourEncoder()) as library:
        index_folders(library, ColourEncoder(), [photos])
    return tmp_path / "library"


@pytest.fixture
def files(folder: Path) -> Iterator[ItemFiles]:
    files = ItemFiles(folder)
    yield files
    files.close()


def _ids(folder: Path, name: str) -> list[int]:
    """The items of a file."""
    with Library.open(folder) as library:
        ids = [id_ for kind in Kind for id_ in library.catalog.item_ids(kind).tolist()]
        return [record.id for record in library.records(ids) if record.path.name == name]


def _index(folder: Path, photos: Path) -> None:
    with Library.open(folder) as library:
        index_folders(library, ColourEncoder(), [photos])


def _colour(webp: bytes) -> str:
    """The drawn colour that a picture is nearest to, some way from its upper left corner."""
    image = Image.open(BytesIO(webp)).convert("RGB")
    found = np.array(image.getpixel((image.width // 20, image.height // 20)))
    return min(COLOURS, key=lambda name: float(np.abs(found - COLOURS[name]).sum()))


def _made(files: ItemFiles, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the thumbnails that are made from now on, by their sizes."""
    made: list[int] = []
    make = files._maker.made

    def counted(form: object, body: bytes, pixels: int, time: float | None) -> bytes:
        made.append(pixels)
        return make(form, body, pixels, time)

    monkeypatch.setattr(files._maker, "made", counted)
    return made


def test_a_thumbnail_is_made_once_and_kept(
    folder: Path, files: ItemFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    (red,) = _ids(folder, "red.jpg")
    made = _made(files, monkeypatch)
    first = files.thumbnail(red, 256)
    assert first is not None
    assert (_colour(first.webp), Image.open(BytesIO(first.webp)).size) == ("red", (256, 192))
    assert first.is_indexed
    assert files.thumbnail(red, 256) == first
    assert files.thumbnail(red, 256, wanted=first.version) == first
    large = files.thumbnail(red, 1024)
    assert large is not None
    assert Image.open(BytesIO(large.webp)).size == (400, 300)
    assert made == [256, 1024]
    other = ItemFiles(folder)
    assert other.thumbnail(red, 256) == first
    other.close()


def test_the_version_is_that_of_a_hit(folder: Path, files: ItemFiles) -> None:
    (red,) = _ids(folder, "red.jpg")
    with Library.open(folder) as library:
        (record,) = library.records([red])
    thumbnail = files.thumbnail(red, 256)
    assert thumbnail is not None
    assert thumbnail.version == thumbnail_version(record.digest)


def test_who_has_the_version_gets_no_content(folder: Path, files: ItemFiles) -> None:
    (red,) = _ids(folder, "red.jpg")
    first = files.thumbnail(red, 256)
    assert first is not None
    for wanted in ("", first.version):
        again = files.thumbnail(red, 256, wanted=wanted, known=first.version)
        assert again is not None
        assert (again.webp, again.version) == (b"", first.version)


def test_each_frame_of_a_video_has_its_own(folder: Path, files: ItemFiles) -> None:
    frames = _ids(folder, "film.mp4")
    shown = [files.thumbnail(id_, 256) for id_ in frames]
    colours = [_colour(each.webp) for each in shown if each is not None]
    assert set(colours) == {"red", "blue"}
    assert len({each.version for each in shown if each is not None}) == 1


def test_a_changed_file_has_another_version(folder: Path, files: ItemFiles, photos: Path) -> None:
    (red,) = _ids(folder, "red.jpg")
    old = files.thumbnail(red, 256)
    draw(photos / "red.jpg", "purple", size=(300, 400))
    new = files.thumbnail(red, 256)
    assert old is not None
    assert new is not None
    assert (_colour(new.webp), new.is_indexed) == ("purple", False)
    assert new.version != old.version
    assert files.thumbnail(red, 256, wanted=old.version) == old  # what the address names
    assert files.thumbnail(red, 256, wanted=new.version) == new
    known = files.thumbnail(red, 256, known=new.version)
    assert known is not None
    assert (known.webp, known.version) == (b"", new.version)
    _index(folder, photos)
    (purple,) = _ids(folder, "red.jpg")
    indexed = files.thumbnail(purple, 256)
    assert indexed is not None
    assert (indexed.webp, indexed.version, indexed.is_indexed) == (new.webp, new.version, True)


def test_a_touched_file_has_the_same_version(
    folder: Path, files: ItemFiles, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (red,) = _ids(folder, "red.jpg")
    first = files.thumbnail(red, 256)
    os.utime(photos / "red.jpg", (1_000_000, 1_000_000))
    made = _made(files, monkeypatch)
    assert files.thumbnail(red, 256) == first
    assert made == []


def test_a_file_out_of_reach_is_shown_if_its_thumbnail_is_kept(
    folder: Path, files: ItemFiles, photos: Path
) -> None:
    (red,), (two,) = _ids(folder, "red.jpg"), _ids(folder, "two.png")
    first = files.thumbnail(red, 256)
    photos.rename(photos.with_name("away"))
    assert files.thumbnail(red, 256) == first
    for id_, pixels in ((two, 256), (red, 1024)):
        with pytest.raises(FileUnreadable, match="not reachable"):
            files.thumbnail(id_, pixels)
    with pytest.raises(FileUnreadable, match="not reachable"):
        files.original(red)


def test_what_is_no_photo_has_no_thumbnail(folder: Path, files: ItemFiles) -> None:
    (note,) = _ids(folder, "note.txt")
    for id_ in (note, 0, -1, 999, 2**63, -(2**70)):
        assert files.thumbnail(id_, 256) is None


def test_a_file_that_cannot_be_shown_is_not_tried_again_at_once(
    folder: Path, files: ItemFiles, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (red,) = _ids(folder, "red.jpg")
    (photos / "red.jpg").write_bytes(b"no picture any more")
    made = _made(files, monkeypatch)
    for _ in range(3):
        with pytest.raises(FileUnreadable, match="not an image"):
            files.thumbnail(red, 256)
    assert made == [256]
    draw(photos / "red.jpg", "green")
    mended = files.thumbnail(red, 256)
    assert mended is not None
    assert _colour(mended.webp) == "green"


def test_threads_that_want_the_same_thumbnail_decode_once(
    folder: Path, files: ItemFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    (red,) = _ids(folder, "red.jpg")
    made = _made(files, monkeypatch)
    with ThreadPoolExecutor(8) as pool:
        shown = [*pool.map(lambda _: files.thumbnail(red, 256), range(24))]
    assert len({each.webp for each in shown if each is not None}) == 1
    assert made == [256]


def test_a_killed_decoder_costs_its_request_alone(folder: Path, files: ItemFiles) -> None:
    (red,), (two,) = _ids(folder, "red.jpg"), _ids(folder, "two.png")
    assert files.thumbnail(two, 256) is not None
    (process,) = files._maker._decoders._all
    os.kill(process._popen.pid, signal.SIGSTOP)
    killer = threading.Timer(0.3, os.kill, (process._popen.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(FileUnreadable, match="its decoder was killed"):
        files.thumbnail(red, 256)
    assert files.thumbnail(two, 1024) is not None
    killer.join()


def test_decoders_end_when_nobody_asks(folder: Path, photos: Path) -> None:
    from indexer.core.file_types import MediaType

    maker, body = ThumbnailMaker(idle_seconds=0.2), (photos / "red.jpg").read_bytes()
    assert maker.made(MediaType.PICTURE, body, 256, None)
    until = time.monotonic() + 30
    while maker._decoders._all and time.monotonic() < until:
        time.sleep(0.05)
    assert not maker._decoders._all
    assert maker.made(MediaType.PICTURE, body, 256, None)
    maker.close()
    assert not maker._decoders._all


def test_a_library_that_cannot_be_written_to_still_shows(as_a_user: Path, photos: Path) -> None:
    folder = as_a_user / "library"
    with Library.create(folder, ColourEncoder()) as library:
        index_folders(library, ColourEncoder(), [photos])
    (red,) = _ids(folder, "red.jpg")
    folder.chmod(0o500)
    files = ItemFiles(folder)
    thumbnail = files.thumbnail(red, 256)
    files.close()
    assert thumbnail is not None
    assert _colour(thumbnail.webp) == "red"
    assert not (folder / THUMBNAILS).exists()


def test_the_original_is_the_file(folder: Path, files: ItemFiles, photos: Path) -> None:
    for name in ("red.jpg", "film.mp4", "note.txt"):
        original = files.original(_ids(folder, name)[0])
        assert original is not None
        with original.file:
            assert original.file.read() == (photos / name).read_bytes()
        status = (photos / name).stat()
        assert (original.path, original.size) == (photos / name, status.st_size)
        assert original.mtime == status.st_mtime
    assert files.original(999) is None


def test_a_changed_original_has_another_version(
    folder: Path, files: ItemFiles, photos: Path
) -> None:
    (note,) = _ids(folder, "note.txt")
    versions = []
    for text in ("one", "two", "three"):
        (photos / "note.txt").write_text(text)
        os.utime(photos / "note.txt", ns=(0, len(versions)))
        original = files.original(note)
        assert original is not None
        original.file.close()
        versions.append(original.version)
    assert len(set(versions)) == 3


@pytest.mark.parametrize("place", ["file", "folder"])
def test_no_link_leads_out(folder: Path, photos: Path, tmp_path: Path, place: str) -> None:
    """Somebody puts a link in the place of a photo, or of its folder, after it was indexed."""
    (red,) = _ids(folder, "red.jpg")
    draw(tmp_path / "secret" / "red.jpg", "black", size=(400, 300))
    if place == "file":
        (photos / "red.jpg").unlink()
        (photos / "red.jpg").symlink_to(tmp_path / "secret" / "red.jpg")
    else:
        shutil.rmtree(photos)
        photos.symlink_to(tmp_path / "secret")
    files = ItemFiles(folder)
    for ask in (lambda: files.original(red), lambda: files.thumbnail(red, 256)):
        with pytest.raises(FileUnreadable, match=OUTSIDE):
            ask()
    files.close()
