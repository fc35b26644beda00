"""Photos are found by the words that they show, exact ones and misread ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.changes import Reading, Transaction
from indexer.catalog.picture_words import LEAST_WEIGHT, misreadings, shown_words, weight
from indexer.core.filters import AllOf, ShowsText
from indexer.core.types import Kind, TextLine
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from tests.fakes import COLOURS, ColourEncoder, draw
from tests.indexer.ingest.runs import index

SHOWN = {
    "invoice.png": ["Invoice 20415", "Total amount due: 12.50", "Zürich"],
    "letter.png": ["Dear Anna", "the total of lnvoice 20416"],
    "sign.png": ["DOG PARK"],
    "menu.png": ["北京烤鸭", "東京ラーメン"],
}
SMALL, LARGE = (0.1, 0.1, 0.1, 0.05), (0.1, 0.1, 0.8, 0.2)


def _lines(texts: Sequence[str], box: tuple[float, float, float, float]) -> tuple[TextLine, ...]:
    return tuple(TextLine(text=text, confidence=0.9, box=box) for text in texts)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Four photos that show text, one of them little, and one that shows none."""
    for name, colour in zip((*SHOWN, "plain.png"), COLOURS, strict=False):
        draw(tmp_path / "photos" / name, colour)
    with Library.create(tmp_path / "library", ColourEncoder()) as library:
        index(library, tmp_path / "photos")
        files = {file.path.name: file.file for file in library.catalog.unread("reader")}
        readings = {
            files[name]: Reading(
                reader="reader", lines=_lines(lines, SMALL if name == "sign.png" else LARGE)
            )
            for name, lines in SHOWN.items()
        }
        with library.writing():
            library.catalog.apply(Transaction(readings=readings))
        yield library


def _found(library: Library, words: str, **how: bool) -> list[str]:
    """The names of the photos that have words, best first."""
    ids = [id_ for id_, _ in library.word_matches(words, Kind.PHOTO, 9, **how)]
    return [record.path.name for record in library.records(ids)]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("anna", ["letter.png"]),
        ("zurich", ["invoice.png"]),
        ("烤鸭", ["menu.png"]),
        ("東京", ["menu.png"]),
        ("lnvoice", ["invoice.png", "letter.png"]),
        ("departure", []),
    ],
)
def test_words_find_the_photos_that_show_them(
    library: Library, words: str, names: list[str]
) -> None:
    assert sorted(_found(library, words)) == names


def test_a_misread_word_is_found_beside_the_right_one(library: Library) -> None:
    assert sorted(_found(library, "invoice")) == ["invoice.png", "letter.png"]


def test_a_word_that_no_photo_shows_is_taken_for_one_that_differs_by_a_letter(
    library: Library,
) -> None:
    assert _found(library, "amounts") == ["invoice.png"]


def test_every_word_must_be_there_if_asked(library: Library) -> None:
    assert _found(library, "total 20416") == ["letter.png", "invoice.png"]
    assert _found(library, "total 20416", every=True) == ["letter.png"]


def test_a_score_is_the_rarity_of_the_word_times_the_share_of_text(library: Library) -> None:
    items = library.view.facts().next_id
    ((_, anna),) = library.word_matches("anna", Kind.PHOTO, 9)
    assert anna == pytest.approx(math.log((items + 1) / 1) / math.log(items + 1))
    ((_, park),) = library.word_matches("park", Kind.PHOTO, 9)
    assert park == pytest.approx(weight(0.005))
    assert (weight(0.0), weight(0.05), weight(0.7)) == (LEAST_WEIGHT, 0.675, 1.0)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("total amount", ["invoice.png"]),
        ("amount total", []),
        ("invoice 20416", ["letter.png"]),
        ("烤鸭", ["menu.png"]),
    ],
)
def test_a_filter_wants_words_side_by_side(library: Library, text: str, names: list[str]) -> None:
    newest = library.catalog.newest(Kind.PHOTO, ShowsText(text=text), 9)
    assert [record.path.name for record in library.records(newest)] == names
    query = ColourEncoder().encode_texts(["red"])
    (hits,) = library.search(query, Kind.PHOTO, 9, where=AllOf(filters=(ShowsText(text=text),)))
    assert [hit.id for hit in hits] == newest


def test_lines_come_with_their_boxes(library: Library) -> None:
    ((id_, _),) = library.word_matches("anna", Kind.PHOTO, 9)
    assert library.view.lines([id_]) == {id_: _lines(SHOWN["letter.png"], LARGE)}


def test_what_is_forgotten_is_found_no_more(library: Library, tmp_path: Path) -> None:
    library.forget(tmp_path / "photos" / "letter.png")
    assert _found(library, "anna") == []
    assert b"Dear Anna" not in (library.folder / "catalog.sqlite").read_bytes()


def test_another_model_keeps_what_was_read(library: Library, tmp_path: Path) -> None:
    other = ColourEncoder(name="other", fingerprint="other")
    with Library.create(tmp_path / "next", other) as fresh:
        index_folders(fresh, other, [tmp_path / "photos"])
        library.adopt(fresh)
    with Library.open(library.folder) as switched:
        assert _found(switched, "anna") == ["letter.png"]


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("invoice", {"lnvoice", "invo1ce", "invoioe"}),
        ("modern", {"rnodern", "modem"}),
        ("cat", set()),
    ],
)
def test_misreadings_swap_letters_that_look_alike(word: str, forms: set[str]) -> None:
    assert forms <= set(misreadings(word))
    assert word not in misreadings(word)


def test_looked_for_are_the_words_of_the_query_and_of_its_filters() -> None:
    words = shown_words("the total", AllOf(filters=(ShowsText(text="Gate B42"),)))
    assert {"total", "gate", "b42"} <= words
    assert "the" not in words


def test_ids_beyond_a_filter_are_left_out(library: Library) -> None:
    ((id_, _),) = library.word_matches("anna", Kind.PHOTO, 9)
    among = library.view.word_matches("anna", Kind.PHOTO, 9, among=lambda ids: ids != id_)
    assert among == []
    kept = library.view.word_matches(
        "anna", Kind.PHOTO, 9, among=lambda ids: np.ones(len(ids), bool)
    )
    assert [found for found, _ in kept] == [id_]
