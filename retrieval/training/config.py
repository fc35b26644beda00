"""The configuration of a training run, stored beside its checkpoint."""

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
    """Strength of the photos' augmentation; all zero (and `crop` 1) means none.

    Attributes:
        crop: smallest share of a photo's area that a random crop keeps.
        ratio: largest factor by which a random crop changes the aspect ratio.
        flip: probability of mirroring a photo. A caption that says "left" or "right" is then
            wrong; few do.
        colour: strength of random changes of brightness, contrast and saturation.
        grey: probability of making a photo grey.
    """

    crop: float = 0.6
    ratio: float = 1.25
    flip: float = 0.5
    colour: float = 0.2
    grey: float = 0.02


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The configuration of one training run.

    Attributes:
        pairs: sources of image-text pairs (see `retrieval.pairs`); a source given twice counts
            twice.
        val: pairs for validation; the checkpoint that is best on them is kept.
        init: model to start from.
        out: folder of the result.
        epochs: passes over the photos; each pass uses `captions` captions of each photo.
        batch_size: photos in one contrastive batch, over all processes.
        chunk_size: photos that go through the towers at once; 0 takes the whole batch. Smaller
            chunks need less memory and a second forward pass; the result is the same (cached
            gradients).
        accumulate: number of batches whose gradients are summed before a step.
        captions: captions of each photo that are positives in one batch.
        templates: put captions of up to three words into random sentences ("a photo of a …").
        teachers: models to distil from; each must read the same input. Repeatable.
        teaching: weight of the distillation loss; the contrastive loss has weight 1.
        lr: peak learning rate of the last layer of a tower.
        text_lr: peak learning rate of the text tower, if it differs from `lr`.
        head_lr: peak learning rate of the projection heads (built-in architecture), if it differs
            from `lr`.
        lora: rank of low-rank adapters; only they and the temperature are trained, and they are
            merged into the result. Use about ten times the usual `lr`. 0 trains all weights.
        lora_alpha: scale of the adapters; their product is multiplied by `lora_alpha` / `lora`.
        lora_heads: with `lora`, also train the projection heads in full (built-in architecture).
        freeze: share of each tower's layers that are not trained, counted from the bottom, with
            the embeddings below them. Training is faster, and two models can share these layers.
        layer_decay: factor on the learning rate from each layer to the one below it.
        weight_decay: weight decay of AdamW, applied to matrices only.
        warmup: share of the steps in which the learning rate rises.
        clip: largest norm of the gradient.
        ema: decay of the moving average of the weights, which is evaluated and kept; 0 uses none.
        drop_path: stochastic depth of the image tower (built-in architecture).
        patch_drop: share of the image patches dropped at random (built-in architecture).
        canvas: side in pixels of the decoded photos that crops are cut from; 0 takes 8/7 of the
            model's input.
        cache_gib: memory for decoded photos in GiB. If all photos fit, each is decoded only once;
            otherwise none is cached.
        loss: contrastive loss: infonce, or sigmoid, which classifies each pair by itself.
        precision: arithmetic of the towers; weights are kept in float32 either way.
        storage: format of the stored weights.
        device: where the model is trained: auto, cpu, cuda or mps.
        seed: seed of all random choices; the same seed repeats the run.
        workers: threads that decode photos.
        eval_every: epochs between evaluations.
        patience: stop after so many evaluations on `val` without a gain in the sum of R@1, R@5
            and R@10 of both directions; 0 never stops early.
        wise: weight A of the trained weights in the result, (1 - A) · start + A · trained
            (WiSE-FT). Given several (0.3,0.5) or `auto` (0.1 to 1.0), the best on `val` and
            `keep` is chosen.
        keep: pairs for what the model must not forget; with `wise` they count as much as `val`.
        checkpoint_every: steps between checkpoints; a run that was stopped continues from one.
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
            raise UsageError(f"freeze must be 0 or more and below 1, not {self.freeze}")
        self._check_choosing()

    def _check_choosing(self) -> None:
        """Refuse options that choose between weights without pairs for validation.

        Raises:
            UsageError: see there.
        """
        if self.patience and self.val is None:
            raise UsageError("patience needs pairs for validation: name them with --val")
        if len(self.shares) > 1 and self.val is None:
            raise UsageError(f"wise {self.wise} needs pairs for validation: name them with --val")
        if self.keep is not None and not self.shares:
            raise UsageError("keep is used only when weights are averaged: add --wise auto")

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
            raise UsageError(f"wise takes weights from 0 to 1 or '{WISE_AUTO}', not '{self.wise}'")
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
