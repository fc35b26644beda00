"""A file of the same size and date may be another one: inode and time of change tell."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from indexer.core.types import Kind
from indexer.ingest import pipeline, prefetch
from indexer.ingest.index_report import IndexReport
from indexer.ingest.pipeline import index_folders
from indexer.ingest.walker import FoundFile
from indexer.library.library import Library
from tests.fakes import COLOURS, ColourEncoder, CountingEncoder, draw

WHEN = 1_577_836_800 * 10**9


def _bitmap(path: Path, colour: str, *, rating: int = 0) -> Path:
    """A photo whose size does not tell what it shows, and whose date never changes."""
    data = BytesIO()
    Image.new("RGB", (64, 64), COLOURS[colour]).save(data, "BMP")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.getvalue() + bytes([rating]))
    os.utime(path, ns=(WHEN, WHEN))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for colour in ("red", "green", "blue"):
        _bitmap(tmp_path / "p" / f"{colour}.bmp", colour)
    return tmp_path / "p"


def _index(library: Library, root: Path) -> tuple[IndexReport, int]:
    encoder = CountingEncoder()
    return index_folders(library, encoder, [root]), encoder.photos


def _best(library: Library, words: str) -> str:
    (hits,) = library.search(ColourEncoder().encode_texts([words]), Kind.PHOTO, 1)
    return library.records([hits[0].id])[0].path.name


def test_photos_that_were_swapped_are_found_by_what_they_show(library: Library, root: Path) -> None:
    _index(library, root)
    (root / "red.bmp").rename(root / "x")
    (root / "blue.bmp").rename(root / "red.bmp")
    (root / "x").rename(root / "blue.bmp")
    assert _index(library, root)[0].updated == 2
    assert (_best(library, "red"), _best(library, "blue")) == ("blue.bmp", "red.bmp")


def test_an_edit_that_keeps_size_and_date_is_seen(library: Library, root: Path) -> None:
    _index(library, root)
    _bitmap(root / "red.bmp", "yellow")
    assert _index(library, root)[0].updated == 1
    assert _best(library, "yellow") == "red.bmp"


def test_one_byte_in_the_middle_of_a_large_file_is_seen(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "p" / "a.bmp"
    path.parent.mkdir()
    Image.new("RGB", (640, 640), COLOURS["red"]).save(path)
    os.utime(path, ns=(WHEN, WHEN))
    _index(library, path.parent)
    with path.open("r+b") as file:
        file.seek(301_234)
        file.write(b"\x07")
    os.utime(path, ns=(WHEN, WHEN))
    assert _index(library, path.parent)[0].updated == 1


def test_a_restored_backup_is_not_embedded_again(
    library: Library, root: Path, tmp_path: Path
) -> None:
    """New inodes, new times of change, the same dates and content."""
    _index(library, root)
    shutil.copytree(root, tmp_path / "backup")
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "backup", root)
    report, embedded = _index(library, root)
    assert (report.unchanged, report.updated, embedded) == (3, 0, 0)
    generation = library.catalog.facts().generation
    _index(library, root)
    assert library.catalog.facts().generation == generation, "they were read a second time"


@pytest.fixture
def renumbered(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let every file have another inode, as a FAT drive does each time it is plugged in."""
    real = pipeline.walk

    def by(shift: int) -> None:
        def walk(*args: object, **kwargs: object) -> Iterator[object]:
            for item in real(*args, **kwargs):
                is_file = isinstance(item, FoundFile)
                yield replace(item, inode=item.inode + shift) if is_file else item

        monkeypatch.setattr(pipeline, "walk", walk)

    return by


def test_a_drive_of_changing_inodes_is_not_read_whole(
    library: Library,
    root: Path,
    renumbered: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _index(library, root)
    monkeypatch.setattr(prefetch, "_content", None)
    for shift in (1_000_000, 2_000_000):
        renumbered(shift)
        report, embedded = _index(library, root)
        assert (report.unchanged, embedded) == (3, 0)
        generation = library.catalog.facts().generation
        _index(library, root)
        assert library.catalog.facts().generation == generation


def test_another_photo_of_the_same_dates_has_another_sample(
    library: Library, root: Path, renumbered: Callable[[int], None]
) -> None:
    _index(library, root)
    red, blue = (library.catalog.known([root / f"{name}.bmp"]) for name in ("red", "blue"))
    path = root / "red.bmp"
    _bitmap(path, "blue")
    with sqlite3.connect(library.folder / "catalog.sqlite") as catalog:  # as FAT keeps no ctime
        catalog.execute("UPDATE files SET ctime_ns = ?", (path.stat().st_ctime_ns,))
    (red,), (blue,) = red.values(), blue.values()
    assert red.sample != blue.sample
    renumbered(5)
    assert _index(library, root)[0].updated == 1


def test_an_older_library_learns_of_inodes_without_reading(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _index(library, root)
    with sqlite3.connect(library.folder / "catalog.sqlite") as catalog:
        catalog.execute("UPDATE files SET ctime_ns = NULL, inode = NULL, sample = NULL")
    with monkeypatch.context() as patch:
        patch.setattr(prefetch, "_content", None)
        assert _index(library, root)[0].unchanged == 3
    _bitmap(root / "red.bmp", "yellow")
    assert _index(library, root)[0].updated == 1


def test_what_a_photo_says_is_followed(library: Library, tmp_path: Path) -> None:
    """As `exiftool -P` changes a rating: same size, same date."""
    path = draw(tmp_path / "p" / "a.jpg", "red")
    data = path.read_bytes()

    def rate(stars: int) -> None:
        packet = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
            f'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="{stars}"/></rdf:RDF></x:xmpmeta>'
        )
        with Image.open(BytesIO(data)) as image:
            image.save(path, xmp=packet.encode())
        os.utime(path, ns=(WHEN, WHEN))

    for stars in (1, 5):
        rate(stars)
        _index(library, path.parent)
        (hits,) = library.search(ColourEncoder().encode_texts(["red"]), Kind.PHOTO, 1)
        assert library.records([hits[0].id])[0].about.rating == stars


@pytest.mark.parametrize("when", [WHEN, 4 * 10**18], ids=["long ago", "to come"])
def test_an_edit_of_a_sidecar_that_keeps_size_and_date_is_seen(
    library: Library, root: Path, when: int
) -> None:
    def rate(rating: int) -> None:
        sidecar = root / "red.bmp.xmp"
        sidecar.write_text(
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
            f'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="{rating}"/>'
            "</rdf:RDF></x:xmpmeta>"
        )
        os.utime(sidecar, ns=(when, when))

    for rating in (1, 5):
        rate(rating)
        report, photos = _index(library, root)
        assert (report.photos, photos) == ((3, 3) if rating == 1 else (0, 0))
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        ratings = {each.path.name: each.about.rating for each in library.records(ids)}
        assert ratings["red.bmp"] == rating
    assert _index(library, root)[0].unchanged == 3
