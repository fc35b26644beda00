"""An encoder of known quality gets the figures that are counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from indexer.core.encoder import Vectors
from indexer.core.types import Hubness, Kind, Skip
from retrieval.errors import EvaluationInvalid
from retrieval.evaluation import evaluate
from retrieval.pairs import Pair, PairSet, PhotoFile
from tests.fakes import GENERIC, ColourEncoder, draw


def pair(folder: Path, name: str, colours: list[str], *captions: str) -> Pair:
    """Draw a photo and pair it with captions."""
    path = draw(folder / name, *colours)
    return Pair(name=name, photo=PhotoFile(path=path), captions=captions)


@pytest.fixture
def four(tmp_path: Path) -> PairSet:
    """Four photos, five captions; the second caption of `blue.png` speaks of red."""
    return PairSet(
        pairs=(
            pair(tmp_path, "red.png", ["red"], "red"),
            pair(tmp_path, "blue.png", ["blue"], "blue", "red"),
            pair(tmp_path, "green.png", ["green"], "green"),
            pair(tmp_path, "both.png", ["yellow", "white"], "yellow and white"),
        )
    )


def test_figures_counted_by_hand(four: PairSet) -> None:
    done = evaluate(ColourEncoder(), four)
    assert (done.model, done.images, done.captions) == ("colours", 4, 5)
    # Captions: four find their photo first. "red" of blue.png scores 0 there, as two others do.
    there = done.text_to_image
    assert there.queries == 5
    assert there.hit_rate[1].value == pytest.approx(80)
    assert there.hit_rate[5].value == pytest.approx(100)
    assert there.median_rank == 1
    # Photos: red.png ties with the wrong "red", which counts against it. blue.png finds one of
    # its two captions first, and the other last of five, behind three that score 0 as well.
    back = done.image_to_text
    assert back.queries == 4
    assert back.hit_rate[1].value == pytest.approx(75)
    assert back.recall[1].value == pytest.approx(100 * (0 + 0.5 + 1 + 1) / 4)
    assert back.recall[5].value == pytest.approx(100)


def test_json_keys(four: PairSet) -> None:
    plain = json.loads(json.dumps(evaluate(ColourEncoder(), four).as_json()))
    assert list(plain) == [
        "model", "images", "captions", "text_to_image", "image_to_text", "hubness",
        "without_hubness", "reranker", "first_stage", "skipped", "duplicates",
    ]  # fmt: skip
    assert plain["hubness"] is None  # the encoder has no banks
    assert plain["without_hubness"] == {
        name: plain[name] for name in ("text_to_image", "image_to_text")
    }
    assert set(plain["text_to_image"]) == {"median_rank"} | {
        f"{name}@{k}{end}" for name in ("R", "recall") for k in (1, 5, 10)
        for end in ("", "_interval")
    }  # fmt: skip
    assert plain["text_to_image"]["R@1"] == 80.0
    low, high = plain["text_to_image"]["R@1_interval"]
    assert low < 80 < high


def test_a_hub_is_held_back(tmp_path: Path) -> None:
    # "red red red blue" is nearer to red.png than to its own photo, until red.png is held back.
    pairs = (
        pair(tmp_path, "red.png", ["red"], "red"),
        pair(tmp_path, "both.png", ["red", "blue"], "red red red blue"),
    )
    encoder = ColourEncoder(
        generic={Kind.TEXT: ["red"]}, hubness=Hubness(text_to_image=0.25, image_to_text=0.5)
    )
    done = evaluate(encoder, PairSet(pairs=pairs))
    # words to both.png 4/sqrt(20) - 0.25/sqrt(2) = 0.718; to red.png 3/sqrt(10) - 0.25 = 0.699
    assert done.text_to_image.hit_rate[1].value == 100
    assert done.without_hubness.text_to_image.hit_rate[1].value == 50
    # Without generic photos nothing changes from photos to texts.
    assert done.image_to_text == done.without_hubness.image_to_text
    assert done.hubness == Hubness(text_to_image=0.25, image_to_text=0.0)
    assert json.loads(json.dumps(done.as_json()))["hubness"] == {
        "k": 16, "text_to_image": 0.25, "image_to_text": 0.0,
    }  # fmt: skip
    plain = evaluate(encoder, PairSet(pairs=pairs), hubness=False)
    assert plain.hubness is None
    assert plain.text_to_image == plain.without_hubness.text_to_image
    assert plain.without_hubness == done.without_hubness


def test_nan_is_found_behind_the_correction_too(four: PairSet) -> None:
    class Broken(ColourEncoder):
        def encode_images(self, images: object) -> Vectors:
            return np.full((4, self.dim), np.nan, dtype=np.float32)

    with pytest.raises(EvaluationInvalid, match="NaN"):
        evaluate(Broken(generic=GENERIC), four)


def test_unreadable_photos_are_left_out_with_their_captions(four: PairSet, tmp_path: Path) -> None:
    (tmp_path / "green.png").write_bytes(b"broken")
    earlier = Skip(path=tmp_path / "gone.png", reason="missing")
    done = evaluate(ColourEncoder(), PairSet(pairs=four.pairs, skipped=(earlier,)))
    assert (done.images, done.captions) == (3, 4)
    assert [skip.path.name for skip in done.skipped] == ["gone.png", "green.png"]


def test_no_readable_photo_raises(four: PairSet, tmp_path: Path) -> None:
    for each in four.pairs:
        each.photo.path.unlink()
    with pytest.raises(EvaluationInvalid, match="no photo of the pairs can be read"):
        evaluate(ColourEncoder(), four)


def test_a_photo_without_captions_raises(four: PairSet, tmp_path: Path) -> None:
    bare = Skip(path=tmp_path / "x.png", reason="'x.png' has no caption")
    with pytest.raises(EvaluationInvalid, match=r"'x\.png' has no caption"):
        evaluate(ColourEncoder(), PairSet(pairs=four.pairs, uncaptioned=(bare,)))
    naked = Pair(name="y.png", photo=four.pairs[0].photo, captions=())
    with pytest.raises(EvaluationInvalid, match=r"'y\.png' has no caption"):
        evaluate(ColourEncoder(), PairSet(pairs=(*four.pairs, naked)))


def test_the_same_photo_twice_is_reported_and_counts_against(tmp_path: Path) -> None:
    pairs = (
        pair(tmp_path, "one.png", ["red"], "red"),
        pair(tmp_path, "two.png", ["red"], "red"),
    )
    done = evaluate(ColourEncoder(), PairSet(pairs=pairs))
    assert done.duplicates == ("two.png",)
    assert done.text_to_image.hit_rate[1].value == 0


def test_nan_vectors_raise(four: PairSet) -> None:
    class Broken(ColourEncoder):
        def encode_texts(self, texts: object) -> Vectors:
            return np.full((5, self.dim), np.nan, dtype=np.float32)

    with pytest.raises(EvaluationInvalid, match="NaN"):
        evaluate(Broken(), four)


def test_progress_ends_at_the_number_of_photos(four: PairSet) -> None:
    steps: list[tuple[int, int]] = []
    evaluate(ColourEncoder(), four, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (4, 4)
