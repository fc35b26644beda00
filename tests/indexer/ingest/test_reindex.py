"""Another model: the old vectors answer until one commit, whatever happens before it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.encoder import Vectors
from indexer.core.errors import LibraryLocked, ModelMismatch, UsageError
from indexer.core.types import Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.ingest.reindex import reindex
from indexer.ingest.walker import WalkOptions
from indexer.library.library import NEXT, Library
from indexer.library.verify import check
from tests.fakes import COLOURS, GENERIC, ColourEncoder, draw

OLD = ColourEncoder(generic=GENERIC)


class Mirror(ColourEncoder):
    """Another space of more dimensions: the colours in reverse order, then zeros."""

    def __init__(self) -> None:
        super().__init__(name="mirror", fingerprint="fedcba", generic=GENERIC)
        self.dim += 3
        self.left = 1_000  # photos until it fails

    def _mirrored(self, vectors: Vectors) -> Vectors:
        return np.pad(vectors[:, : len(COLOURS) + 1][:, ::-1], ((0, 0), (0, 3)))

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        self.left -= len(images)
        if self.left < 0:
            raise KeyboardInterrupt
        return self._mirrored(_stack9(super().encode_images, images))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return self._mirrored(_stack9(super().encode_texts, texts))


def _stack9(encode: object, inputs: Sequence[object]) -> Vectors:
    """Embed with the colours' own length."""
    encoder = encode.__self__
    encoder.dim -= 3
    try:
        return encode(inputs)
    finally:
        encoder.dim += 3


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A library of eight photos, one of them hidden, and a text."""
    for colour in COLOURS:
        draw(tmp_path / "photos" / f"{colour}.png", colour)
    (tmp_path / "photos" / "red.png").rename(tmp_path / "photos" / ".red.png")
    (tmp_path / "photos" / "notes.txt").write_text("a red car\na yellow sun\n")
    options = IndexOptions(walk=WalkOptions(include_hidden=True))
    with Library.create(tmp_path / "library", OLD) as library:
        index_folders(library, OLD, [tmp_path / "photos"], options=options)
    return tmp_path / "library"


def _best(folder: Path, encoder: ColourEncoder, words: str) -> str:
    with Library.open(folder) as library:
        library.check_model(encoder)
        (hits,) = library.search(encoder.encode_texts([words]), Kind.PHOTO, 1)
        return library.records([hits[0].id])[0].path.name


def test_the_library_is_of_the_other_model(folder: Path, tmp_path: Path) -> None:
    with Library.open(folder) as library:
        before = library.catalog.facts().next_id
    report = reindex(folder, Mirror())
    assert (report.photos, report.texts, report.skipped) == (8, 2, ())
    assert _best(folder, Mirror(), "purple") == "purple.png"
    assert _best(folder, Mirror(), "red") == ".red.png"  # hidden, but the library held it
    with Library.open(folder) as library:
        assert (library.model, library.dim) == ("mirror", OLD.dim + 3)
        assert library.info().folders == (tmp_path / "photos",)
        (hits,) = library.search(Mirror().encode_texts(["red"]), Kind.PHOTO, 100)
        assert min(hit.id for hit in hits) >= before, "an id was given out twice"
        draw(tmp_path / "photos" / "new.png", "red", "blue")
        options = IndexOptions(walk=WalkOptions(include_hidden=True))
        again = index_folders(library, Mirror(), [tmp_path / "photos"], options=options)
        assert (again.photos, again.unchanged) == (1, 9)
    assert check(folder) == []
    assert not (folder / NEXT).exists()


def test_killed_in_the_middle_the_old_one_answers_and_the_next_run_goes_on(folder: Path) -> None:
    broken, options = Mirror(), IndexOptions(batch_size=2, commit_every=2)
    broken.left = 5
    with pytest.raises(KeyboardInterrupt):
        reindex(folder, broken, options=options)
    assert _best(folder, OLD, "green") == "green.png"
    (finding,) = check(folder)
    assert (finding.path, finding.grave) == (folder / NEXT, False)
    again = Mirror()
    assert reindex(folder, again, options=options).photos == 8
    assert 1_000 - again.left == 8 - 5, "what was embedded was embedded again"
    assert check(folder) == []


def test_an_unfinished_set_of_a_third_model_is_dropped(folder: Path) -> None:
    Library.create(folder / NEXT, ColourEncoder(fingerprint="third")).close()
    assert reindex(folder, Mirror()).photos == 8


def test_a_reader_that_was_open_is_told(folder: Path) -> None:
    with Library.open(folder) as reader:
        reindex(folder, Mirror())
        with pytest.raises(
            ModelMismatch, match="changed to the model 'mirror' after it was opened"
        ):
            reader.search(OLD.encode_texts(["red"]), Kind.PHOTO, 1)


def test_the_switch_waits_for_no_one_by_default(folder: Path) -> None:
    with Library.open(folder) as writer, writer.writing():
        with pytest.raises(LibraryLocked):
            reindex(folder, Mirror())
        assert _best(folder, OLD, "green") == "green.png"
    assert reindex(folder, Mirror()).photos == 8


def test_a_folder_that_is_not_there_stops_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "unplugged")
    with pytest.raises(UsageError, match="is its drive plugged in"):
        reindex(folder, Mirror())
    assert _best(folder, OLD, "green") == "green.png"


@pytest.mark.parametrize("leftover", ["", ".DS_Store", "notes.txt"])
def test_a_drive_that_is_away_stops_it(folder: Path, tmp_path: Path, leftover: str) -> None:
    photos = tmp_path / "photos"
    away = photos.rename(tmp_path / "unplugged")
    photos.mkdir()
    if leftover == "notes.txt":  # a text of the library, and no photo of it
        (photos / leftover).write_text("a red car\na yellow sun\n")
    elif leftover:
        (photos / leftover).touch()
    with pytest.raises(UsageError, match=r"cannot be embedded again: .* twinlens reindex --prune"):
        reindex(folder, Mirror())
    assert _best(folder, OLD, "green") == "green.png"
    assert not (folder / NEXT).exists(), "it began all the same"
    photos.rename(tmp_path / "mount point")
    away.rename(photos)
    assert reindex(folder, Mirror()).photos == 8


def test_a_drive_that_goes_meanwhile_stops_the_switch(folder: Path, tmp_path: Path) -> None:
    class Unplugging(Mirror):
        def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
            if (tmp_path / "photos").exists():
                (tmp_path / "photos").rename(tmp_path / "unplugged")
            return super().encode_images(images)

    with pytest.raises(UsageError, match="cannot be found"):
        reindex(folder, Unplugging(), options=IndexOptions(batch_size=1, commit_every=1, threads=1))
    assert _best(folder, OLD, "green") == "green.png"
    (tmp_path / "unplugged").rename(tmp_path / "photos")
    assert reindex(folder, Mirror()).photos == 8


def test_what_is_away_is_left_behind_if_that_is_said(folder: Path, tmp_path: Path) -> None:
    for photo in sorted((tmp_path / "photos").glob("*.png"))[:6]:
        photo.unlink()
    with pytest.raises(UsageError, match="6 of its 9 files are gone at once"):
        reindex(folder, Mirror())
    assert reindex(folder, Mirror(), options=IndexOptions(prune=True)).photos == 2


def test_a_deleted_photo_does_not_stop_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "blue.png").unlink()
    assert reindex(folder, Mirror()).photos == 7


def test_a_photo_that_cannot_be_read_now_is_not_lost(as_a_user: Path) -> None:
    photos = draw(as_a_user / "photos" / "a.png", "red").parent
    draw(photos / "b.png", "blue")
    with Library.create(as_a_user / "library", OLD) as library:
        index_folders(library, OLD, [photos])
    (photos / "a.png").chmod(0)
    with pytest.raises(UsageError, match=r"1 of .*photos' \(cannot be read"):
        reindex(as_a_user / "library", Mirror())
    assert _best(as_a_user / "library", OLD, "red") == "a.png"


def _cut_catalog(path: Path) -> None:
    (path / "catalog.sqlite").write_bytes(b"broken" * 999)


def _no_catalog(path: Path) -> None:
    (path / "catalog.sqlite").unlink()


def _cut_segment(path: Path) -> None:
    segment = next((path / "vectors").iterdir())
    segment.write_bytes(segment.read_bytes()[:-5])


def _a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("not a library")


@pytest.mark.parametrize("damage", [_cut_catalog, _no_catalog, _cut_segment, _a_file])
def test_a_broken_unfinished_set_is_begun_anew(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    broken, options = Mirror(), IndexOptions(batch_size=2, commit_every=2)
    broken.left = 5
    with pytest.raises(KeyboardInterrupt):
        reindex(folder, broken, options=options)
    damage(folder / NEXT)
    assert reindex(folder, Mirror(), options=options).photos == 8
    assert check(folder) == []


def test_an_empty_library_is_named(tmp_path: Path) -> None:
    Library.create(tmp_path / "library", OLD).close()
    with pytest.raises(UsageError, match="is empty"):
        reindex(tmp_path / "library", Mirror())
