"""The index line: what comes, what stays, what goes, and what is skipped."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from indexer.core.encoder import Vectors
from indexer.core.errors import LibraryLocked, ModelMismatch, TwinlensError, UsageError
from indexer.core.types import Hubness, Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexProgress
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.metadata.extract import METADATA_VERSION
from tests.clips import clip, scene
from tests.fakes import GENERIC, ColourEncoder, CountingEncoder, draw
from tests.indexer.ingest.runs import ENCODER, best, counted, findable, index


def test_photos_and_texts_are_found_by_words(library: Library, photos: Path) -> None:
    report = index(library, photos)
    assert (counted(report), report.skipped) == ({"photos": 3, "texts": 2}, ())
    for colour in ("red", "green", "blue"):
        assert best(library, f"something {colour}") == f"{colour}.png"
    assert best(library, "yellow", Kind.TEXT) == "a yellow sun"
    assert library.info().folders == (photos,)


def test_a_second_run_changes_nothing(library: Library, photos: Path) -> None:
    index(library, photos)
    before = (findable(library), findable(library, Kind.TEXT))
    assert counted(index(library, photos)) == {"unchanged": 4}
    assert (findable(library), findable(library, Kind.TEXT)) == before


def test_new_changed_and_lost_files(library: Library, photos: Path) -> None:
    index(library, photos)
    old = findable(library)
    draw(photos / "new.png", "purple")
    draw(photos / "green.png", "orange", "orange")
    (photos / "red.png").unlink()
    (photos / "notes.txt").write_text("white snow\n")
    report = index(library, photos)
    assert counted(report) == {"photos": 1, "updated": 2, "removed": 1, "unchanged": 1}
    held = findable(library)
    assert set(held) == {"new.png", "green.png", "blue.png"}
    assert held["blue.png"] == old["blue.png"]
    assert held["green.png"] > max(old.values())
    assert best(library, "orange") == "green.png"
    assert set(findable(library, Kind.TEXT)) == {"white snow"}


def test_a_renamed_file_keeps_its_id_and_is_not_embedded_again(
    library: Library, photos: Path
) -> None:
    index(library, photos)
    old = findable(library)
    (photos / "sub").mkdir()
    (photos / "red.png").rename(photos / "sub" / "crimson.png")
    (photos / "green.png").rename(photos / "a.png")
    encoder = CountingEncoder()
    report = index_folders(library, encoder, [photos])
    assert counted(report) == {"moved": 2, "unchanged": 2}
    assert encoder.photos == 0
    wanted = {"crimson.png": old["red.png"], "a.png": old["green.png"], "blue.png": old["blue.png"]}
    assert findable(library) == wanted
    assert counted(index(library, photos)) == {"unchanged": 4}


def _hubness(library: Library) -> dict[str, float]:
    """The hubness that is stored with each photo: all that an empty query leaves of a score."""
    (hits,) = library.search(np.zeros((1, 9), dtype=np.float32), Kind.PHOTO, 99, alpha=-1.0)
    records = library.records([hit.id for hit in hits])
    return {record.path.name: hit.score for record, hit in zip(records, hits, strict=True)}


def test_hubness_is_the_same_bit_by_bit_and_at_once(tmp_path: Path, photos: Path) -> None:
    encoder = ColourEncoder(generic=GENERIC, hubness=Hubness(k=2))
    with Library.create(tmp_path / "bit by bit", encoder) as library:
        for path in sorted(photos.glob("*.png")):
            index_folders(library, encoder, [path])
        grown = _hubness(library)
        (photos / "red.png").rename(photos / "renamed.png")
        index_folders(library, encoder, [photos])
        moved = _hubness(library)
    with Library.create(tmp_path / "at once", encoder) as library:
        index_folders(library, encoder, [photos])
        assert moved == _hubness(library)
    assert moved == {name.replace("red.", "renamed."): each for name, each in grown.items()}
    # "red" of the bank is red itself, "red red blue" has a cosine of 2 / sqrt(5) with it.
    assert moved["renamed.png"] == np.float16((1 + 2 / np.sqrt(5)) / 2)
    assert moved["blue.png"] == np.float16((1 / np.sqrt(5) + 0) / 2)


def test_a_file_moved_over_another_takes_its_place(library: Library, photos: Path) -> None:
    index(library, photos)
    old = findable(library)
    (photos / "red.png").replace(photos / "green.png")
    assert counted(index(library, photos)) == {"moved": 1, "unchanged": 2}
    assert findable(library) == {"green.png": old["red.png"], "blue.png": old["blue.png"]}


def test_a_copy_is_a_photo_of_its_own(library: Library, photos: Path) -> None:
    index(library, photos)
    shutil.copy2(photos / "red.png", photos / "copy.png")
    assert counted(index(library, photos)) == {"photos": 1, "unchanged": 4}
    (photos / "red.png").rename(photos / "b.png")
    shutil.copy2(photos / "b.png", photos / "c.png")
    assert counted(index(library, photos)) == {"photos": 1, "moved": 1, "unchanged": 4}
    assert len(findable(library)) == 5


def test_swapped_files_are_embedded_again(library: Library, photos: Path) -> None:
    index(library, photos)
    (photos / "red.png").rename(photos / "x")
    (photos / "blue.png").rename(photos / "red.png")
    (photos / "x").rename(photos / "blue.png")
    for name in ("red.png", "blue.png"):
        os.utime(photos / name, ns=(1, 1))
    assert counted(index(library, photos)) == {"updated": 2, "unchanged": 2}
    assert best(library, "red") == "blue.png"


def test_a_touched_file_keeps_its_vector(library: Library, photos: Path) -> None:
    index(library, photos)
    old = findable(library)
    os.utime(photos / "red.png", ns=(1, 1))
    encoder = CountingEncoder()
    assert counted(index_folders(library, encoder, [photos])) == {"unchanged": 4}
    assert (encoder.photos, findable(library)) == (0, old)
    assert library.catalog.known([photos / "red.png"])[photos / "red.png"].mtime_ns == 1


def _sidecar(path: Path, rating: int) -> None:
    """Write what an editor writes beside a photo."""
    path.write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="{rating}"/></rdf:RDF></x:xmpmeta>'
    )


def _ratings(library: Library) -> dict[str, int | None]:
    """What is known of each photo's rating, by name."""
    records = library.records(list(findable(library).values()))
    return {record.path.name: record.about.rating for record in records}


