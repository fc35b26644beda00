"""How a reranker learns: words, captions and wordings that are told right, runs that resume."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.core.errors import UsageError
from retrieval.builtin_reranker.caption_lm import TELLING
from retrieval.builtin_reranker.polarity_classifier import PolarityConfig
from retrieval.builtin_reranker.reranker_checkpoint import load_reranker_checkpoint, save_reranker
from retrieval.builtin_reranker.training.caption_lm_training import MODELS, learn_telling
from retrieval.builtin_reranker.training.features import FeatureSet, Progress, gather
from retrieval.builtin_reranker.training.polarity import PolarityExamples
from retrieval.builtin_reranker.training.run import (
    RerankerObserver,
    RerankerRun,
    run_reranker_training,
)
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.builtin_reranker.training.word_training import learn_words
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.instructions.templates import shipped_grammar
from retrieval.models import TorchEncoder, load_encoder
from retrieval.pairs import read_pairs
from retrieval.rerankers import load_reranker
from tests.fakes import ColourEncoder
from tests.tiny import colour_pairs, half_of, tiny_model

SHAPE = PolarityConfig(text_width=32, width=32, depth=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TorchEncoder:
    return TorchEncoder(tiny_model(tmp_path_factory.mktemp("tiny")), "cpu")


@pytest.fixture(scope="module")
def material(source: Path, encoder: TorchEncoder) -> FeatureSet:
    return gather(encoder, read_pairs(source).pairs, shipped_grammar(), views=2)


def colours(material: FeatureSet, photo: int) -> set[str]:
    captions = [
        text for text, own in zip(material.captions, material.owner, strict=True) if own == photo
    ]
    return set(captions[0].split()) - {"beside"}


def test_views_differ_and_the_first_is_the_whole_photo(
    material: FeatureSet, source: Path, encoder: TorchEncoder
) -> None:
    pairs = read_pairs(source).pairs
    _, tokens = encoder.encode_with_tokens([pairs[0].open()])
    torch.testing.assert_close(material.views[0][0], torch.from_numpy(tokens[0]).half())
    assert not torch.equal(material.views[0], material.views[1])


def test_lessons_of_signs_are_about_what_captions_name_but_is_not_held_back() -> None:
    captions = ["A black dog runs through the grass .", "two men near a red car"]
    signs = PolarityExamples(shipped_grammar(), captions)
    texts, told = signs.draw(400, np.random.default_rng(0))
    assert set(told.tolist()) == {-1, 0, 1}
    assert any("black dog" in text for text in texts)
    assert any("red car" in text for text in texts)
    assert not any("grass" in text for text in texts)
    signs = dict(zip(texts, told.tolist(), strict=True))
    assert signs["there must not be a jacket in the photo"] == -1
    assert signs["it must not miss a skateboard"] == 1
    assert signs["it must not miss what I typed"] == 0


def test_words_are_learned_that_the_captions_say(material: FeatureSet) -> None:
    learned = learn_words(material, shipped_grammar())
    assert {"red", "blue"} <= set(learned.words)
    assert not {"a", "photo", "picture", "show"}.intersection(learned.words)
    scores = learned.score(["red"], material.views[0].float().numpy())[0]
    shows = np.array(["red" in colours(material, photo) for photo in range(len(scores))])
    assert scores[shows].mean() > scores[~shows].mean() + math.log(1.25)  # so much likelier


def test_captions_are_learned_that_are_likely_of_their_photos(material: FeatureSet) -> None:
    notes: list[str] = []
    told: list[tuple[int, int]] = []
    learned = learn_telling(
        material, epochs=60, seed=0, note=notes.append, fewest=50,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))
    assert {"red", "and", "blue"} <= set(learned.words)
    assert len(learned.models) == len(notes) == MODELS
    photos = range(len(material.vectors))
    text = ["red and blue and red"]
    tokens = material.views[0].float().numpy()
    scores = learned.score(text, tokens, [0] * len(photos), photos)
    shows = np.array([colours(material, photo) == {"red", "blue"} for photo in photos])
    assert scores[shows].mean() > scores[~shows].mean() + math.log(1.25)


def test_a_killed_run_goes_on_with_the_next_model_of_captions(
    material: FeatureSet, tmp_path: Path
) -> None:
    def killed(_text: str) -> None:
        notes.append(_text)
        if len(notes) == MODELS:
            raise KeyboardInterrupt

    notes: list[str] = []
    whole = learn_telling(material, 1, 0, print, fewest=50)
    with pytest.raises(KeyboardInterrupt):
        learn_telling(material, 1, 0, killed, tmp_path, fewest=50)
    again = learn_telling(material, 1, 0, notes.append, tmp_path, fewest=50)
    assert len(notes) == MODELS + 1  # only the one that was cut is learned twice
    for one, other in zip(whole.models, again.models, strict=True):
        assert all(np.allclose(weight, other[name], atol=1e-6) for name, weight in one.items())
    learn_telling(material, 1, 1, notes.append, tmp_path, fewest=50)
    assert len(notes) == 2 * MODELS + 1  # another seed is another run


def test_of_few_captions_nothing_is_told(material: FeatureSet) -> None:
    assert learn_telling(material, 1, 0, print).models == ()


def config(source: Path, out: Path, **training: object) -> RerankerRun:
    settings = {"steps": 6, "signs": 8, **training}
    return RerankerRun(
        pairs=(source,), val=half_of(source), out=out, shape=SHAPE,
        training=RerankerTraining(**settings),  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_run_leaves_a_reranker_that_loads(
    source: Path, encoder: TorchEncoder, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    losses: list[float] = []
    phases: dict[str, list[tuple[int, int]]] = {}

    def phase(name: str, _unit: str) -> Progress:
        told = phases[name] = []
        return lambda done, total: told.append((done, total))

    watch = RerankerObserver(learned=lambda _step, loss: losses.append(loss), phase=phase)
    done = run_reranker_training(config(source, out, steps=40, lr=3e-3), encoder, watch)
    assert list(phases) == [
        "looking at photos", "learning to spot words", "learning how captions are written",
        "learning to read instructions", "learning looks", "looking at the validation photos",
        "choosing its weight for queries of words", "choosing its weight for queries of photos",
        "choosing how far instructions carry",
    ]  # fmt: skip
    for name, told in phases.items():
        if name != "learning how captions are written":  # of a thousand captions and more
            assert told, name
            assert told[-1][0] == told[-1][1], name  # to its end
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    loaded = load_reranker(str(out), encoder)
    assert loaded.fusion == done.fusion
    record = json.loads((out / "train.json").read_text())
    assert record["run"]["training"]["steps"] == 40
    assert set(record["validation"]) == {"text_to_image", "image_to_text", "instructed"}
    assert sorted(path.name for path in out.iterdir()) == [
        "looks.safetensors", "reranker.json", "reranker.safetensors", "train.json",
        "words.safetensors",
    ]  # fmt: skip
    with pytest.raises(TrainingFailed, match="holds a finished reranker"):
        run_reranker_training(config(source, out), encoder)


def test_it_starts_from_another_reranker_and_keeps_what_it_tells(
    source: Path, encoder: TorchEncoder, material: FeatureSet, tmp_path: Path
) -> None:
    first = config(source, tmp_path / "first")
    run_reranker_training(first, encoder)
    run = config(source, tmp_path / "second", steps=0, telling=0)
    again = RerankerRun(
        pairs=run.pairs, val=run.val, out=run.out, init=first.out, training=run.training
    )
    start = load_reranker_checkpoint(first.out)
    told = learn_telling(material, epochs=1, seed=0, note=print, fewest=50)
    save_reranker(replace(start, teller=told), first.out)
    run_reranker_training(again, encoder)
    for name in ("reranker.safetensors", TELLING):
        assert (first.out / name).read_bytes() == (run.out / name).read_bytes()
    tiny_model(tmp_path / "other", seed=1)
    other = load_encoder(str(tmp_path / "other"), "cpu")
    with pytest.raises(ModelUnavailable, match="reads with another --model"):
        run_reranker_training(again.__class__(**{**vars(again), "out": tmp_path / "third"}), other)


def test_what_cannot_be_trained_is_refused(
    source: Path, encoder: TorchEncoder, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match="gives no image tokens"):
        run_reranker_training(config(source, tmp_path / "a"), ColourEncoder())
    with pytest.raises(UsageError, match="name it by --init"):
        run_reranker_training(config(source, tmp_path / "b", steps=0), encoder)
    with pytest.raises(UsageError, match="steps must be 0 or more"):
        RerankerTraining(steps=-1)
    with pytest.raises(UsageError, match="telling must be 0 or more"):
        RerankerTraining(telling=-1)
