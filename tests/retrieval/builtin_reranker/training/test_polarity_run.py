"""Signs learned alone: nothing else of a reranker changes, and what is learned is told apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from indexer.core.errors import UsageError
from retrieval.builtin_reranker.polarity_classifier import PolarityClassifier, PolarityConfig
from retrieval.builtin_reranker.polarity_reader import PolarityReader
from retrieval.builtin_reranker.reranker_checkpoint import (
    SIGNS,
    RerankerCheckpoint,
    load_reranker_checkpoint,
    save_reranker,
)
from retrieval.builtin_reranker.training.polarity import PolarityExamples, learn_signs, sign_loss
from retrieval.builtin_reranker.training.polarity_run import run_sign_training
from retrieval.builtin_reranker.training.run import RerankerObserver, RerankerRun
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.models import TorchEncoder, load_encoder
from retrieval.reranking.score_fusion import CONFIG, WEIGHTS, FusionWeights
from tests.tiny import colour_pairs, half_of, tiny_model

SHAPE = PolarityConfig(text_width=32, width=32, depth=1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TorchEncoder:
    return TorchEncoder(tiny_model(tmp_path_factory.mktemp("tiny")), "cpu")


@pytest.fixture
def run(tmp_path: Path, encoder: TorchEncoder) -> RerankerRun:
    torch.manual_seed(0)
    fusion = FusionWeights(text_to_image=0.02, image_to_text=0.01, instructed=0.5)
    made = RerankerCheckpoint(
        signs=PolarityClassifier(SHAPE), encoder=encoder.fingerprint, fusion=fusion
    )
    save_reranker(
        made, tmp_path / "init", {"run": {"words": 1}, "validation": {"text_to_image": 2}}
    )
    source = colour_pairs(tmp_path)
    return RerankerRun(
        pairs=(source,),
        val=half_of(source),
        out=tmp_path / "out",
        init=tmp_path / "init",
        training=RerankerTraining(steps=3, signs=8),
    )


def test_nothing_but_the_signs_and_their_weight_changes(
    run: RerankerRun, encoder: TorchEncoder
) -> None:
    assert run.init is not None
    steps: list[int] = []
    done = run_sign_training(
        run, encoder, RerankerObserver(learned=lambda step, _: steps.append(step))
    )
    assert steps == [1, 2, 3]
    before, after = (load_file(folder / WEIGHTS) for folder in (run.init, run.out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert set(before) == set(after)
    assert all(name.startswith(SIGNS) for name in after)
    made = load_reranker_checkpoint(run.out)
    assert (made.fusion.text_to_image, made.fusion.image_to_text) == (0.02, 0.01)
    assert made.fusion == done.fusion
    record = json.loads((run.out / "train.json").read_text())
    assert (record["run"]["words"], record["validation"]["text_to_image"]) == (1, 2)
    assert record["run"]["signs"]["training"]["steps"] == 3
    with pytest.raises(TrainingFailed, match="holds a finished reranker"):
        run_sign_training(run, encoder)


def test_a_reranker_of_an_older_format_gets_signs(run: RerankerRun, encoder: TorchEncoder) -> None:
    assert run.init is not None
    config = json.loads((run.init / CONFIG).read_text())
    network = {"text_width": 32, "heads": 4, "expand": 2, "sign_width": 32, "sign_depth": 1}
    (run.init / CONFIG).write_text(json.dumps({**config, "format": 1, "network": network}))
    with pytest.raises(ModelUnavailable, match="--signs-only --init"):
        load_reranker_checkpoint(run.init)
    run_sign_training(run, encoder)
    assert load_reranker_checkpoint(run.out).signs.config == SHAPE


def test_what_cannot_be_taught_is_refused(
    run: RerankerRun, encoder: TorchEncoder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="name it by --init"):
        run_sign_training(replace(run, init=None), encoder)
    tiny_model(tmp_path / "other", seed=1)
    other = load_encoder(str(tmp_path / "other"), "cpu")
    with pytest.raises(ModelUnavailable, match="reads with another --model"):
        run_sign_training(run, other)


def test_the_loss_is_the_smoothed_cross_entropy() -> None:
    chances = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    reference = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(chances.log(), torch.tensor([0, 2]))
    both = sign_loss(torch.stack([chances, chances]), torch.tensor([-1, 1]))
    assert both.item() == pytest.approx(reference.item())


def test_wordings_that_differ_by_one_word_are_told_apart() -> None:
    eye = np.eye(32, dtype=np.float32)
    rows = {"no": eye[0], "do": eye[1], "dog": eye[2]}

    class Two(PolarityExamples):
        def __init__(self) -> None:
            pass

        def draw(self, count, rng):  # type: ignore[no-untyped-def]
            told = rng.choice([-1, 1], count)
            return ["no dog" if sign < 0 else "do dog" for sign in told], told

    class Reader:
        def early(self, texts):  # type: ignore[no-untyped-def]
            states = np.stack([[rows[word] for word in text.split()] for text in texts])
            return states, np.ones(states.shape[:2], dtype=np.bool_)

    training = RerankerTraining(steps=200, signs=16, lr=5e-3)
    learned = learn_signs(Two(), Reader(), SHAPE, training)  # type: ignore[arg-type]
    read = PolarityReader(SHAPE, learned.weights())(*Reader().early(["no dog", "do dog"]))
    assert np.sign(read).tolist() == [-1.0, 1.0]
