"""One run from pairs to a folder: material → words, looks → captions → network → fusion → files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from indexer.core.encoder import Encoder
from indexer.core.errors import UsageError
from indexer.core.types import Skip
from retrieval.builtin_reranker.caption_lm import Teller
from retrieval.builtin_reranker.cross_attention import NetworkConfig, RerankerNetwork
from retrieval.builtin_reranker.reranker_checkpoint import (
    Checkpoint,
    load_reranker_checkpoint,
    save_reranker,
)
from retrieval.builtin_reranker.text_features import TextReader
from retrieval.builtin_reranker.training.caption_lm_training import learn_telling
from retrieval.builtin_reranker.training.cross_attention_batches import SIDE, Retrieval, Steering
from retrieval.builtin_reranker.training.cross_attention_loop import School, train_reranker
from retrieval.builtin_reranker.training.features import Material, Progress, gather, unwatched
from retrieval.builtin_reranker.training.fusion_weights import Validation, choose_fusion
from retrieval.builtin_reranker.training.polarity import Signs
from retrieval.builtin_reranker.training.style_training import learn_looks
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.builtin_reranker.training.word_training import learn_words
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.instructions.templates import shipped_grammar
from retrieval.models import TorchEncoder
from retrieval.pairs import Pair, read_pairs
from retrieval.reranking.reranker_config import CONFIG
from retrieval.reranking.score_fusion import Fusion
from retrieval.training.cpu import advice
from retrieval.training.malloc import keep_freed_memory


@dataclass(frozen=True, kw_only=True)
class RerankerRun:
    """What a run needs.

    Attributes:
        pairs: photos with captions to learn from.
        val: photos with captions to choose the weights of the fusion on.
        out: folder of the result.
        init: folder of a reranker to start from; None for a new one.
        network: shape of a new reranker; what it reads is as the encoder gives it.
        training: the settings of the optimizer and the lessons.
    """

    pairs: tuple[Path, ...]
    val: Path
    out: Path
    init: Path | None = None
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: RerankerTraining = field(default_factory=RerankerTraining)

    def as_json(self) -> dict[str, Any]:
        """Return the settings as plain values, without this machine's paths."""
        plain = dataclasses.asdict(self)
        plain.pop("out")
        plain["pairs"] = [path.name for path in self.pairs]
        plain["val"] = self.val.name
        plain["init"] = self.init.name if self.init else None
        return plain