def test_a_sidecar_is_followed_without_embedding_anew(library: Library, photos: Path) -> None:
    _sidecar(photos / "red.png.xmp", 2)
    _sidecar(photos / "green.XMP", 3)
    encoder = CountingEncoder()
    assert counted(index_folders(library, encoder, [photos])) == {"photos": 3, "texts": 2}
    assert _ratings(library) == {"red.png": 2, "green.png": 3, "blue.png": None}
    _sidecar(photos / "red.png.xmp", 5)
    os.utime(photos / "red.png.xmp", ns=(7, 7))
    (photos / "green.XMP").unlink()
    _sidecar(photos / "blue.xmp", 1)
    assert counted(index_folders(library, encoder, [photos])) == {"unchanged": 4}
    assert _ratings(library) == {"red.png": 5, "green.png": None, "blue.png": 1}
    assert encoder.photos == 3
    generation = library.catalog.facts().generation
    index(library, photos)
    assert library.catalog.facts().generation == generation


def test_a_sidecar_of_a_single_file_is_seen(library: Library, photos: Path) -> None:
    _sidecar(photos / "red.xmp", 4)
    index(library, photos / "red.png")
    assert _ratings(library) == {"red.png": 4}


def test_what_an_older_version_did_not_read_is_read_without_embedding(
    library: Library, photos: Path
) -> None:
    index(library, photos)
    with sqlite3.connect(library.folder / "catalog.sqlite") as catalog:
        catalog.execute("UPDATE files SET stamp = ''")
        catalog.execute("DELETE FROM photos")
    assert {record.about.width for record in library.records(list(findable(library).values()))} == {
        0
    }
    encoder = CountingEncoder()
    assert counted(index_folders(library, encoder, [photos])) == {"unchanged": 4}
    assert encoder.photos == 0
    assert {record.about.width for record in library.records(list(findable(library).values()))} == {
        64
    }


