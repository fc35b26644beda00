"""Train a reranker: pairs → features → words → captions → polarity → style → fusion → files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from indexer.core.encoder import Encoder
from indexer.core.errors import UsageError
from indexer.core.types import Skip
from retrieval.builtin_reranker.caption_lm import CaptionLM
from retrieval.builtin_reranker.polarity_classifier import PolarityClassifier
from retrieval.builtin_reranker.polarity_config import Polarity, PolarityConfig
from retrieval.builtin_reranker.reranker_checkpoint import (
    RerankerCheckpoint,
    load_reranker_checkpoint,
    save_reranker,
)
from retrieval.builtin_reranker.text_features import InstructionFeatures
from retrieval.builtin_reranker.training.caption_lm_training import learn_telling
from retrieval.builtin_reranker.training.features import FeatureSet, Progress, gather, unwatched
from retrieval.builtin_reranker.training.fusion_weights import FusionValidation, choose_fusion
from retrieval.builtin_reranker.training.polarity import PolarityExamples, learn_signs
from retrieval.builtin_reranker.training.style_training import learn_looks
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.builtin_reranker.training.word_training import learn_words
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.instructions.templates import shipped_grammar
from retrieval.models import TorchEncoder
from retrieval.pairs import Pair, read_pairs
from retrieval.reranking.score_fusion import CONFIG, FusionWeights
from retrieval.training.cpu import keep_freed_memory


@dataclass(frozen=True, kw_only=True)
class RerankerRun:
    """What a run needs.

    Attributes:
        pairs: photos with captions to learn from.
        val: photos with captions to choose the weights of the fusion on.
        out: folder of the result.
        init: folder of a reranker to start from; None for a new one.
        shape: of a new reader of signs; what it reads is as the encoder gives it.
        training: the settings.
    """

    pairs: tuple[Path, ...]
    val: Path
    out: Path
    init: Path | None = None
    shape: PolarityConfig = field(default_factory=PolarityConfig)
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

    fusion: FusionWeights
    validation: dict[str, Any]
    skipped: tuple[Skip, ...]


@dataclass(frozen=True, kw_only=True)
class RerankerObserver:
    """How a run reports; by default nobody watches.

    Attributes:
        note: receives a line for a person.
        phase: called when something begins, with its name and what it counts; returns what is
            called with how much is done, and in all.
        learned: called after each batch of wordings with the steps done and the loss.
    """

    note: Callable[[str], None] = lambda _: None
    phase: Callable[[str, str], Progress] = lambda _name, _unit: unwatched
    learned: Callable[[int, float], None] = lambda _step, _loss: None

    def steps(self, name: str, steps: int) -> Callable[[int, float], None]:
        """Begin something that takes steps; return what is called with those done and the loss."""
        progress = self.phase(name, "steps")

        def tell(step: int, loss: float) -> None:
            progress(step, steps)
            self.learned(step, loss)

        return tell


def run_reranker_training(
    config: RerankerRun, model: Encoder, watch: RerankerObserver | None = None
) -> RerankerResult:
    """Train a reranker for a dual encoder; the result ends up in `config.out`.

    A run that was killed looks at the photos again, and goes on with the next language model.

    Raises:
        PairsInvalid: no usable pairs.
        ModelUnavailable: the encoder gives no tokens, or `init` reads with another one.
        TrainingFailed: `out` holds a finished reranker.
        UsageError: signs are to be kept, and there is no `init`.
    """
    watch, encoder = watch or RerankerObserver(), _towers(model)
    if (config.out / CONFIG).exists():
        raise TrainingFailed(f"'{config.out}' holds a finished reranker; choose another --out")
    start = _start(config, encoder)
    training = config.training
    keep_freed_memory()
    config.out.mkdir(parents=True, exist_ok=True)
    pairs = [pair for source in config.pairs for pair in read_pairs(source).pairs]
    looked = watch.phase("looking at photos", "photos")
    material = _gathered(pairs, encoder, training.views, training.seed, looked)
    watch.note(f"learning from {len(material.vectors):,} photos, {len(material.captions):,} texts")
    learned = watch.phase("learning to spot words", "steps")
    spotter = learn_words(material, shipped_grammar(), training.seed, learned)
    teller = _teller(start, material, config, watch)
    signs: Polarity = start.signs
    if training.steps:
        reader = InstructionFeatures(encoder, signs.config.depth)
        told = watch.steps("learning to read instructions", training.steps)
        wordings = PolarityExamples(shipped_grammar(), material.captions)
        signs = learn_signs(wordings, reader, signs.config, training, told)
    looks = learn_looks(
        encoder, pairs, shipped_grammar(), training.seed, watch.phase("learning looks", "photos")
    )
    val = read_pairs(config.val).pairs
    looked = watch.phase("looking at the validation photos", "photos")
    judged = FusionValidation(
        encoder=encoder,
        material=_gathered(val, encoder, 1, training.seed, looked),
        grammar=shipped_grammar(),
        phase=watch.phase,
    )
    made = RerankerCheckpoint(
        signs=signs,
        encoder=encoder.fingerprint,
        fusion=FusionWeights(),
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


def _start(config: RerankerRun, encoder: TorchEncoder) -> RerankerCheckpoint:
    """Return what to begin with: nothing learned, or a reranker that reads with this encoder."""
    if config.init is None:
        if not config.training.steps:
            raise UsageError("--steps 0 keeps the signs of a reranker: name it by --init")
        new = PolarityClassifier(_fitted(config.shape, encoder)).eval()
        return RerankerCheckpoint(signs=new, encoder=encoder.fingerprint, fusion=FusionWeights())
    start = load_reranker_checkpoint(config.init)
    if start.encoder != encoder.fingerprint:
        raise ModelUnavailable(f"the reranker '{config.init}' reads with another --model")
    return start


def _fitted(shape: PolarityConfig, encoder: TorchEncoder) -> PolarityConfig:
    """Return a shape that reads the tokens of an encoder."""
    tower = encoder.text_tower
    if tower is None:
        return shape
    return dataclasses.replace(shape, text_width=tower.embed.embedding_dim)


def _gathered(
    pairs: list[Pair] | tuple[Pair, ...],
    encoder: TorchEncoder,
    views: int,
    seed: int,
    looked: Progress,
) -> FeatureSet:
    """Look at all photos."""
    grammar = shipped_grammar()
    return gather(encoder, pairs, grammar, views=views, seed=seed, progress=looked)


def _teller(
    start: RerankerCheckpoint, material: FeatureSet, config: RerankerRun, watch: RerankerObserver
) -> CaptionLM:
    """Learn the language models of captions, or keep those of the start."""
    epochs, seed = config.training.telling, config.training.seed
    if not epochs:
        return start.teller
    learned = watch.phase("learning how captions are written", "steps")
    return learn_telling(material, epochs, seed, watch.note, config.out, progress=learned)
