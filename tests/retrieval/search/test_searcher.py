"""The search line over drawn colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.core.encoder import Vectors
from indexer.core.errors import ModelMismatch
from indexer.core.types import Hubness, Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.errors import QueryInvalid
from retrieval.search import Hit, Searcher
from tests.fakes import ColourEncoder, draw


def names(hits: list[Hit]) -> list[str]:
    """File names in the order of rank."""
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    return [hit.path.name for hit in hits]


def test_words_find_photos(library: Library, photos: Path) -> None:
    first, second, third = Searcher(library, ColourEncoder()).search("red", words=False)
    assert (first.rank, first.path, first.kind, first.text) == (
        1, photos / "red.png", Kind.PHOTO, "",
    )  # fmt: skip
    assert [first.score, second.score, third.score] == pytest.approx([1, 0.5**0.5, 0], abs=1e-3)


def test_a_photo_finds_photos_and_texts(library: Library, photos: Path) -> None:
    searcher = Searcher(library, ColourEncoder())
    query = draw(photos.parent / "query.jpg", "blue")
    assert names(searcher.search(query)) == ["blue.png", "half.png", "red.png"]
    (text,) = searcher.search(str(query), kind=Kind.TEXT, top=1)
    assert (text.text, text.path.name, text.kind) == ("a blue door", "list.txt", Kind.TEXT)


def test_words_find_texts(library: Library) -> None:
    hits = Searcher(library, ColourEncoder()).search("something red", kind=Kind.TEXT)
    assert [hit.text for hit in hits] == ["a red door", "a blue door"]


def test_top_cuts(library: Library) -> None:
    assert len(Searcher(library, ColourEncoder()).search("red", top=2)) == 2


def test_another_model_is_refused(library: Library) -> None:
    with pytest.raises(ModelMismatch, match="colours"):
        Searcher(library, ColourEncoder(fingerprint="another"))


def test_a_broken_photo_as_query_is_named(library: Library, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(QueryInvalid, match=r"broken\.jpg'.*not an image"):
        Searcher(library, ColourEncoder()).search(tmp_path / "broken.jpg")


@pytest.mark.parametrize(("top", "offset"), [(-1, 0), (3, -1)])
def test_fewer_than_none_is_refused(library: Library, top: int, offset: int) -> None:
    with pytest.raises(QueryInvalid, match=f"at least 0, not {top} and {offset}"):
        Searcher(library, ColourEncoder()).search("red", top=top, offset=offset)


def test_an_item_that_left_meanwhile_is_left_out(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = library.records
    monkeypatch.setattr(library, "records", lambda ids: records(ids)[1:])
    hits = Searcher(library, ColourEncoder()).search("red")
    assert names(hits) == ["half.png", "blue.png"]
    assert hits[0].score == pytest.approx(0.5**0.5, abs=1e-3)


def test_a_hub_is_held_back_across_kinds_alone(photos: Path, tmp_path: Path) -> None:
    # Everything generic is red: red.png is a hub, and so is "a red door".
    hubs = {Kind.TEXT: ["red", "red"], Kind.PHOTO: ["red", "red"]}
    encoder = ColourEncoder(generic=hubs, hubness=Hubness(text_to_image=0.75, image_to_text=1.0))
    with Library.create(tmp_path / "hubs", encoder) as library:
        index_folders(library, encoder, [photos])
        searcher = Searcher(library, encoder)
        words, photo = "red red red blue", photos / "half.png"  # cosines 3, 4, 1 / sqrt(10, 20, 10)
        found = searcher.search(words, words=False)
        plain = searcher.search(words, hubness=False, words=False)
        texts = searcher.search(photo, kind=Kind.TEXT)
        alike = searcher.search(photo), searcher.search(words, kind=Kind.TEXT, words=False)
    assert names(plain) == ["red.png", "half.png", "blue.png"]
    assert names(found) == ["half.png", "blue.png", "red.png"]
    cosines, hubness = np.array([4 / 20**0.5, 1 / 10**0.5, 3 / 10**0.5]), np.array([0.5**0.5, 0, 1])
    wanted = cosines - 0.75 * hubness
    assert [hit.score for hit in found] == pytest.approx(wanted.tolist(), abs=2e-3)
    assert [(hit.text, round(hit.score, 2)) for hit in texts] == [
        ("a blue door", 0.71), ("a red door", -0.29),
    ]  # fmt: skip
    assert alike[0][0].score == pytest.approx(1, abs=1e-3)
    assert alike[1][0].score == pytest.approx(3 / 10**0.5, abs=1e-3)


class Sentences(ColourEncoder):
    """Sees a photo where a sentence speaks of one: white."""

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return super().encode_texts([text.replace("photo", "white") for text in texts])


@pytest.mark.parametrize(
    ("query", "kind", "ensemble", "plain"),
    [
        ("red", Kind.PHOTO, True, False),
        ("red", Kind.PHOTO, False, True),
        ("red", Kind.TEXT, True, True),
        ("a red door on a house", Kind.PHOTO, True, True),
    ],
)
def test_only_names_are_asked_for_by_sentences_and_only_of_photos(
    library: Library, query: str, kind: Kind, ensemble: bool, plain: bool
) -> None:
    (hit,) = Searcher(library, Sentences()).search(query, kind=kind, top=1, ensemble=ensemble)
    assert (hit.score > 0.99) is plain


def test_an_empty_library_finds_nothing(tmp_path: Path) -> None:
    with Library.create(tmp_path / "empty", ColourEncoder()) as empty:
        assert Searcher(empty, ColourEncoder()).search("red") == []