@dataclass(frozen=True, kw_only=True)
class RerankerResult:
    """What a run left: the weights of the fusion, what they reached, the photos left out."""

    fusion: Fusion
    validation: dict[str, Any]
    skipped: tuple[Skip, ...]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a run reports; by default nobody watches.

    Attributes:
        note: receives a line for a person.
        phase: called when something begins, with its name and what it counts; returns what is
            called with how much is done, and in all.
        learned: called after each step of the network with the steps done and the loss.
    """

    note: Callable[[str], None] = lambda _: None
    phase: Callable[[str, str], Progress] = lambda _name, _unit: unwatched
    learned: Callable[[int, float], None] = lambda _step, _loss: None


def run_reranker_training(
    config: RerankerRun, model: Encoder, watch: Watch | None = None
) -> RerankerResult:
    """Train a reranker for a dual encoder; the result ends up in `config.out`.

    A run that was killed looks at the photos again, and goes on with the next language model, or
    from the last state of the network.

    Raises:
        PairsInvalid: no usable pairs.
        ModelUnavailable: the encoder gives no tokens, or `init` reads with another one.
        TrainingFailed: the loss is not finite, or `out` holds a finished reranker or another run.
    """
    watch, encoder = watch or Watch(), _towers(model)
    if (config.out / CONFIG).exists():
        raise TrainingFailed(f"'{config.out}' holds a finished reranker; choose another --out")
    start = _start(config, encoder)
    network, training = start.network, config.training
    keep_freed_memory()
    config.out.mkdir(parents=True, exist_ok=True)
    pairs = [pair for source in config.pairs for pair in read_pairs(source).pairs]
    looked = watch.phase("looking at photos", "photos")
    material = _gathered(pairs, encoder, training.views, training.seed, looked)
    watch.note(f"learning from {len(material.vectors):,} photos, {len(material.captions):,} texts")
    learned = watch.phase("learning to spot words", "steps")
    spotter = learn_words(material, shipped_grammar(), training.seed, learned)
    teller = _teller(start, material, config, watch)
    if training.steps:
        if slow := advice(training.precision, encoder.device):
            watch.note(slow)
        learned = watch.phase("learning", "steps")
        school = _school(material, encoder, network.config.sign_depth, training.reach)
        told = _both(learned, training.steps, watch.learned)
        network = train_reranker(network, school, training, config.out, told)
    looks = learn_looks(
        encoder, pairs, shipped_grammar(), training.seed, watch.phase("learning looks", "photos")
    )
    val = read_pairs(config.val).pairs
    looked = watch.phase("looking at the validation photos", "photos")
    judged = Validation(
        encoder=encoder,
        material=_gathered(val, encoder, 1, training.seed, looked),
        grammar=shipped_grammar(),
        phase=watch.phase,
    )
    made = Checkpoint(
        network=network.eval(),
        encoder=encoder.fingerprint,
        fusion=Fusion(),
        spotter=spotter,
        looks=looks,
        teller=teller,
    )
    chosen, found = choose_fusion(made, judged)
    save_reranker(chosen, config.out, {"run": config.as_json(), "validation": found})
    return RerankerResult(
        fusion=chosen.fusion,
        validation=found,
        skipped=(*material.skipped, *judged.material.skipped),
    )


def _towers(model: Encoder) -> TorchEncoder:
    """Require an encoder that gives tokens."""
    if not isinstance(model, TorchEncoder) or model.token_shape is None:
        raise ModelUnavailable(
            f"the model {model.name!r} gives no image tokens to learn from; the built-in "
            "architecture does, and large rerankers need none (see docs/models.md)"
        )
    return model


def _start(config: RerankerRun, encoder: TorchEncoder) -> Checkpoint:
    """Return what to begin with: a new network, or a reranker that reads with this encoder."""
    if config.init is None:
        torch.manual_seed(config.training.seed)
        new = RerankerNetwork(_fitted(config.network, encoder), config.training.dropout)
        return Checkpoint(network=new, encoder=encoder.fingerprint, fusion=Fusion())
    start = load_reranker_checkpoint(config.init)
    if start.encoder != encoder.fingerprint:
        raise ModelUnavailable(f"the reranker '{config.init}' reads with another --model")
    network = RerankerNetwork(start.network.config, config.training.dropout)
    network.load_state_dict(start.network.state_dict())
    return dataclasses.replace(start, network=network)


def _fitted(config: NetworkConfig, encoder: TorchEncoder) -> NetworkConfig:
    """Return a shape that reads the tokens of an encoder."""
    shape, tower = encoder.token_shape, encoder.text_tower
    if shape is None or tower is None:
        return config
    return dataclasses.replace(
        config,
        image_tokens=shape.tokens,
        image_width=shape.width,
        text_width=tower.embed.embedding_dim,
    )


def _gathered(
    pairs: list[Pair] | tuple[Pair, ...],
    encoder: TorchEncoder,
    views: int,
    seed: int,
    looked: Progress,
) -> Material:
    """Look at all photos."""
    grammar = shipped_grammar()
    return gather(encoder, pairs, grammar, views=views, seed=seed, progress=looked)


def _teller(start: Checkpoint, material: Material, config: RerankerRun, watch: Watch) -> Teller:
    """Learn the language models of captions, or keep those of the start."""
    epochs, seed = config.training.telling, config.training.seed
    if not epochs:
        return start.teller
    learned = watch.phase("learning how captions are written", "steps")
    return learn_telling(material, epochs, seed, watch.note, config.out, progress=learned)


def _both(
    progress: Progress, steps: int, learned: Callable[[int, float], None]
) -> Callable[[int, float], None]:
    """Return what reports a step to both."""

    def tell(step: int, loss: float) -> None:
        progress(step, steps)
        learned(step, loss)

    return tell


def _school(material: Material, encoder: TorchEncoder, depth: int, reach: int) -> School:
    """Prepare the lessons of both kinds."""
    if len(material.vectors) < SIDE:
        raise UsageError(f"{len(material.vectors)} photos are too few to learn from")
    return School(
        reader=TextReader(encoder, depth, keep=True),
        views=material.views,
        retrieval=Retrieval(material, reach),
        steering=Steering(material, shipped_grammar()),
        signs=Signs(shipped_grammar(), material.captions),
        passing=TextReader(encoder, depth),
    )