def test_what_is_read_anew_needs_no_embedding(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As an older version left it: that read no titles of PNG, and said so in its stamp.
    title = PngImagePlugin.PngInfo()
    title.add_text("Title", "heron")
    Image.open(photos / "red.png").save(photos / "red.png", pnginfo=title)
    clip(photos / "film.mp4", [(scene("yellow", "purple"), 1)], tags={"title": "harbour"})
    with monkeypatch.context() as older:
        older.setattr("indexer.ingest.prefetch.METADATA_VERSION", METADATA_VERSION - 1)
        index(library, photos)
    with sqlite3.connect(library.folder / "catalog.sqlite") as catalog:
        catalog.execute("UPDATE photos SET title = ''")
    encoder = CountingEncoder()
    assert counted(index_folders(library, encoder, [photos])) == {"unchanged": 5}
    assert encoder.photos == 0
    titles = {
        each.path.name: each.about.title for each in library.records([*findable(library).values()])
    }
    assert (titles["red.png"], titles["film.mp4"], titles["green.png"]) == ("heron", "harbour", "")
    generation = library.catalog.facts().generation
    index(library, photos)
    assert library.catalog.facts().generation == generation


@pytest.mark.parametrize(
    ("batch_size", "commit_every", "threads"), [(1, 1, 1), (2, 3, 4), (64, 256, 2)]
)
def test_batches_change_nothing(
    library: Library, tmp_path: Path, batch_size: int, commit_every: int, threads: int
) -> None:
    colours = ("red", "green", "blue", "yellow", "white")
    folder = tmp_path / "p"
    for number, colour in enumerate(colours):
        draw(folder / f"{number}.png", colour)
        (folder / f"{number}.txt").write_text(f"{colour} one\n{colour} two\n")
    index(
        library,
        folder,
        batch_size=batch_size,
        commit_every=commit_every,
        threads=threads,
    )
    assert [best(library, colour) for colour in colours] == [f"{n}.png" for n in range(5)]
    ids = sorted([*findable(library).values(), *findable(library, Kind.TEXT).values()])
    assert ids == list(range(1, 16))
    (hits,) = library.search(ENCODER.encode_texts(["blue"]), Kind.TEXT, 2)
    assert [record.text for record in library.records([hit.id for hit in hits])] == [
        "blue one",
        "blue two",
    ]


def test_progress_is_told(library: Library, photos: Path) -> None:
    (photos / "broken.jpg").write_text("hello")
    told: list[IndexProgress] = []
    index_folders(library, ENCODER, [photos], progress=told.append)
    first, last = told[0], told[-1]
    assert (first.met, first.files) == (5, 0)
    assert (last.met, last.files, last.photos, last.texts, last.skipped) == (5, 5, 3, 2, 1)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda vectors: vectors * np.nan, "NaN"),
        (lambda vectors: vectors * 3, "not of unit length"),
        (lambda vectors: vectors[:, :-1], "shape"),
        (lambda vectors: vectors[:-1], "shape"),
    ],
)
def test_a_broken_encoder_is_named_and_stores_nothing(
    library: Library, photos: Path, spoil: Callable[[Vectors], Vectors], fault: str
) -> None:
    class Broken(ColourEncoder):
        def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
            return spoil(super().encode_images(images))

    with pytest.raises(TwinlensError, match=f"the encoder 'colours' gave .*{fault}"):
        index_folders(library, Broken(), [photos])
    assert library.counts() == {Kind.PHOTO: 0, Kind.TEXT: 0}
    assert counted(index(library, photos)) == {"photos": 3, "texts": 2}


def test_an_interrupt_leaves_the_last_commit(library: Library, tmp_path: Path) -> None:
    class Interrupted(ColourEncoder):
        batches = 0

        def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
            self.batches += 1
            if self.batches == 4:
                raise KeyboardInterrupt
            return super().encode_images(images)

    for number in range(20):
        draw(tmp_path / "p" / f"{number:02}.png", "red", size=(8, 8 + number))
    options = IndexOptions(batch_size=2, commit_every=4)
    with pytest.raises(KeyboardInterrupt):
        index_folders(library, Interrupted(), [tmp_path / "p"], options=options)
    assert set(findable(library)) == {f"{number:02}.png" for number in range(4)}
    assert counted(index(library, tmp_path / "p")) == {"photos": 16, "unchanged": 4}


def test_wrong_requests(library: Library, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder to index"):
        index(library)
    (tmp_path / "a.mp3").touch()
    with pytest.raises(UsageError, match="neither a folder nor a supported photo, video or text"):
        index(library, tmp_path / "a.mp3")
    with pytest.raises(UsageError, match="batch_size must be above 0, not 0"):
        IndexOptions(batch_size=0)
    with pytest.raises(ModelMismatch):
        index_folders(library, ColourEncoder(fingerprint="other"), [photos])
    with Library.open(library.folder) as other, other.writing(), pytest.raises(LibraryLocked):
        index(library, photos)
