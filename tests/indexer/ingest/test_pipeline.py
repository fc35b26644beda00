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
from indexer.core.types import Hubness, Kind, Skip
from indexer.decoding.pool import DecodeOptions
from indexer.ingest.pipeline import IndexOptions, IndexProgress, IndexReport, index_folders
from indexer.ingest.walker import WalkOptions
from indexer.library.library import Library
from indexer.metadata.extract import METADATA_VERSION
from tests.clips import clip, scene
from tests.fakes import GENERIC, ColourEncoder, CountingEncoder, draw

ENCODER = ColourEncoder()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos and a text of two lines."""
    folder = tmp_path / "photos"
    for colour in ("red", "green", "blue"):
        draw(folder / f"{colour}.png", colour)
    (folder / "notes.txt").write_text("a red car\na yellow sun\n")
    return folder


def _index(library: Library, *folders: Path, **options: object) -> IndexReport:
    return index_folders(library, ENCODER, folders, options=IndexOptions(**options))


def _tally(report: IndexReport) -> dict[str, int]:
    """What a report counts, but for zeros."""
    names = ("photos", "texts", "updated", "moved", "removed", "unchanged")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def _held(library: Library, kind: Kind = Kind.PHOTO) -> dict[str, int]:
    """The items of a kind that searches can find: name (or text) to id."""
    (hits,) = library.search(ENCODER.encode_texts(["red"]), kind, 10_000)
    records = library.records([hit.id for hit in hits])
    assert len(records) == len(hits) == library.counts()[kind]
    held = {record.text or record.path.name: record.id for record in records}
    assert len(held) == len(hits), "an item was found twice"
    return held


def _best(library: Library, words: str, kind: Kind = Kind.PHOTO) -> str:
    """What a query finds first."""
    (hits,) = library.search(ENCODER.encode_texts([words]), kind, 1)
    (record,) = library.records([hits[0].id])
    return record.text or record.path.name


def test_photos_and_texts_are_found_by_words(library: Library, photos: Path) -> None:
    report = _index(library, photos)
    assert (_tally(report), report.skipped) == ({"photos": 3, "texts": 2}, ())
    for colour in ("red", "green", "blue"):
        assert _best(library, f"something {colour}") == f"{colour}.png"
    assert _best(library, "yellow", Kind.TEXT) == "a yellow sun"
    assert library.info().folders == (photos,)


def test_a_second_run_changes_nothing(library: Library, photos: Path) -> None:
    _index(library, photos)
    before = (_held(library), _held(library, Kind.TEXT))
    assert _tally(_index(library, photos)) == {"unchanged": 4}
    assert (_held(library), _held(library, Kind.TEXT)) == before


def test_new_changed_and_lost_files(library: Library, photos: Path) -> None:
    _index(library, photos)
    old = _held(library)
    draw(photos / "new.png", "purple")
    draw(photos / "green.png", "orange", "orange")
    (photos / "red.png").unlink()
    (photos / "notes.txt").write_text("white snow\n")
    report = _index(library, photos)
    assert _tally(report) == {"photos": 1, "updated": 2, "removed": 1, "unchanged": 1}
    held = _held(library)
    assert set(held) == {"new.png", "green.png", "blue.png"}
    assert held["blue.png"] == old["blue.png"]
    assert held["green.png"] > max(old.values())
    assert _best(library, "orange") == "green.png"
    assert set(_held(library, Kind.TEXT)) == {"white snow"}


def test_a_renamed_file_keeps_its_id_and_is_not_embedded_again(
    library: Library, photos: Path
) -> None:
    _index(library, photos)
    old = _held(library)
    (photos / "sub").mkdir()
    (photos / "red.png").rename(photos / "sub" / "crimson.png")
    (photos / "green.png").rename(photos / "a.png")
    encoder = CountingEncoder()
    report = index_folders(library, encoder, [photos])
    assert _tally(report) == {"moved": 2, "unchanged": 2}
    assert encoder.photos == 0
    wanted = {"crimson.png": old["red.png"], "a.png": old["green.png"], "blue.png": old["blue.png"]}
    assert _held(library) == wanted
    assert _tally(_index(library, photos)) == {"unchanged": 4}


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
    _index(library, photos)
    old = _held(library)
    (photos / "red.png").replace(photos / "green.png")
    assert _tally(_index(library, photos)) == {"moved": 1, "unchanged": 2}
    assert _held(library) == {"green.png": old["red.png"], "blue.png": old["blue.png"]}


def test_a_copy_is_a_photo_of_its_own(library: Library, photos: Path) -> None:
    _index(library, photos)
    shutil.copy2(photos / "red.png", photos / "copy.png")
    assert _tally(_index(library, photos)) == {"photos": 1, "unchanged": 4}
    (photos / "red.png").rename(photos / "b.png")
    shutil.copy2(photos / "b.png", photos / "c.png")
    assert _tally(_index(library, photos)) == {"photos": 1, "moved": 1, "unchanged": 4}
    assert len(_held(library)) == 5


def test_swapped_files_are_embedded_again(library: Library, photos: Path) -> None:
    _index(library, photos)
    (photos / "red.png").rename(photos / "x")
    (photos / "blue.png").rename(photos / "red.png")
    (photos / "x").rename(photos / "blue.png")
    for name in ("red.png", "blue.png"):
        os.utime(photos / name, ns=(1, 1))
    assert _tally(_index(library, photos)) == {"updated": 2, "unchanged": 2}
    assert _best(library, "red") == "blue.png"


def test_a_touched_file_keeps_its_vector(library: Library, photos: Path) -> None:
    _index(library, photos)
    old = _held(library)
    os.utime(photos / "red.png", ns=(1, 1))
    encoder = CountingEncoder()
    assert _tally(index_folders(library, encoder, [photos])) == {"unchanged": 4}
    assert (encoder.photos, _held(library)) == (0, old)
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
    records = library.records(list(_held(library).values()))
    return {record.path.name: record.about.rating for record in records}


def test_a_sidecar_is_followed_without_embedding_anew(library: Library, photos: Path) -> None:
    _sidecar(photos / "red.png.xmp", 2)
    _sidecar(photos / "green.XMP", 3)
    encoder = CountingEncoder()
    assert _tally(index_folders(library, encoder, [photos])) == {"photos": 3, "texts": 2}
    assert _ratings(library) == {"red.png": 2, "green.png": 3, "blue.png": None}
    _sidecar(photos / "red.png.xmp", 5)
    os.utime(photos / "red.png.xmp", ns=(7, 7))
    (photos / "green.XMP").unlink()
    _sidecar(photos / "blue.xmp", 1)
    assert _tally(index_folders(library, encoder, [photos])) == {"unchanged": 4}
    assert _ratings(library) == {"red.png": 5, "green.png": None, "blue.png": 1}
    assert encoder.photos == 3
    generation = library.catalog.facts().generation
    _index(library, photos)
    assert library.catalog.facts().generation == generation


def test_a_sidecar_of_a_single_file_is_seen(library: Library, photos: Path) -> None:
    _sidecar(photos / "red.xmp", 4)
    _index(library, photos / "red.png")
    assert _ratings(library) == {"red.png": 4}


def test_what_an_older_version_did_not_read_is_read_without_embedding(
    library: Library, photos: Path
) -> None:
    _index(library, photos)
    with sqlite3.connect(library.folder / "catalog.sqlite") as catalog:
        catalog.execute("UPDATE files SET stamp = ''")
        catalog.execute("DELETE FROM photos")
    assert {record.about.width for record in library.records(list(_held(library).values()))} == {0}
    encoder = CountingEncoder()
    assert _tally(index_folders(library, encoder, [photos])) == {"unchanged": 4}
    assert encoder.photos == 0
    assert {record.about.width for record in library.records(list(_held(library).values()))} == {64}


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
        _index(library, photos)
    with sqlite3.connect(library.folder / "catalog.sqlite") as catalog:
        catalog.execute("UPDATE photos SET title = ''")
    encoder = CountingEncoder()
    assert _tally(index_folders(library, encoder, [photos])) == {"unchanged": 5}
    assert encoder.photos == 0
    titles = {
        each.path.name: each.about.title for each in library.records([*_held(library).values()])
    }
    assert (titles["red.png"], titles["film.mp4"], titles["green.png"]) == ("heron", "harbour", "")
    generation = library.catalog.facts().generation
    _index(library, photos)
    assert library.catalog.facts().generation == generation


def test_a_damaged_file_whose_picture_is_there_is_taken_and_told(
    library: Library, photos: Path
) -> None:
    path = draw(photos / "whole.jpg", "red", "blue")
    path.write_bytes(path.read_bytes()[:-2])
    report = _index(library, photos)
    told = Skip(path=path, reason="its end marker is missing; the picture is there")
    assert (_tally(report), report.damaged) == ({"photos": 4, "texts": 2}, (told,))
    assert (report.skipped, library.info().skipped) == ((), 0)
    again = _index(library, photos)
    assert (_tally(again), again.damaged) == ({"unchanged": 5}, ())  # it is told once


def test_a_broken_file_is_skipped_and_listed_each_time(library: Library, photos: Path) -> None:
    (photos / "broken.jpg").write_text("hello")
    skip = Skip(path=photos / "broken.jpg", reason="not an image Pillow can read")
    report = _index(library, photos)
    assert (_tally(report), report.skipped) == ({"photos": 3, "texts": 2}, (skip,))
    report = _index(library, photos)
    assert (_tally(report), report.skipped) == ({"unchanged": 4}, (skip,))
    assert library.info().skipped == 1
    draw(photos / "broken.jpg", "black")
    assert _tally(_index(library, photos)) == {"updated": 1, "unchanged": 4}
    assert (library.info().skipped, library.info().photos) == (0, 4)


def test_what_was_skipped_before_is_told_apart(library: Library, photos: Path) -> None:
    (photos / "broken.jpg").write_text("hello")
    (photos / "link.jpg").symlink_to(photos / "gone.jpg")
    broken = Skip(path=photos / "broken.jpg", reason="not an image Pillow can read")
    link = Skip(path=photos / "link.jpg", reason="a link that leads nowhere")
    reports = [_index(library, photos) for _ in range(2)]
    assert [set(report.skipped) for report in reports] == [{broken, link}] * 2
    assert [set(report.still) for report in reports] == [set(), {broken, link}]
    # Another reader tries again and fails for the same reason; of another content it is new.
    again = _index(library, photos, decode=DecodeOptions(max_megapixels=10))
    assert set(again.still) == {broken, link}
    (photos / "broken.jpg").write_text("hello again")
    assert _index(library, photos).still == (link,)
    # Once it was mended, the link is new when it breaks again; another folder changes nothing.
    draw(photos / "gone.jpg", "black")
    draw(photos.parent / "other" / "a.png", "red")
    assert _index(library, photos).still == (broken,)
    assert _index(library, photos.parent / "other").skipped == ()
    (photos / "gone.jpg").unlink()
    report = _index(library, photos)
    assert (set(report.skipped), report.still) == ({broken, link}, (broken,))


def test_a_file_that_only_moved_is_skipped_still(library: Library, photos: Path) -> None:
    (photos / "broken.jpg").write_text("hello")
    _index(library, photos)
    (photos / "broken.jpg").rename(photos / "moved.jpg")
    assert [skip.path.name for skip in _index(library, photos).still] == ["moved.jpg"]


def test_a_broken_file_is_not_read_again(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "broken.jpg").write_text("hello")
    _index(library, photos)
    monkeypatch.setattr("indexer.decoding.pool.DecodePool.see", None)
    assert len(_index(library, photos).skipped) == 1


def test_a_photo_that_breaks_leaves(library: Library, photos: Path) -> None:
    _index(library, photos)
    (photos / "red.png").write_bytes(b"")
    report = _index(library, photos)
    assert report.skipped == (Skip(path=photos / "red.png", reason="empty file"),)
    assert set(_held(library)) == {"green.png", "blue.png"}


def test_a_higher_cap_tries_again(library: Library, tmp_path: Path) -> None:
    photo = draw(tmp_path / "p" / "a.png", "red", size=(200, 100))
    (skip,) = _index(library, photo, decode=DecodeOptions(max_megapixels=0.01)).skipped
    assert skip.reason.startswith("0 megapixels, over the limit of 0.01; raise it")
    report = _index(library, photo, decode=DecodeOptions(max_megapixels=0.02))
    assert (report.skipped, set(_held(library))) == ((), {"a.png"})


def test_a_photo_for_which_memory_lacks_is_tried_again(library: Library, tmp_path: Path) -> None:
    """It is not broken: another machine, or a larger container, reads it."""
    path = tmp_path / "p" / "a.png"
    path.parent.mkdir()
    Image.new("1", (10_000, 10_000), 1).save(path)
    small = DecodeOptions(memory_bytes=450_000_000)
    for _ in range(2):
        (skip,) = _index(library, path, decode=small).skipped
        assert skip.reason.startswith("takes 0.8 GB of memory to decode, and decoding may take")
        assert _held(library) == {}
    report = _index(library, path)
    assert (report.skipped, report.photos) == ((), 1)


def test_bad_rows_are_listed_and_the_rest_kept(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "t" / "captions.jsonl"
    path.parent.mkdir()
    path.write_text('{"captions": ["a red hat", "a hat"]}\nnot json\n')
    skip = Skip(path=path, reason="line 2: not JSON")
    for tally in ({"texts": 2}, {}):
        report = _index(library, path.parent)
        assert (_tally(report), report.skipped) == (tally, (skip,))
    assert set(_held(library, Kind.TEXT)) == {"a red hat", "a hat"}


def test_odd_exif_says_nothing_on_the_way(library: Library, tmp_path: Path) -> None:
    # Pillow warns; warnings are errors here.
    path = tmp_path / "p" / "a.jpg"
    path.parent.mkdir()
    Image.new("RGB", (8, 8), "red").save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert _tally(_index(library, path.parent)) == {"photos": 1}


def test_names_of_any_bytes(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    names = ["a\nb.png", os.fsdecode(b"caf\xe9.png")]
    for name in names:
        shutil.copy(draw(folder / "red.png", "red"), folder / name)
    _index(library, folder)
    assert set(_held(library)) == {"red.png", *names}
    assert _tally(_index(library, folder)) == {"unchanged": 3}


def test_a_missing_folder_wipes_nothing(library: Library, photos: Path) -> None:
    _index(library, photos)
    photos.rename(photos.with_name("unplugged"))
    with pytest.raises(UsageError, match=r"no folder at .*photos'; is its drive plugged in"):
        _index(library, photos)
    photos.mkdir()  # a mount point without its drive
    with pytest.raises(UsageError, match="is empty, but the library holds files of it"):
        _index(library, photos)
    assert len(_held(library)) == 3


def test_a_linked_drive_that_is_unplugged_wipes_nothing(library: Library, tmp_path: Path) -> None:
    root, drive = tmp_path / "root", tmp_path / "drive"
    draw(root / "a.png", "red")
    draw(drive / "b.png", "blue")
    (root / "link").symlink_to(drive)
    _index(library, root)
    drive.rename(tmp_path / "gone")
    report = _index(library, root)
    assert report.skipped == (Skip(path=root / "link", reason="a link that leads nowhere"),)
    assert set(_held(library)) == {"a.png", "b.png"}


def test_a_closed_folder_wipes_nothing(as_a_user: Path) -> None:
    root = as_a_user / "photos"
    draw(root / "closed" / "a.png", "red")
    draw(root / "b.png", "blue")
    with Library.create(as_a_user / "library", ENCODER) as library:
        _index(library, root)
        (root / "closed").chmod(0)
        (root / "b.png").unlink()
        draw(root / "c.png", "red")  # the same content as the one that is out of sight
        report = _index(library, root)
        assert report.skipped == (Skip(path=root / "closed", reason="permission denied"),)
        assert _tally(report) == {"photos": 1, "removed": 1}
        assert set(_held(library)) == {"a.png", "c.png"}


def test_a_closed_file_keeps_what_is_known_of_it(as_a_user: Path) -> None:
    photo = draw(as_a_user / "photos" / "a.png", "red")
    with Library.create(as_a_user / "library", ENCODER) as library:
        _index(library, photo)
        draw(photo, "blue", "green")
        photo.chmod(0)
        assert _index(library, photo).skipped == (Skip(path=photo, reason="permission denied"),)
        assert set(_held(library)) == {"a.png"}
        photo.chmod(0o600)
        assert _tally(_index(library, photo)) == {"updated": 1}


def test_other_folders_are_left_alone(library: Library, photos: Path, tmp_path: Path) -> None:
    draw(tmp_path / "other" / "white.png", "white")
    _index(library, photos, tmp_path / "other")
    shutil.rmtree(photos)
    assert _tally(_index(library, tmp_path / "other")) == {"unchanged": 1}
    assert len(_held(library)) == 4


def test_a_folder_named_now_as_excluded_leaves(library: Library, photos: Path) -> None:
    draw(photos / "drafts" / "d.png", "black")
    _index(library, photos)
    report = _index(library, photos, walk=WalkOptions(exclude_dirs=("drafts",)))
    assert _tally(report) == {"removed": 1, "unchanged": 4}


def test_the_same_folder_by_two_ways_is_one(library: Library, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    report = _index(library, tmp_path / "link", photos / ".." / "photos")
    assert _tally(report) == {"photos": 3, "texts": 2}
    assert library.info().folders == (photos,)


def test_the_library_may_lie_in_the_folder(photos: Path) -> None:
    with Library.create(photos / "library", ENCODER) as library:
        draw(library.folder / "thumb.png", "red")
        assert _tally(_index(library, photos)) == {"photos": 3, "texts": 2}


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
    _index(
        library,
        folder,
        batch_size=batch_size,
        commit_every=commit_every,
        threads=threads,
    )
    assert [_best(library, colour) for colour in colours] == [f"{n}.png" for n in range(5)]
    ids = sorted([*_held(library).values(), *_held(library, Kind.TEXT).values()])
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
    assert _tally(_index(library, photos)) == {"photos": 3, "texts": 2}


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
    assert set(_held(library)) == {f"{number:02}.png" for number in range(4)}
    assert _tally(_index(library, tmp_path / "p")) == {"photos": 16, "unchanged": 4}


def test_a_file_that_changes_while_it_is_read_is_skipped(library: Library, photos: Path) -> None:
    class Meddling(ColourEncoder):
        def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
            (photos / "red.png").unlink(missing_ok=True)
            draw(photos / "green.png", "white", size=(9, 9))
            return super().encode_images(images)

    options = IndexOptions(batch_size=1, threads=1)
    report = index_folders(library, Meddling(), [photos], options=options)
    assert report.photos + len(report.skipped) == 3
    _index(library, photos)
    assert set(_held(library)) == {"green.png", "blue.png"}
    assert _best(library, "white") == "green.png"


def test_wrong_requests(library: Library, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder to index"):
        _index(library)
    (tmp_path / "a.mp3").touch()
    with pytest.raises(UsageError, match="neither a folder, nor a photo or text"):
        _index(library, tmp_path / "a.mp3")
    with pytest.raises(UsageError, match="batch_size must be above 0, not 0"):
        IndexOptions(batch_size=0)
    with pytest.raises(ModelMismatch):
        index_folders(library, ColourEncoder(fingerprint="other"), [photos])
    with Library.open(library.folder) as other, other.writing(), pytest.raises(LibraryLocked):
        _index(library, photos)
