"""The second stage of search, over drawn colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.builtin_reranker.instruction_reranker import InstructionReranker
from retrieval.builtin_reranker.polarity_classifier import PolarityClassifier
from retrieval.builtin_reranker.reranker_checkpoint import RerankerCheckpoint
from retrieval.errors import QueryInvalid
from retrieval.models import TorchEncoder
from retrieval.reranking import FusionWeights
from retrieval.search import Hit, Searcher
from tests.fakes import ColourEncoder, ColourReranker, draw
from tests.retrieval.builtin_reranker.test_polarity_classifier import SHAPE
from tests.retrieval.builtin_reranker.test_word_detectors import spotter
from tests.tiny import tiny_model

ON = FusionWeights(text_to_image=0.5, image_to_text=0.5, instructed=5.0)


def searcher(
    library: Library, fusion: FusionWeights = ON, notes: list[str] | None = None
) -> Searcher:
    note = (notes if notes is not None else []).append
    return Searcher(library, ColourEncoder(), ColourReranker(fusion), note)


def scores(hits: list[Hit]) -> dict[str, float]:
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return {hit.path.name: hit.score for hit in hits}


def test_the_reranker_is_added_to_the_first_stage(library: Library) -> None:
    # shares of red: 1, 0.5, 0; their mean is 0.5
    found = scores(searcher(library).search("red", words=False))
    cosines = {"red.png": 1 + 0.25, "half.png": 0.5**0.5, "blue.png": 0 - 0.25}
    assert found == pytest.approx(cosines, abs=2e-3)


def test_an_instruction_turns_the_order(library: Library) -> None:
    before = scores(searcher(library).search("red blue"))
    assert next(iter(before)) == "half.png"
    after = scores(searcher(library).search("red blue", instruct="no blue"))
    assert list(after) == ["red.png", "half.png", "blue.png"]


def test_what_is_off_is_left_alone(library: Library) -> None:
    off = FusionWeights(text_to_image=0.0, image_to_text=0.5, instructed=0.0)
    plain = Searcher(library, ColourEncoder()).search("red")
    assert searcher(library, off).search("red", instruct="no red") == plain


def test_within_one_kind_there_is_no_second_look(library: Library, photos: Path) -> None:
    plain = Searcher(library, ColourEncoder()).search(photos / "half.png")
    assert searcher(library).search(photos / "half.png") == plain


def test_a_photo_looks_twice_at_texts(library: Library, photos: Path) -> None:
    first, second = searcher(library).search(photos / "red.png", kind=Kind.TEXT)
    assert (first.text, second.text) == ("a red door", "a blue door")
    assert first.score == pytest.approx(1.0 + 0.5 * 0.5, abs=2e-3)


def test_the_first_ones_are_looked_at_however_few_are_asked_for(library: Library) -> None:
    (first,) = searcher(library).search("red blue", top=1, instruct="no blue")
    assert first.path.name == "red.png"


def test_a_photo_that_is_gone_keeps_its_score_and_is_named(library: Library, photos: Path) -> None:
    (photos / "red.png").unlink()
    notes: list[str] = []
    found = scores(searcher(library, notes=notes).search("red", words=False))
    assert found["red.png"] == pytest.approx(1.0, abs=2e-3)
    (note,) = notes
    assert note == f"not reranked: {photos / 'red.png'}: no such file or directory"


def test_photos_that_are_gone_are_counted_in_one_line(library: Library, photos: Path) -> None:
    for photo in photos.glob("*.png"):
        photo.unlink()
    notes: list[str] = []
    first, *others = searcher(library, notes=notes).search("red", words=False)
    assert len(others) == 2
    gone = f"not reranked: {first.path}: no such file or directory, and 2 more"
    assert notes == [gone]


def test_an_instruction_that_is_cut_is_told(library: Library) -> None:
    notes: list[str] = []
    searcher(library, notes=notes).search("red", instruct="no blue " * 20)
    (note,) = notes
    assert note.startswith("the instruction is too long for the reranker; its end is left out: '")
    assert note.endswith("no blue'")


def test_a_query_photo_that_is_broken_is_named(library: Library, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(QueryInvalid, match=r"cannot search with .*broken\.jpg"):
        searcher(library).search(tmp_path / "broken.jpg", kind=Kind.TEXT)


# Tokens of the library


@pytest.fixture
def tiny(tmp_path: Path) -> TorchEncoder:
    return TorchEncoder(tiny_model(tmp_path / "tiny"), "cpu")


def token_reranker(tiny: TorchEncoder) -> InstructionReranker:
    signs = PolarityClassifier(SHAPE).eval()
    words = spotter(words=("blue", "red"))
    checkpoint = RerankerCheckpoint(signs=signs, encoder=tiny.fingerprint, fusion=ON, spotter=words)
    return InstructionReranker(checkpoint, tiny, "mine")


def test_indexing_keeps_the_tokens_that_the_reranker_reads(
    tiny: TorchEncoder, photos: Path, tmp_path: Path
) -> None:
    with Library.create(tmp_path / "library", tiny) as library:
        index_folders(library, tiny, [photos])
        hits = Searcher(library, tiny).search("red")
        shape = tiny.token_shape
        assert shape is not None
        kept = library.patch_tokens.read([hit.id for hit in hits], shape)
    _, wanted = tiny.encode_with_tokens([Image.open(hit.path).convert("RGB") for hit in hits])
    for found, tokens in zip(kept, wanted, strict=True):
        assert found is not None
        step = np.abs(tokens).max(axis=1, keepdims=True) / 127
        assert (np.abs(found - tokens) <= 0.51 * step + 1e-3).all()


def test_photos_are_not_opened_while_their_tokens_are_kept(
    tiny: TorchEncoder, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    with Library.create(tmp_path / "library", tiny) as library:
        index_folders(library, tiny, [photos])
        reranker = token_reranker(tiny)
        searching = Searcher(library, tiny, reranker, notes.append)
        before = searching.search("red")
        (photos / "red.png").unlink()
        monkeypatch.delattr(type(reranker), "look")  # an image tower would be opened for it
        assert searching.search("red") == before
    assert not notes


def test_lost_tokens_are_computed_and_kept_again(
    tiny: TorchEncoder, photos: Path, tmp_path: Path
) -> None:
    draw(photos / "more.png", "green", "red")
    with Library.create(tmp_path / "library", tiny) as library:
        index_folders(library, tiny, [photos])
        searching = Searcher(library, tiny, token_reranker(tiny))
        before = {hit.path: hit.score for hit in searching.search("red")}
        (library.folder / "tokens.bin").unlink()
        after = {hit.path: hit.score for hit in searching.search("red")}
        assert after == pytest.approx(before, abs=0.05)
        assert (library.folder / "tokens.bin").exists()
