"""Signs and weights in a query, and what they do to scores; expected scores are taken by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.errors import QueryInvalid
from retrieval.search import Query, Searcher, Term, compose, parse_query
from retrieval.search.composed_query import (
    ComposedQuery,
    NegativeTerm,
    ScoreScale,
    candidates,
    joined,
    mixed,
    without,
)
from retrieval.search.query_terms import split_terms
from tests.fakes import ColourEncoder, draw


def shown(*written: str | Path) -> list[tuple[str, float]]:
    """The terms of a query and their weights."""
    return [(str(part.written), part.weight) for part in split_terms(written)]


@pytest.mark.parametrize(
    ("written", "terms"),
    [
        ("beach", [("beach", 1)]),
        ("beach + sunset - people", [("beach", 1), ("sunset", 1), ("people", -1)]),
        ("- people + beach", [("people", -1), ("beach", 1)]),
        ("2:golden retriever - 0.5:snow", [("golden retriever", 2), ("snow", -0.5)]),
        ("t-shirt", [("t-shirt", 1)]),
        ("C++ book", [("C++ book", 1)]),
        ("beach -people", [("beach -people", 1)]),
        ("a 16:9 photo", [("a 16:9 photo", 1)]),
        ("16:9 photo", [("16:9 photo", 1)]),
        ("2: cats", [("2: cats", 1)]),
        ("dog – cat", [("dog – cat", 1)]),
    ],
)
def test_signs_stand_alone_and_weights_stick(written: str, terms: list[tuple[str, float]]) -> None:
    assert shown(written) == terms
    assert shown(*written.split(" ")) == terms  # as a shell hands them over without quotes


@pytest.mark.parametrize("written", ["beach +", "+", "-", "beach - + people", "a - - b"])
def test_a_sign_without_a_term_is_refused(written: str) -> None:
    with pytest.raises(QueryInvalid, match="has no term after it"):
        split_terms([written])


def test_a_weight_is_above_nothing() -> None:
    for written in ("0:beach", "0.0:beach + sun", "9" * 400 + ":beach"):
        with pytest.raises(QueryInvalid, match="a weight must be above 0"):
            split_terms([written])


def test_only_taking_away_asks_for_all_photos_without_it() -> None:
    query = parse_query("- people")
    assert query.only_takes_away
    assert query.notes[0].startswith("searching for: all photos - people; ")
    with pytest.raises(QueryInvalid, match="query is empty"):
        compose([])


def test_files_are_terms_whatever_their_names_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = draw(tmp_path / "sun - sea + me.png", "blue")
    assert shown("./sun - sea + me.png") == [("./sun - sea + me.png", 1)]
    assert shown("3:./sun - sea + me.png", "+", "at night")[0] == ("./sun - sea + me.png", 3)
    assert shown(photo, "at night") == [(str(photo), 1), ("at night", 1)]
    query = parse_query("./sun - sea + me.png", "-", "red")
    assert [(term.query.kind, term.weight) for term in query.terms] == [
        (Kind.PHOTO, 1), (Kind.TEXT, -1),
    ]  # fmt: skip
    assert query.text == "./sun - sea + me.png - red"


def test_one_term_is_a_plain_query() -> None:
    assert parse_query("a cat", "on a  sofa") == Query(kind=Kind.TEXT, text="a cat on a sofa")
    assert parse_query("3:cat") == parse_query("cat")


def test_a_minus_at_a_word_gets_a_hint() -> None:
    assert parse_query("beach -people").hint == (
        "'-people' is searched for as it stands; to remove it, write: - people"
    )
    assert parse_query("a t-shirt, 5 -3 = 2").hint == ""


def test_terms_of_terms_and_weights_of_nothing_are_refused() -> None:
    word = Query(kind=Kind.TEXT, text="red")
    with pytest.raises(QueryInvalid, match="terms of its own"):
        Term(query=compose([Term(query=word)]))
    for weight in (0.0, float("nan"), float("inf")):
        with pytest.raises(QueryInvalid, match="other than 0"):
            Term(query=word, weight=weight)


def test_a_home_is_meant_only_at_the_start() -> None:
    with pytest.raises(QueryInvalid, match="no file at '~0'"):
        parse_query("./~0")


pieces = st.lists(st.text(alphabet="ab+-:.0 2/~\n\x00é", max_size=12), max_size=5)


@settings(max_examples=300, deadline=None)
@given(pieces)
def test_any_text_is_terms_or_is_refused(written: list[str]) -> None:
    try:
        parts = split_terms(written)
    except QueryInvalid:
        return
    for part in parts:
        assert part.weight != 0
        assert str(part.written).strip() not in ("", "+", "-")


marks = st.sampled_from(["./", "../", "~/", "/", "file://", "file://[", "2:./"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=8), marks, st.sampled_from("+-")), max_size=6))
def test_any_query_is_one_or_is_refused(written: list[str]) -> None:
    for pieces in (written, [" ".join(written)], ["".join(written)]):
        try:
            query = parse_query(*pieces)
        except QueryInvalid:
            continue
        terms = query.terms or (Term(query=query),)
        assert query.only_takes_away != any(term.weight > 0 for term in terms)
        assert all(term.query.path or term.query.text for term in terms)


words = st.text(alphabet="abc-+é", min_size=1, max_size=8).filter(lambda word: word not in "+-")
weights = st.sampled_from([0.5, 1, 2, 3.25, -1, -2.5])


@given(st.lists(st.tuples(words, weights), min_size=1, max_size=5))
def test_what_is_written_is_read_back(terms: list[tuple[str, float]]) -> None:
    written = " ".join(f"{'-' if w < 0 else '+'} {abs(w)}:{word}" for word, w in terms)
    assert shown(written) == terms


def test_added_words_are_one_phrase_with_the_weight_they_share() -> None:
    query = parse_query("2:beach + sunset - 3:people")
    parts = [(term.query.text, term.weight) for term in joined(query.terms)]
    assert parts == [("beach and sunset", 2), ("beach", 1), ("people", -3)]


def test_terms_are_mixed_in_units_of_their_spread() -> None:
    a, b, c = np.eye(3, dtype=np.float32)[:, None]
    asked = mixed(
        [
            ComposedQuery(vector=a, alpha=0.5, unit=ScoreScale(mean=0.1, spread=0.1)),
            ComposedQuery(vector=b, alpha=0.0, unit=ScoreScale(mean=0.4, spread=0.2)),
            ComposedQuery(vector=c, alpha=0.0, unit=ScoreScale(mean=0.2, spread=0.1)),
        ],
        [1.0, 1.0, -1.5],
    )  # 1/0.1 and 1/0.2 are two thirds and one third
    np.testing.assert_allclose(asked.vector, [[2 / 3, 1 / 3, 0]], atol=1e-6)
    assert asked.alpha == pytest.approx(1 / 3)
    assert asked.unit is not None
    assert asked.unit.mean == pytest.approx(0.2)
    assert asked.unit.spread == pytest.approx(2 / 15)
    (taken,) = asked.negative
    assert (taken.floor, taken.weight) == pytest.approx((0.25, 1.0))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Drawn photos of one to three colours."""
    for stripes in (["red"], ["red", "blue"], ["red", "green"], ["blue"], ["red", "red", "blue"]):
        draw(tmp_path / "photos" / f"{'-'.join(stripes)}.png", *stripes, size=(96, 96))
    with Library.create(tmp_path / "library", ColourEncoder()) as opened:
        index_folders(opened, ColourEncoder(), [tmp_path / "photos"])
        yield opened


