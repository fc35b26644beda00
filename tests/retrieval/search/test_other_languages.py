"""Searches in other languages than English, with the built-in model on real photos."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.rerankers import default_reranker
from retrieval.runtime.select_encoder import quick_encoder
from retrieval.search import Searcher, parse_query

DATA = Path(skimage.__file__).parent / "data"
NAMES = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png",
    "grass.png", "horse.png", "moon.png", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
TEXTS = {
    "de": "Ein brauner Hund rennt durch den Schnee.",
    "fr": "Deux enfants jouent dans une piscine.",
    "zh": "一个男人骑自行车。",
    "en": "A woman is climbing a rock.",
}


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    folder = tmp_path_factory.mktemp("photos")
    for name in NAMES:
        shutil.copy(DATA / name, folder / f"{NAMES.index(name)}{Path(name).suffix}")
    for language, text in TEXTS.items():
        (folder / f"{language}.txt").write_text(text, encoding="utf-8")
    encoder = quick_encoder("builtin", "cpu")
    with Library.create(tmp_path_factory.mktemp("library") / "of", encoder) as library:
        index_folders(library, encoder, [folder])
        yield Searcher(library, encoder, default_reranker(encoder))


def best(searcher: Searcher, query: str, instruct: str = "") -> str:
    """Name the best photo."""
    (hit, *_) = searcher.search(parse_query(query), top=1, instruct=instruct)
    return NAMES[int(hit.path.stem)]


@pytest.mark.parametrize(
    ("english", "others"),
    [
        ("a cat", ("eine Katze", "un chat", "um gato", "un gato", "一只猫", "kočka",
                   "बिल्ली", "кіт", "un gatto")),
        ("a motorcycle", ("ein Motorrad", "une moto", "uma motocicleta", "una motocicleta",
                          "摩托车", "دراجة نارية", "motorka", "मोटरसाइकिल", "мотоцикл",
                          "una motocicletta", "een motorfiets")),
        ("a cup of coffee", ("eine Tasse Kaffee", "une tasse de café", "uma xícara de café",
                             "una taza de café", "一杯咖啡", "šálek kávy",
                             "कॉफ़ी का कप", "чашка кави", "una tazza di caffè")),
    ],
)  # fmt: skip
def test_the_same_words_find_the_same_photo(
    searcher: Searcher, english: str, others: tuple[str, ...]
) -> None:
    wanted = best(searcher, english)
    assert [best(searcher, query) for query in others] == [wanted] * len(others)


def test_terms_of_several_languages_are_one_query(searcher: Searcher) -> None:
    assert best(searcher, "Kaffee + a spoon") == "coffee.png"
    plain, lowered = (
        {NAMES[int(hit.path.stem)]: hit.score for hit in searcher.search(parse_query(query), top=0)}
        for query in ("an animal", "an animal - Katze")
    )
    assert lowered["chelsea.png"] < plain["chelsea.png"] - 0.1
    assert lowered["brick.png"] == pytest.approx(plain["brick.png"])


def test_texts_are_found_across_languages(searcher: Searcher) -> None:
    asked = {
        "de": ("a brown dog in the snow", "un chien marron dans la neige", "雪地里的棕色的狗"),
        "fr": (
            "two children in a pool",
            "zwei Kinder im Schwimmbecken",
            "dos niños en una piscina",
        ),
        "zh": ("a man on a bicycle", "ein Mann auf einem Fahrrad", "чоловік на велосипеді"),
        "en": ("eine Frau klettert auf einen Felsen", "una mujer escalando una roca"),
    }
    for language, queries in asked.items():
        for query in queries:
            (hit, *_) = searcher.search(query, kind=Kind.TEXT, top=1)
            assert (query, hit.path.stem) == (query, language)


def test_an_instruction_in_english_steers_a_query_in_another_language(searcher: Searcher) -> None:
    cat = str(NAMES.index("chelsea.png"))
    plain, steered = (
        searcher.search(parse_query("ein Tier"), top=len(NAMES), instruct=instruct)
        for instruct in ("", "no cats")
    )
    places = [[hit.path.stem for hit in hits].index(cat) for hits in (plain, steered)]
    assert places[0] < places[1]
    assert all(hit.obeys is not None for hit in steered)


def test_the_reranker_leaves_what_it_does_not_read_as_it_was(searcher: Searcher) -> None:
    alone = Searcher(searcher._library, searcher._encoder)
    with_it, without = (
        [(hit.id, hit.score) for hit in each.search("ein Motorrad")] for each in (searcher, alone)
    )
    assert with_it == without


@pytest.mark.parametrize("query", ["一个手风琴", "dos niños en un columpio"])
def test_what_is_not_there_is_not(searcher: Searcher, query: str) -> None:
    answers = searcher.answer(parse_query(query))
    assert (answers.found, answers.hits) == (False, [])


@pytest.mark.parametrize("query", ["ein Motorrad", "一只猫", "una motocicleta"])
def test_what_is_there_is_found(searcher: Searcher, query: str) -> None:
    assert searcher.answer(parse_query(query)).found


@pytest.mark.parametrize("query", ["いぬ", "🚲🦄", "zzqx", "ϗϗ", "꧁꧂"])
def test_what_nobody_reads_is_never_likely(searcher: Searcher, query: str) -> None:
    answers = searcher.answer(parse_query(query))
    matches = [hit.match for hit in answers.hits]
    assert max([each for each in matches if each is not None], default=0.0) < 0.5


def test_an_emoji_beside_words_changes_nothing(searcher: Searcher) -> None:
    encoder = searcher._encoder
    one, other = encoder.encode_texts(["ein roter Bus", "ein roter Bus 🚌"])
    np.testing.assert_array_equal(one, other)
