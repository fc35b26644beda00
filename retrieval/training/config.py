"""Everything that decides a training run, stored beside its checkpoint."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from indexer.core.errors import UsageError
from retrieval._enums import Loss, Precision, WeightStorage

WISE_AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How strongly photos are varied; all zero (and `crop` 1) means not at all.

    Attributes:
        crop: smallest share of the area that a random crop keeps.
        ratio: largest stretch of the crop's sides, a factor.
        flip: chance of a mirror image. Captions that say "left" or "right" are few.
        colour: strength of random brightness, contrast and saturation.
        grey: chance of a grey photo.
    """

    crop: float = 0.6
    ratio: float = 1.25
    flip: float = 0.5
    colour: float = 0.2
    grey: float = 0.02


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        pairs: sources of image-text pairs (see `retrieval.pairs`); named twice counts twice.
        val: pairs to evaluate on; the checkpoint that is best there is kept.
        init: spec of the model to start from.
        out: folder of the result.
        epochs: passes over the photos; each pass uses `captions` captions a photo.
        batch_size: photos in one contrastive batch, over all processes.
        chunk_size: photos that go through the towers at once; 0 = the whole batch. Smaller
            chunks cost a second forward pass and no accuracy (cached gradients).
        accumulate: batches whose gradients are added before a step.
        captions: captions of a photo that are positives in the same batch.
        templates: put captions of up to three words into random sentences ("a photo of a …").
        teachers: specs of models to agree with (distillation); they read the same input.
        teaching: weight of that agreement beside the contrastive loss.
        lr: peak learning rate of the last layer of a tower.
        text_lr: the same for the text tower; None = `lr`.
        head_lr: the same for projection heads of the built-in architecture; None = `lr`.
        lora: rank of low-rank adapters, the only weights that learn beside the temperature; they
            are merged into the result. 0 = all weights learn. Ten times the usual `lr` suits it.
        lora_alpha: strength of the adapters; their product is scaled by `lora_alpha` / `lora`.
        lora_heads: with `lora`, projection heads of the built-in architecture learn in full.
        freeze: share of the layers of each tower that stay as they are, counted from the bottom,
            with the embeddings below them. Faster, and two models can share what is frozen.
        layer_decay: factor on the learning rate from each layer to the one below it.
        weight_decay: of AdamW, on matrices alone.
        warmup: share of the steps in which the rate rises.
        clip: largest norm of the gradient.
        ema: decay of the running average of the weights that is evaluated and kept; 0 = none.
        drop_path: stochastic depth of the image tower (built-in architecture).
        patch_drop: share of the image patches left out at random (built-in architecture).
        canvas: pixels a side of the decoded photo that crops are cut from; 0 = 8/7 of the input.
        cache_gib: photos are decoded once and kept in memory if all fit into so many GiB; else
            each time, and none beforehand.
        loss: infonce, or sigmoid (every pair a yes or no of its own).
        precision: arithmetic of the towers; weights are kept in float32 either way.
        storage: how the weights of the result lie on disk.
        device: auto, cpu, cuda or mps.
        seed: decides every random choice; the same seed repeats the run.
        workers: threads that decode photos.
        eval_every: epochs between evaluations.
        patience: evaluations on `val` without a gain (sum of R@1, R@5, R@10 of both directions)
            that end the run; 0 = never.
        wise: share A of what was learned in the final weights, (1 - A) · start + A · tuned
            (WiSE-FT). Several (0.3,0.5) or `auto` (0.1 to 1.0): the best on `val` and `keep`.
        keep: pairs of what must not be forgotten; with `wise` they count as much as `val`.
        checkpoint_every: steps between states that a killed run resumes from.
    """

    pairs: tuple[Path, ...]
    out: Path
    val: Path | None = None
    init: str = "builtin"
    epochs: int = 10
    batch_size: int = 256
    chunk_size: int = 0
    accumulate: int = 1
    captions: int = 1
    templates: bool = False
    loss: Loss = Loss.INFONCE
    teachers: tuple[str, ...] = ()
    teaching: float = 1.0
    lr: float = 1e-4
    text_lr: float | None = None
    head_lr: float | None = None
    lora: int = 0
    lora_alpha: float = 16.0
    lora_heads: bool = False
    freeze: float = 0.0
    layer_decay: float = 0.75
    weight_decay: float = 0.1
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.0
    drop_path: float = 0.0
    patch_drop: float = 0.0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    canvas: int = 0
    cache_gib: float = 4.0
    precision: Precision = Precision.FP32
    storage: WeightStorage = WeightStorage.FLOAT16
    device: str = "auto"
    seed: int = 0
    workers: int = 2
    eval_every: int = 1
    patience: int = 0
    wise: str = ""
    keep: Path | None = None
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "captions", "workers", "eval_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.lr <= 0:
            raise UsageError(f"lr must be positive, not {self.lr}")
        if not self.pairs:
            raise UsageError("no pairs to train on: name at least one --pairs")
        for name in ("lora", "patience"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not 0.0 <= self.freeze < 1.0:
            raise UsageError(f"freeze is a share of the layers below 1, not {self.freeze}")
        self._check_choosing()

    def _check_choosing(self) -> None:
        """Refuse what would choose between weights without pairs to choose on.

        Raises:
            UsageError: see there.
        """
        if self.patience and self.val is None:
            raise UsageError(
                "patience counts evaluations without a gain: name the pairs with --val"
            )
        if len(self.shares) > 1 and self.val is None:
            raise UsageError(f"wise {self.wise} chooses by evaluation: name the pairs with --val")
        if self.keep is not None and not self.shares:
            raise UsageError("keep is measured when weights are blended: add --wise auto")

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares that `wise` names, each in [0, 1]; none if the weights are not blended.

        Raises:
            UsageError: one is no such number.
        """
        if self.wise == WISE_AUTO:
            return tuple(tenth / 10 for tenth in range(1, 11))
        try:
            shares = tuple(float(part) for part in self.wise.split(",") if self.wise)
        except ValueError:
            shares = (math.nan,)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise UsageError(f"wise takes shares from 0 to 1 or '{WISE_AUTO}', not '{self.wise}'")
        return shares

    def as_json(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values, without this machine's paths."""
        plain = dataclasses.asdict(self)
        for name in ("out", "device", "workers", "cache_gib"):
            plain.pop(name)
        plain["pairs"] = [path.name for path in self.pairs]
        for name in ("val", "keep"):
            path: Path | None = getattr(self, name)
            plain[name] = path.name if path else None
        plain["init"] = Path(self.init).name
        plain["teachers"] = [Path(spec).name for spec in self.teachers]
        return plain
