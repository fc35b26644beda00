"""Words of all scripts are found, composed or not, in any part of a run that has no spaces."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.catalog.changes import FileState, NewFile, Transaction
from indexer.catalog.meta import FORMAT, LibraryMeta
from indexer.catalog.writer import CatalogWriter
from indexer.core.filters import CameraName, Filter, HasTag, InFolder
from indexer.core.types import Kind, Metadata, SegmentRow

NFD_CAKE = unicodedata.normalize("NFD", "Brûlée")
NFD_CITY = unicodedata.normalize("NFD", "Zürich")

PHOTOS = {
    "/pics/a.jpg": Metadata(width=1, height=1, caption="上野公園の桜祭り", keywords=("旅行",)),
    "/pics/京都旅行2019/b.jpg": Metadata(width=1, height=1, keywords=(NFD_CAKE,)),
    f"/pics/{NFD_CITY}/c.jpg": Metadata(width=1, height=1, caption="부산에서 찍은 사진"),
    "/pics/d.jpg": Metadata(width=1, height=1, caption="วัดที่เชียงใหม่", camera="ＰＥＮ-F"),
    "/pics/e.jpg": Metadata(width=1, height=1, title="हिन्दी मेला", keywords=("ＤＯＧ",)),
    "/pics/家族写真.jpg": Metadata(width=1, height=1),
}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[CatalogWriter]:
    """Photos 1 to 6 as above."""
    CatalogWriter.create(
        tmp_path / "catalog.sqlite", LibraryMeta(model="m", fingerprint="f", dim=2)
    )
    opened = CatalogWriter.open(tmp_path / "catalog.sqlite")
    opened.apply(Transaction(roots=[Path("/pics")]))
    files = [
        NewFile(state=_state(path), ids=range(id_, id_ + 1), texts=("",), about=about)
        for id_, (path, about) in enumerate(PHOTOS.items(), start=1)
    ]
    row = SegmentRow(number=1, kind=Kind.PHOTO, rows=len(files))
    opened.apply(Transaction(files=files, segments=[row]))
    yield opened
    opened.close()


def _state(name: str) -> FileState:
    digest = name.encode()
    return FileState(
        path=Path(name), kind=Kind.PHOTO, size=1, mtime_ns=1, digest=digest, reader="r"
    )


WORDS = [
    ("桜祭り", 1),
    ("公園", 1),
    ("上野の桜祭り", 1),
    ("京都", 2),
    ("2019", 2),
    ("zurich", 3),
    ("부산", 3),
    ("사진을", 3),
    ("เชียง", 4),
    ("हिन्दी", 5),
    ("写真", 6),
]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(("words", "id_"), WORDS)
def test_a_part_of_a_run_is_found(catalog: CatalogWriter, words: str, id_: int, form: str) -> None:
    asked = unicodedata.normalize(form, words)
    assert [found for found, _ in catalog.word_matches(asked, Kind.PHOTO, 9)] == [id_]


def test_letters_in_another_order_are_not_found(catalog: CatalogWriter) -> None:
    assert catalog.word_matches("都京", Kind.PHOTO, 9) == []
    assert catalog.word_matches("桜公園", Kind.PHOTO, 9) == []


FILTERS: list[tuple[Filter, int]] = [
    (HasTag(name="brûlée"), 2),
    (HasTag(name=unicodedata.normalize("NFD", "BRÛLÉE")), 2),
    (HasTag(name="dog"), 5),
    (InFolder(folder="京都"), 2),
    (InFolder(folder="旅行2019"), 2),
    (InFolder(folder="Zürich"), 3),
    (InFolder(folder=unicodedata.normalize("NFD", "zürich")), 3),
    (CameraName(name="pen-f"), 4),
]


@pytest.mark.parametrize(("where", "id_"), FILTERS)
def test_filters_know_all_writings(catalog: CatalogWriter, where: Filter, id_: int) -> None:
    assert catalog.selected(Kind.PHOTO, where).ids.tolist() == [id_]


def test_an_older_library_is_searched_as_it_is_and_written_anew(catalog: CatalogWriter) -> None:
    path = catalog._path
    _make_older(path)
    assert catalog.word_matches("桜祭り", Kind.PHOTO, 9) == []
    assert [id_ for id_, _ in catalog.word_matches("上野公園の桜祭り", Kind.PHOTO, 9)] == [1]
    assert [id_ for id_, _ in catalog.word_matches("家族写真", Kind.PHOTO, 9)] == [6]
    assert catalog.selected(Kind.PHOTO, HasTag(name="brûlée")).ids.tolist() == [2]
    assert catalog.selected(Kind.PHOTO, InFolder(folder="京都旅行2019")).ids.tolist() == [2]

    catalog.migrate()
    assert catalog.facts().format == FORMAT
    for words, id_ in WORDS:
        assert [found for found, _ in catalog.word_matches(words, Kind.PHOTO, 9)] == [id_]
    for where, id_ in FILTERS:
        assert catalog.selected(Kind.PHOTO, where).ids.tolist() == [id_]


def _make_older(path: Path) -> None:
    """Turn a catalog into what format 4 would have written."""
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        DROP TABLE words; DELETE FROM tags; UPDATE meta SET value = '4' WHERE key = 'format';
        DROP TABLE sums; DROP TABLE folders; DELETE FROM meta WHERE key = 'copy';
        ALTER TABLE files DROP COLUMN ctime_ns; ALTER TABLE files DROP COLUMN inode;
        ALTER TABLE files DROP COLUMN sample; ALTER TABLE files DROP COLUMN missing;
        CREATE VIRTUAL TABLE words USING fts5
            (text, folders, name, place, tokenize = 'porter unicode61 remove_diacritics 2');
        """
    )
    for id_, (name, about) in enumerate(PHOTOS.items(), start=1):
        file = Path(name)
        told = "\n".join(filter(None, (about.title, about.caption, *about.keywords)))
        row = (id_, told, f"pics {file.parent.name}", file.stem, "")
        connection.execute(
            "INSERT INTO words (rowid, text, folders, name, place) VALUES (?, ?, ?, ?, ?)", row
        )
        for keyword in about.keywords:
            connection.execute("INSERT INTO tags VALUES (?, ?)", (keyword.casefold(), id_))
    connection.commit()
    connection.close()
