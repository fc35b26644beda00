"""One run that gives a reranker new signs: wordings → signs → fusion → files.

The rest of the network stays as it was, and so do the weights of both directions; how far an
instruction carries is chosen again.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from indexer.encoder import Encoder
from indexer.errors import UsageError
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.models import TowerEncoder
from retrieval.models.folder import RECORD
from retrieval.pairs import read_pairs
from retrieval.reranking.config import CONFIG
from retrieval.reranking.grammar import shipped_grammar
from retrieval.reranking.network import NetworkConfig, SignReader
from retrieval.reranking.reading import TextReader
from retrieval.reranking.store import load_reranker_checkpoint, save_reranker
from retrieval.training.optimizer import schedule
from retrieval.training.reranker.config import RerankerTraining
from retrieval.training.reranker.material import gather
from retrieval.training.reranker.run import RerankerResult, RerankerRun, Watch
from retrieval.training.reranker.signs import Signs, sign_loss
from retrieval.training.reranker.weighing import Validation, choose_steering

_DROPOUT, _WEIGHT_DECAY, _WARMUP, _CLIP = 0.2, 0.1, 0.05, 1.0


def run_sign_training(
    config: RerankerRun, model: Encoder, watch: Watch | None = None
) -> RerankerResult:
    """Teach the reranker `config.init` signs anew, from texts; the result ends up in `config.out`.

    Of the settings, steps, signs, lr and seed count. `init` may be of an older format.

    Raises:
        PairsInvalid: no usable pairs.
        ModelUnavailable: the encoder gives no tokens, or `init` reads with another one.
        TrainingFailed: `out` holds a finished reranker.
        UsageError: there is no `init`.
    """
    watch = watch or Watch()
    if (config.out / CONFIG).exists():
        raise TrainingFailed(f"'{config.out}' holds a finished reranker; choose another --out")
    if config.init is None:
        raise UsageError("--signs-only teaches a reranker that there is: name it by --init")
    start = load_reranker_checkpoint(config.init, signs=False)
    if not isinstance(model, TowerEncoder) or start.encoder != model.fingerprint:
        raise ModelUnavailable(f"the reranker '{config.init}' reads with another --model")
    captions = [text for source in config.pairs for pair in read_pairs(source).pairs
                for text in pair.captions]  # fmt: skip
    lessons, shape = Signs(shipped_grammar(), captions), start.network.config
    learned = learn_signs(
        lessons, TextReader(model, shape.sign_depth), shape, config.training, watch
    )
    start.network.sign.load_state_dict(learned.state_dict())
    watch.note("choosing how far instructions carry, on the validation photos")
    pairs = read_pairs(config.val).pairs
    material = gather(model, pairs, shipped_grammar(), views=1, progress=watch.looked)
    judged = Validation(encoder=model, material=material, grammar=shipped_grammar())
    chosen, found = choose_steering(start, judged)
    save_reranker(chosen, config.out, _record(config, found))
    return RerankerResult(fusion=chosen.fusion, validation=found, skipped=material.skipped)


def learn_signs(
    lessons: Signs,
    reader: TextReader,
    shape: NetworkConfig,
    training: RerankerTraining,
    watch: Watch,
) -> SignReader:
    """Learn to tell wordings apart into what forbids, what asks, and neither."""
    torch.manual_seed(training.seed)
    signs = SignReader(shape, _DROPOUT)
    optimizer = torch.optim.AdamW(signs.parameters(), lr=training.lr, weight_decay=_WEIGHT_DECAY)
    rng = np.random.default_rng(training.seed)
    for step in range(training.steps):
        optimizer.param_groups[0]["lr"] = training.lr * schedule(step, training.steps, _WARMUP)
        texts, told = lessons.draw(training.signs, rng)
        loss = sign_loss(signs.opinions(*reader.early(texts)), torch.from_numpy(told))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(signs.parameters(), _CLIP)
        optimizer.step()
        watch.learned(step + 1, loss.item())
    return signs.eval()


def _record(config: RerankerRun, found: dict[str, Any]) -> dict[str, Any]:
    """Return how the reranker came to be: what was known of it, and this run."""
    path = config.init / RECORD if config.init else config.out
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    run = {**known.get("run", {}), "signs": config.as_json()}
    return {"run": run, "validation": {**known.get("validation", {}), **found}}