def names(searcher: Searcher, query: str) -> list[str]:
    return [hit.path.stem for hit in searcher.search(query)]


def test_plus_and_minus_on_drawn_colours(library: Library) -> None:
    searcher = Searcher(library, ColourEncoder())
    assert names(searcher, "red - blue")[:2] == ["red", "red-green"]
    assert names(searcher, "red + blue")[0] == "red-blue"
    assert names(searcher, "blue + red")[0] == "red-blue"
    lowered = {hit.path.stem: hit.score for hit in searcher.search("red - 2:blue")}
    plain = {hit.path.stem: hit.score for hit in searcher.search("red")}
    assert lowered["red-blue"] == pytest.approx(plain["red-blue"] - 2 * 0.5**0.5, abs=1e-3)
    assert lowered["red-green"] == plain["red-green"]


def test_a_lone_term_scores_as_it_did(library: Library) -> None:
    searcher = Searcher(library, ColourEncoder())
    assert (
        searcher.search("5:red")
        == searcher.search("red")
        == searcher.search(compose([Term(query=parse_query("red"), weight=2.0)]))
    )


def test_words_that_negate_take_away(library: Library) -> None:
    searcher = Searcher(library, ColourEncoder())
    hits = searcher.search("red without blue", words=False)
    assert hits == searcher.search("red - blue", words=False)
    assert hits != searcher.search('"red without blue"', words=False)


def test_what_is_only_taken_away_leaves_the_newest_others() -> None:
    # Items 0 to 9; what is taken away lies on the odd ones.
    items = np.zeros((10, 2), dtype=np.float32)
    items[1::2, 0], items[::2, 1] = 1.0, 1.0
    away = NegativeTerm(vector=np.array([1.0, 0.0], dtype=np.float32), floor=0.3, weight=1.0)
    newest = list(range(9, -1, -1))
    found = without(_Rows(items), [away], Kind.PHOTO, newest, 3)  # type: ignore[arg-type]
    assert [(each.id, each.score) for each in found] == [(8, 0.0), (6, 0.0), (4, 0.0)]


def test_in_a_library_too_small_to_tell_the_least_comes_first(library: Library) -> None:
    found = names(Searcher(library, ColourEncoder()), "no red")
    assert (found[0], found[-1], len(found)) == ("blue", "red", 5)
    assert names(Searcher(library, ColourEncoder()), "no red in:photos type:png") == found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), k=st.integers(1, 90), weight=st.sampled_from([0.5, 3.0]))
def test_taking_away_finds_what_a_full_sort_finds(seed: int, k: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(300, 6)).astype(np.float16).astype(np.float32)
    query, away = rng.normal(size=(2, 6)).astype(np.float32)
    asked = ComposedQuery(
        vector=query[None],
        alpha=0.0,
        unit=None,
        negative=(NegativeTerm(vector=away, floor=0.3, weight=weight),),
    )
    found = candidates(_Rows(items), asked, Kind.PHOTO, k)  # type: ignore[arg-type]
    scores = items @ query - weight * np.maximum(0, items @ away - 0.3)
    assert [each.score for each in found] == pytest.approx(np.sort(scores)[::-1][:k], abs=1e-4)


class _Rows:
    """The two methods of a library that `candidates` calls, over an exact index in memory."""

    def __init__(self, items: np.ndarray) -> None:
        from indexer.vectors.flat_index import MutableFlatIndex

        self.index = MutableFlatIndex(items.shape[1])
        self.index.add(np.arange(len(items)), items.astype(np.float16))

    def search(
        self,
        queries: np.ndarray,
        _kind: Kind,
        k: int,
        *,
        alpha: float,
        where: None,
        excluded: None,
    ) -> list:
        assert (alpha, where, excluded) == (0.0, None, None)
        return self.index.search(queries, k)

    def fetch(self, ids: list[int], _kind: Kind) -> np.ndarray:
        return self.index.fetch(np.array(ids))
