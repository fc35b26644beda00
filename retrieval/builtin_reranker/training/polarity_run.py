"""Train only how instructions are read: wordings → polarity, photos → style → fusion → files.

The rest of the reranker and the weights of both directions do not change. The weight of an
instruction is chosen again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from indexer.core.encoder import Encoder
from indexer.core.errors import UsageError
from retrieval.builtin_reranker.polarity_config import Polarity
from retrieval.builtin_reranker.reranker_checkpoint import load_reranker_checkpoint, save_reranker
from retrieval.builtin_reranker.text_features import InstructionFeatures
from retrieval.builtin_reranker.training.features import gather
from retrieval.builtin_reranker.training.fusion_weights import FusionValidation, choose_steering
from retrieval.builtin_reranker.training.polarity import PolarityExamples, learn_signs
from retrieval.builtin_reranker.training.run import RerankerObserver, RerankerResult, RerankerRun
from retrieval.builtin_reranker.training.style_training import learn_looks
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.instructions.templates import shipped_grammar
from retrieval.models import TorchEncoder
from retrieval.models.model_folder import RECORD
from retrieval.pairs import read_pairs
from retrieval.reranking.score_fusion import CONFIG


def run_sign_training(
    config: RerankerRun, model: Encoder, watch: RerankerObserver | None = None
) -> RerankerResult:
    """Teach the reranker `config.init` signs and looks anew; the result ends up in `config.out`.

    Of the settings, steps, signs, lr and seed count. With 0 steps the signs stay. `init` may be of
    an older format, if there are steps.

    Raises:
        PairsInvalid: no usable pairs.
        ModelUnavailable: the encoder gives no tokens, or `init` reads with another one.
        TrainingFailed: `out` holds a finished reranker.
        UsageError: there is no `init`.
    """
    watch = watch or RerankerObserver()
    if (config.out / CONFIG).exists():
        raise TrainingFailed(f"'{config.out}' holds a finished reranker; choose another --out")
    if config.init is None:
        raise UsageError("--signs-only teaches a reranker that there is: name it by --init")
    start = load_reranker_checkpoint(config.init, signs=not config.training.steps)
    if not isinstance(model, TorchEncoder) or start.encoder != model.fingerprint:
        raise ModelUnavailable(f"the reranker '{config.init}' reads with another --model")
    grammar = shipped_grammar()
    pairs = [pair for source in config.pairs for pair in read_pairs(source).pairs]
    signs: Polarity = start.signs
    steps = config.training.steps
    if steps:
        captions = [text for pair in pairs for text in pair.captions]
        reader = InstructionFeatures(model, signs.config.depth)
        told = watch.steps("learning to read instructions", steps)
        lessons = PolarityExamples(grammar, captions)
        signs = learn_signs(lessons, reader, signs.config, config.training, told)
    seen = watch.phase("learning looks", "photos")
    looks = learn_looks(model, pairs, grammar, config.training.seed, seen)
    seen = watch.phase("looking at the validation photos", "photos")
    val = gather(model, read_pairs(config.val).pairs, grammar, progress=seen)
    judged = FusionValidation(encoder=model, material=val, grammar=grammar, phase=watch.phase)
    chosen, found = choose_steering(replace(start, signs=signs, looks=looks), judged)
    save_reranker(chosen, config.out, _record(config, found))
    return RerankerResult(fusion=chosen.fusion, validation=found, skipped=val.skipped)


def _record(config: RerankerRun, found: dict[str, Any]) -> dict[str, Any]:
    """Return how the reranker came to be: what was known of it, and this run."""
    path = config.init / RECORD if config.init else config.out
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    run = {**known.get("run", {}), "signs": config.as_json()}
    return {"run": run, "validation": {**known.get("validation", {}), **found}}
