"""The built-in model on real photos: negatives, what is absent, and words that it does not know."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.errors import QueryInvalid
from retrieval.models import load_encoder
from retrieval.runtime.select_encoder import quick_encoder
from retrieval.search import Query, Searcher, parse_query
from retrieval.search.results import UNLIKELY
from retrieval.search.spell_hints import unknown_words

DATA = Path(skimage.__file__).parent / "data"
NAMES = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png",
    "coins.png", "grass.png", "horse.png", "moon.png", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    folder = tmp_path_factory.mktemp("photos")
    for name in NAMES:
        shutil.copy(DATA / name, folder)
    shutil.copy(DATA / "gravel.png", folder / "zanzibar_party_0017.png")
    encoder = load_encoder("builtin", "cpu")
    with Library.create(tmp_path_factory.mktemp("library") / "of", encoder) as library:
        index_folders(library, encoder, [folder])
        yield Searcher(library, encoder)


def found(searcher: Searcher, query: str | Query) -> dict[str, tuple[int, float]]:
    """Rank and score of each photo, by name."""
    hits = searcher.search(query, top=len(NAMES) + 1)
    return {hit.path.stem: (hit.rank, hit.score) for hit in hits}


@pytest.mark.parametrize(
    ("wanted", "unwanted", "subject", "other"),
    [
        ("an animal", "a horse", "horse", "moon"),
        ("a vehicle", "a motorcycle", "motorcycle_left", "rocket"),
    ],
)
def test_a_negative_pushes_its_subject_down(
    searcher: Searcher, wanted: str, unwanted: str, subject: str, other: str
) -> None:
    plain, lowered = (found(searcher, q) for q in (wanted, f"{wanted} - {unwanted}"))
    assert plain[subject][0] < plain[other][0] <= 3
    assert lowered[other][0] < lowered[subject][0]
    assert lowered[other][1] == pytest.approx(plain[other][1])  # what is not meant stays
    assert lowered[subject][1] < plain[subject][1] - 0.1


def test_one_person_is_people_too(searcher: Searcher) -> None:
    plain, lowered = (found(searcher, q) for q in ("a photographer", "a photographer - people"))
    assert plain["camera"][0] == 1
    assert lowered["camera"][1] < plain["camera"][1] - 0.1
    assert lowered["clock_motion"][1] == pytest.approx(plain["clock_motion"][1])


def test_two_words_find_what_shows_both(searcher: Searcher) -> None:
    (best, *_) = searcher.search("a cup + a spoon")
    assert best.path.stem == "coffee"


@pytest.mark.parametrize(
    ("query", "name"),
    [("a cat", "chelsea"), ("a cup of coffee", "coffee"), ("a motorcycle", "motorcycle_left")],
)
def test_what_is_there_is_likely(searcher: Searcher, query: str, name: str) -> None:
    best, second, *_ = searcher.search(query)
    assert best.path.stem == name
    assert best.match is not None
    assert second.match is not None
    assert best.match > UNLIKELY
    assert best.match > second.match
    assert searcher.answer(query).found


@pytest.mark.parametrize("query", ["a tractor", "two children on a swing", "an accordion"])
def test_what_is_not_there_is_not(searcher: Searcher, query: str) -> None:
    answers = searcher.answer(query)
    assert (answers.found, answers.hits) == (False, [])
    assert answers.nearest == searcher.search(query)[0]


@pytest.mark.parametrize(
    "query", ["Zanzibar", "a photo of Zanzibar", "party 0017", "zanzibar + party"]
)
def test_what_is_called_so_comes_first(searcher: Searcher, query: str) -> None:
    best, *_ = searcher.search(query)
    assert best.path.stem == "zanzibar_party_0017"
    assert best.match is not None
    assert best.likely
    assert best.match > 0.35


def test_a_name_beside_a_photo_lifts_nothing(searcher: Searcher) -> None:
    # The photo asks, too, and no name tells whether one is like it.
    best, *_ = searcher.search(parse_query(DATA / "chelsea.png", "+", "zanzibar"))
    assert best.path.stem == "chelsea"


def test_what_is_called_so_and_shows_what_is_taken_away_goes_down(searcher: Searcher) -> None:
    plain, cat, gravel = (
        found(searcher, query)["zanzibar_party_0017"]
        for query in ("zanzibar", "zanzibar - a cat", "zanzibar - gravel")
    )
    assert plain[0] == cat[0] == 1
    assert gravel[1] < cat[1] < plain[1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("a horse on the baech", "did you mean 'beach' for 'baech'?"),
        ("a hosre + ./moon.png - 2:mountian", "'horse' for 'hosre'? did you mean 'mountain'"),
        ("dgo", "did you mean 'dog' for 'dgo'?"),
        ("sno", "did you mean 'snow' for 'sno'?"),
        ("a dog เชียงใหม่", "the model reads English and 11 other languages; 'เชียงใหม่' (Thai) is"),
        ("собака เชียงใหม่", "'เชียงใหม่' (Thai) is searched for only in captions"),
        ("いぬ", "'いぬ' (Japanese) is searched for only in captions"),
        ("a horse on the beach", ""),
        ("Hund am Strand", ""),
        ("un chien sur la plage", ""),
        ("playa", ""),
        ("собака", ""),
        ("犬", ""),
        ("a USA flag and a bra", ""),
        ("parasailing dachshunds", ""),  # rare, and right
        ("zanzibar_party_0017", ""),  # the library has it
        ("zzqx", ""),
    ],
)
def test_misspelt_and_foreign_words_are_told(
    searcher: Searcher, asked: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DATA)
    doubt = searcher.doubt(parse_query(asked))
    assert said in doubt
    assert bool(doubt) == bool(said)


def test_the_quick_encoder_knows_the_same_words(searcher: Searcher) -> None:
    quick, towers = quick_encoder("builtin", "cpu"), load_encoder("builtin", "cpu")
    quick.encode_texts(["a beach"])
    words = ["beach", "baech", "strand", "parasailing", "zebra"]
    assert unknown_words(quick, " ".join(words)) == ["baech", "parasailing"]
    assert unknown_words(towers, " ".join(words)) == ["baech", "parasailing"]


LONG = "and the sky is very blue " * 30 + "two children swim in a pool"


@pytest.mark.parametrize("asked", [LONG, f"beach + {LONG}", f"beach - {LONG}"])
def test_the_words_that_are_not_read_are_told(searcher: Searcher, asked: str) -> None:
    told = searcher.unread(parse_query(asked))
    assert told.startswith("the query is too long: the model reads its first ")
    assert told.endswith("swim in a pool'")


def test_so_are_those_of_a_text_file(searcher: Searcher, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text(LONG, encoding="utf-8")
    assert searcher.unread(parse_query(note)).endswith("swim in a pool'")
    assert searcher.unread(parse_query("two children swim in a pool")) == ""


def test_a_picture_that_is_open_asks_as_its_file_does(searcher: Searcher) -> None:
    with Image.open(DATA / "chelsea.png") as picture:
        picture.load()
    from_file = found(searcher, parse_query(DATA / "chelsea.png"))
    assert found(searcher, parse_query(picture)) == from_file
    assert found(searcher, parse_query(np.asarray(picture))) == from_file
    assert [hit.path.stem for hit in searcher.search(picture, top=1)] == ["chelsea"]
    with pytest.raises(QueryInvalid, match="cannot search with the picture: the picture has no"):
        searcher.search(Image.new("RGB", (0, 4)))


def test_a_query_of_another_type_is_refused(searcher: Searcher) -> None:
    for value in (7, None, b"x", ["a"], np.zeros(3)):
        with pytest.raises(QueryInvalid, match="picture"):
            searcher.search(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "absent"),
    [
        ("no people", "astronaut"),
        ("no people", "camera"),  # a man behind it
        ("photos without a cat", "chelsea"),
        ("pictures with no motorcycle", "motorcycle_left"),
    ],
)
def test_what_is_only_taken_away_is_not_shown(searcher: Searcher, asked: str, absent: str) -> None:
    shown = [hit.path.stem for hit in searcher.search(asked, top=0)]
    assert absent not in shown
    assert len(shown) >= 4
    assert all(hit.match is None for hit in searcher.search(asked))
