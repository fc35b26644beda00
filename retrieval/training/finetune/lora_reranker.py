"""Fine-tune a large reranker on your own triples with low-rank adapters (LoRA).

    triples -> batch, half yes and half no -> scores -> cross-entropy -> step -> merge -> folder

A score is logit yes - logit no, so the cross-entropy of yes and no is that of the score's sigmoid.
The image tower is frozen; layers that read words are trained. The adapters are merged at the end,
so the result is a folder like that of the original reranker.

Source: Hu et al. 2021 (LoRA, arXiv 2106.09685), through the package peft.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from indexer.core.errors import FileUnreadable, UsageError
from indexer.core.types import Skip
from indexer.decoding.render import read_picture
from retrieval.errors import ModelUnavailable, PairsInvalid, TrainingFailed
from retrieval.models.model_folder import RECORD
from retrieval.output_files import write_json
from retrieval.reranking.hf_files import find_large
from retrieval.reranking.hf_models import HfModel
from retrieval.reranking.hf_reranker import FUSION, load_judge, quiet
from retrieval.reranking.score_fusion import CONFIG
from retrieval.training.finetune.judgments import Judgment, JudgmentSet

SIZE_HINT = 224
"""Pixels a side that photos are decoded for, as search does where the encoder sees so many."""

_WARMUP = 0.1  # share of the steps in which the rate rises
_CLIP = 1.0  # largest norm of the gradient


@dataclass(frozen=True, kw_only=True)
class LoraTuning:
    """One fine-tuning.

    Attributes:
        steps: of the optimizer.
        batch_size: triples of a step, half of them a yes.
        lr: peak learning rate.
        rank: of the adapters.
        alpha: strength of the adapters; their product is scaled by `alpha` / `rank`.
        seed: decides every random choice.
    """

    steps: int = 200
    batch_size: int = 8
    lr: float = 1e-4
    rank: int = 16
    alpha: float = 32.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 2), ("rank", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be {least} or more, not {getattr(self, name)}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise UsageError(f"lr must be positive, not {self.lr}")


def tune_large(
    init: str,
    given: JudgmentSet,
    config: LoraTuning,
    out: Path,
    device: torch.device,
    watch: Callable[[int, float], None] = lambda _step, _loss: None,
) -> tuple[Skip, ...]:
    """Fine-tune a large reranker and write it into a new folder.

    Args:
        init: spec of the reranker to start from.
        given: triples to learn from.
        config: how.
        out: folder of the result; made when all is done, so a killed run leaves none.
        device: to compute on.
        watch: called after each step with the steps done and the loss.

    Returns:
        What was left out: lines of the file, and photos that cannot be read.

    Raises:
        ModelUnavailable: the reranker, or a package that this takes, is not here.
        PairsInvalid: no photo of a yes, or none of a no, can be read.
        UsageError: `out` is there already.
        TrainingFailed: the loss is not finite.
    """
    _check(init, out)
    folder = find_large(init)
    triples, unreadable = _readable(given.triples)
    judge = load_judge(folder, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        _learn(judge, triples, config, watch)
    record = {"init": init, "triples": len(triples), "tuning": asdict(config)}
    _save(judge, folder, record, out)
    return given.skipped + unreadable


def _check(init: str, out: Path) -> None:
    """Refuse what cannot end well, before any work."""
    if init == "builtin" or (Path(init).expanduser() / CONFIG).is_file():
        raise UsageError(
            f"'{init}' is trained on pairs, not on triples; name a reranker of Hugging Face "
            "Transformers with --init, such as Salesforce/blip-itm-base-coco"
        )
    if find_spec("peft") is None:
        raise ModelUnavailable(
            f"'{init}' is fine-tuned with the package peft; install it with: "
            "pip install 'twinlens[transformers]'"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"'{out}' exists already; choose another --out, or remove it")


def _readable(triples: Sequence[Judgment]) -> tuple[list[Judgment], tuple[Skip, ...]]:
    """Return the triples whose photos decode, and the photos that do not."""
    skips = {}
    for path in dict.fromkeys(triple.candidate for triple in triples):
        try:
            read_picture(path, size_hint=SIZE_HINT)
        except FileUnreadable as error:
            skips[path] = Skip(path=path, reason=str(error))
    kept = [triple for triple in triples if triple.candidate not in skips]
    for label in (True, False):
        if not any(triple.label == label for triple in kept):
            raise PairsInvalid(
                f"no triple with a readable photo has the label {int(label)}; training needs both "
                "right and wrong candidates"
            )
    return kept, tuple(skips.values())


def _learn(
    judge: HfModel,
    triples: Sequence[Judgment],
    config: LoraTuning,
    watch: Callable[[int, float], None],
) -> None:
    """Teach the adapters, then merge them into the model."""
    import peft

    lora = peft.LoraConfig(
        r=config.rank, lora_alpha=config.alpha, target_modules=judge.adapted, bias="none"
    )
    adapted = peft.LoraModel(judge.module, lora, "lora")
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    for weight in weights:
        weight.data = weight.data.float()  # small steps are lost in the bfloat16 of a GPU
    optimizer = torch.optim.AdamW(weights, lr=config.lr, weight_decay=0.0)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, config.steps))
    rng = np.random.default_rng(config.seed)
    labels = np.array([triple.label for triple in triples])
    for step in range(config.steps):
        loss = _loss(judge, [triples[n] for n in _draw(labels, config.batch_size, rng)])
        if not math.isfinite(loss.item()):
            raise TrainingFailed(f"the loss of step {step + 1} is not finite; try a lower --lr")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, _CLIP)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
        watch(step + 1, loss.item())
    judge.module = adapted.merge_and_unload()


def _rate(step: int, steps: int) -> float:
    """Return the factor on the peak rate: a linear rise, then a straight fall to zero."""
    rise = max(1, round(_WARMUP * steps))
    return min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def _draw(labels: NDArray[np.bool_], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a batch, half of it a yes; with repetition where there are fewer. Shape (size,)."""
    parts = [
        rng.choice(found, count, replace=len(found) < count)
        for found, count in (
            (np.flatnonzero(labels), size // 2),
            (np.flatnonzero(~labels), size - size // 2),
        )
    ]
    return np.concatenate(parts)


def _loss(judge: HfModel, triples: Sequence[Judgment]) -> Tensor:
    """Return the mean cross-entropy of yes and no over a batch, a scalar."""
    photos = [read_picture(triple.candidate, size_hint=SIZE_HINT) for triple in triples]
    with torch.no_grad():
        sights = judge.look(photos)
    scores = judge.judge([(triple.query, triple.instruction) for triple in triples], sights)
    labels = [float(triple.label) for triple in triples]
    return F.binary_cross_entropy_with_logits(scores, scores.new_tensor(labels))


def _save(judge: HfModel, init: Path, record: dict[str, object], out: Path) -> None:
    """Write the model beside its place, then move it there whole."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        _write(judge, init, record, part)
        if out.is_dir():
            out.rmdir()
        part.replace(out)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise TrainingFailed(f"cannot write the reranker into '{out}': {error}") from error


def _write(judge: HfModel, init: Path, record: dict[str, object], folder: Path) -> None:
    """Write model, processor, how they came to be, and the weights of the start's fusion."""
    with quiet():
        judge.module.save_pretrained(folder)
        judge.processor.save_pretrained(folder)
    write_json(folder / RECORD, record)
    if (init / FUSION).is_file():
        shutil.copyfile(init / FUSION, folder / FUSION)
