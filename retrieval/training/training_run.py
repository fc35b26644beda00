"""One training run: its model, its data, and the stages that `train` calls in turn."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from indexer.core.types import Skip
from retrieval._enums import Loss, WeightStorage
from retrieval._resources import resource
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.models import load_model
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.dual_encoder import regularise
from retrieval.models.loaded_model import Model
from retrieval.models.model_folder import RECORD
from retrieval.models.pixels import normalize
from retrieval.output_files import write_json, written
from retrieval.training.config import TrainConfig
from retrieval.training.cpu import advice
from retrieval.training.data.augment import Draw, augment
from retrieval.training.data.dataset import (
    GIB,
    Batch,
    DecodedPhotos,
    JoinedPairs,
    TrainingSet,
    gather_pairs,
    prefetched,
)
from retrieval.training.data.same_photos import find_twins, twins_line
from retrieval.training.data.skipped_pairs import SkippedPairs
from retrieval.training.distributed import World
from retrieval.training.finetune.wise_ft import TUNED, choose_share, share_line
from retrieval.training.nonfinite import check_gradient, check_loss, why_stop
from retrieval.training.observer import TrainObserver, TrainProgress
from retrieval.training.optimizer import Trainer, schedule
from retrieval.training.plots import draw_curves
from retrieval.training.resume import ResumePoint, clear_state, load_state, save_state
from retrieval.training.step import Chunk, Objective, backward
from retrieval.training.validation import DevSet, EvalCopy, sum_of_recalls

SIGMOID_BIAS = -10.0  # where SigLIP starts: nearly all pairs of a batch do not match
LOG, CURVES = "log.jsonl", "curves.png"


PROBE = "two unusually well-behaved dogs"
"""Two tokenizers that cut this text into the same tokens are taken for the same one."""


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The result of a run: its folder, the dev figures of the kept weights, the skipped photos."""

    out: Path
    steps: int
    dev: dict[str, Any] | None
    skipped: tuple[Skip, ...]
    log: tuple[dict[str, Any], ...]


class TrainingRun:
    """One training run in progress. `retrieval.training.loop.train` calls its stages in turn.

    Args:
        config: all settings of the run.
        watch: receives progress and messages.
        device: where the towers run.
        here: this process among those that train together.
    """

    def __init__(
        self, config: TrainConfig, watch: TrainObserver, device: torch.device, here: World
    ) -> None:
        self.config, self.watch, self.device, self.here = config, watch, device, here
        self.model = load_model(config.init)
        self.snapshot = EvalCopy(self.model)
        self.snapshot.model.module.to(device)
        regularise(self.model.module, config.drop_path, config.patch_drop)
        self.model.module.to(device).train()
        self.trainer = Trainer(self.model.module, config)
        self.objective = self._objective()
        self.skips = SkippedPairs(config.out, watch.note)
        self.canvases, self.data = self._prepare(gather_pairs(config.pairs))
        self.validation = self._validation(config.val)
        self.keep = self._validation(config.keep)
        self.per_epoch = max(1, len(self.data) // config.batch_size)
        self.steps = max(1, self.per_epoch * config.epochs // config.accumulate)
        self.place = load_state(config.out, self.trainer, config.as_json())
        self.log = list(self.place.log)
        self.micro = self.place.step * config.accumulate
        self.best = (self.place.best, self.place.best_step)
        if self.place.step:
            watch.note(f"resuming at step {self.place.step} of {self.steps}")
        else:
            self.checkpoint()  # now the folder belongs to this run

    def _objective(self) -> Objective:
        """Load the teachers, with frozen weights, and return the loss to train with."""
        teachers = [load_model(spec) for spec in self.config.teachers]
        for teacher in teachers:
            if not _same_inputs(teacher, self.model):
                raise ModelUnavailable(
                    f"teacher '{teacher.name}' reads other input than '{self.model.name}': "
                    "a teacher must prepare photos and truncate texts as the trained model does"
                )
            teacher.module.to(self.device, self.trainer.dtype).requires_grad_(False)
        return Objective(
            loss=self.config.loss,
            bias=self._bias(),
            teachers=[teacher.towers for teacher in teachers],
            teaching=self.config.teaching,
        )

    def _bias(self) -> Tensor:
        """Return the bias of the sigmoid loss: the model's own, or a constant if it has none."""
        bias: Tensor | None = getattr(self.model.module, "logit_bias", None)
        if bias is None:
            return torch.full((), SIGMOID_BIAS, device=self.device)
        if self.config.loss == Loss.SIGMOID and not bias.any():  # never trained
            self.trainer.fill("logit_bias", SIGMOID_BIAS)
        return bias

    def _prepare(self, gathered: JoinedPairs) -> tuple[DecodedPhotos, TrainingSet]:
        """Decode the photos, leave out unreadable ones, and report how many pairs there are."""
        size = self.config.canvas or self.model.image.size * 8 // 7
        cache = self.config.cache_gib * GIB
        canvases = DecodedPhotos(gathered.pairs, self.model.image, size, cache, self.config.workers)
        gathered = gathered.without(canvases.keep(self.device, self.watch.decoded))
        pairs = gathered.pairs
        twins = find_twins([pair.photo for pair in pairs], self.config.workers)
        if self.here.leads:
            self.skips.add(gathered.skipped)
            captions = sum(len(pair.captions) for pair in pairs)
            self.watch.note(f"{len(pairs)} photos, {captions} captions, {self.skips.sentence()}")
            if twins:
                self.watch.note(twins_line(twins, pairs))
            if slow := advice(self.config.precision, self.device):
                self.watch.note(slow)
        return canvases, TrainingSet(pairs, gathered.source, self._templates(), twins)

    def _templates(self) -> list[str]:
        """Return the prompt templates for bare names, if the run uses them."""
        if not self.config.templates:
            return []
        return resource("templates.txt").read_text(encoding="utf-8").splitlines()

    def _validation(self, source: Path | None) -> DevSet | None:
        """Prepare validation pairs; only the leading process measures."""
        if source is None or not self.here.leads:
            return None
        gathered = gather_pairs([source])
        validation = DevSet(self.model, gathered.pairs)
        self.skips.add([*gathered.skipped, *validation.skipped])
        return validation

    @property
    def step(self) -> int:
        """Number of optimizer steps that were done."""
        return self.micro // self.config.accumulate

    def batches(self) -> Iterator[tuple[Batch, Tensor]]:
        """Yield the remaining batches, each with the photos of this process."""
        first, total = self.micro, self.steps * self.config.accumulate

        def indices() -> Iterator[Batch]:
            for micro in range(first, total):
                epoch, position = divmod(micro, self.per_epoch)
                if position == 0 or micro == first:
                    coming = self.data.epoch(
                        epoch,
                        size=self.config.batch_size,
                        captions=self.config.captions,
                        seed=self.config.seed,
                    )
                    for _ in range(position):
                        next(coming)
                yield next(coming)

        def load(batch: Batch) -> Tensor:
            return self.canvases[batch.photos[self.here.share(len(batch.photos))]]

        return prefetched(indices(), load)

    def learn(self, batch: Batch, canvas: Tensor) -> float:
        """Run one batch forward and backward; step after `accumulate` batches; return the loss."""
        undecoded = self._undecoded(batch)
        loss = backward(
            self.model.towers,
            self.objective,
            self._chunks(batch, canvas),
            batch.targets.to(self.device).without(undecoded),
            self.here,
        )
        self._check(loss, batch)
        self.micro += 1
        if self.micro % self.config.accumulate == 0:
            self.here.add_gradients(self.trainer.split())
            norm = self.trainer.step(schedule(self.step - 1, self.steps, self.config.warmup))
            if check_gradient(norm, self.step, self.log, self.config.out):
                self.watch.note(f"step {self.step} is skipped: its gradient is {norm}")
        return loss

    def _check(self, loss: float, batch: Batch) -> None:
        """Write the log and stop if the loss is not finite.

        Raises:
            TrainingFailed: the loss is not finite.
        """
        if not math.isfinite(loss) and self.here.leads:
            self._write_log()
        pairs = [self.data.pairs[row] for row in batch.photos]
        check_loss(loss, self.step + 1, pairs, self.config.out)

    def _undecoded(self, batch: Batch) -> Tensor:
        """Return which photos of a batch could not be decoded. bool, shape (b,).

        Raises:
            TrainingFailed: no photo of the batch could be decoded.
        """
        if self.canvases.whole:
            return torch.zeros(len(batch.photos), dtype=torch.bool, device=self.device)
        self.skips.add(self.canvases.failures())
        mine = self.canvases.unreadable(batch.photos[self.here.share(len(batch.photos))])
        undecoded = self.here.gather(mine.to(self.device, torch.uint8)).bool()
        if undecoded.all():
            raise TrainingFailed(
                f"no photo of a batch could be decoded at step {self.step + 1} "
                f"({self.skips.sentence()}); the last checkpoint in '{self.config.out}' is kept"
            )
        return undecoded

    def _chunks(self, batch: Batch, canvas: Tensor) -> list[Chunk]:
        """Augment and tokenize this process's share of a batch, and split it into chunks."""
        rows = self.here.share(len(batch.photos))
        seed = self.config.seed * 1_000_003 + self.micro
        draw = Draw.of(len(batch.photos), seed)[rows]
        pixels = normalize(
            self.model.image,
            augment(canvas.to(self.device), draw, self.model.image.size, self.config.augment),
        ).to(self.trainer.dtype)
        words = batch.captions[rows.start * batch.per_photo : rows.stop * batch.per_photo]
        tokens = self.model.tokenize(words).to(self.device)
        size = self.config.chunk_size or len(pixels)
        pieces = zip(
            torch.split(pixels, size), torch.split(tokens, size * batch.per_photo), strict=True
        )
        base = (seed * self.here.size + self.here.rank) * 4096
        return [Chunk(*piece, seed=base + number) for number, piece in enumerate(pieces)]

    def record(self, loss: float, photos: int) -> None:
        """Log the loss and report progress."""
        self.log.append({"step": self.step, "loss": round(loss, 5)})
        total = self.steps * self.config.accumulate * photos
        self.watch.progress(
            TrainProgress(
                step=self.step,
                steps=self.steps,
                loss=loss,
                photos=self.micro * photos,
                total=total,
                batch=photos,
            )
        )

    def at_evaluation(self) -> bool:
        """Return whether it is time to evaluate: every `eval_every` epochs, and at the end."""
        whole = self.per_epoch * self.config.eval_every
        return self.micro % whole == 0 or self._done()

    def at_checkpoint(self) -> bool:
        """Return whether it is time to save the state: every `checkpoint_every` steps."""
        every = self.config.checkpoint_every * self.config.accumulate
        return self.micro % every == 0 and not self._done()

    def _done(self) -> bool:
        """Return whether all batches were done."""
        return self.micro == self.steps * self.config.accumulate

    def evaluate(self) -> None:
        """Measure the averaged weights on the dev set; save them if they are the best so far."""
        if not self.here.leads:
            return
        model = self.snapshot.take(self.trainer.averaged())
        if self.validation is not None:
            self.watch.phase("evaluating on the validation pairs")
            dev = self.validation.measure(model, self.device)
            self.log.append({"step": self.step, **dev})
            score = sum_of_recalls(dev)
            self.watch.note(_dev_line(self.step, dev))
            if score <= self.best[0]:
                return
            self.best = (score, self.step)
        self._save(model)

    def stopped(self) -> bool:
        """Return whether the dev figures stopped improving; all processes return the same."""
        if not self.config.patience:
            return False
        reason = why_stop(self.log, self.best[1], self.config.patience)
        if reason is not None and not self._done():
            self.log.append({"step": self.step, "stopped": reason})
            self.watch.note(f"stopped at step {self.step} of {self.steps}: {reason}")
        return self.here.agree(reason is not None, self.device)

    def _save(self, model: Model) -> None:
        """Write the model and its record; if it will be blended, aside and in full precision."""
        record = {"step": self.step, "config": self.config.as_json(), "dev": self._kept_dev()}
        if self.config.shares:
            _write(model, self.config.out / TUNED, WeightStorage.FLOAT32, record)
        else:
            _write(model, self.config.out, self.config.storage, record)

    def _blend(self) -> dict[str, Any] | None:
        """Write the WiSE-FT blend of old and new weights, if asked for; return its dev figures."""
        if not self.config.shares:
            return None
        sets = {"val": self.validation, "keep": self.keep}
        chosen = choose_share(
            load_model(self.config.init),
            load_checkpoint(self.config.out / TUNED),
            self.config.shares,
            {name: each for name, each in sets.items() if each is not None},
            self.device,
            lambda tried: self.watch.note(share_line(tried)),
        )
        self.log.extend({"step": self.step, **tried} for tried in chosen.tried)
        self.watch.note(f"WiSE-FT: kept {chosen.share:g} of the trained weights")
        dev: dict[str, Any] | None = chosen.kept.get("val")
        record = {
            "step": self.best[1] or self.step,
            "config": self.config.as_json(),
            "dev": dev,
            "wise": {"share": chosen.share, "tried": chosen.tried},
        }
        _write(chosen.model, self.config.out, self.config.storage, record)
        return dev

    def _kept_dev(self) -> dict[str, Any] | None:
        """Return the dev figures of the saved weights."""
        lines = [line for line in self.log if line.get("text_to_image")]
        return next((line for line in lines if line["step"] == self.best[1]), None)

    def checkpoint(self) -> None:
        """Save the log and the state from which a killed run resumes."""
        if not self.here.leads:
            return
        place = ResumePoint(
            step=self.step, best=self.best[0], best_step=self.best[1], log=tuple(self.log)
        )
        save_state(self.config.out, self.trainer, place, self.config.as_json())
        self._write_log()

    def _write_log(self) -> None:
        """Write the log and its curves."""
        lines = "".join(json.dumps(line) + "\n" for line in self.log)
        with written(self.config.out / LOG) as part:
            part.write_text(lines, encoding="utf-8")
        draw_curves(self.log, self.config.out / CURVES)

    def finish(self) -> TrainResult:
        """Write the log, delete the state of the run, and return the result."""
        self.here.wait()
        dev = self._kept_dev()
        if self.here.leads:
            self.watch.phase("choosing the WiSE-FT weight")
            dev = self._blend() or dev
            self.watch.phase("writing the model")
            self._write_log()
            clear_state(self.config.out)
        self.here.wait()  # a process that ends may end the others
        self.skips.catch_up()
        return TrainResult(
            out=self.config.out,
            steps=self.step,
            dev=dev,
            skipped=self.skips.all,
            log=tuple(self.log),
        )


def _same_inputs(one: Model, other: Model) -> bool:
    """Return whether two models use the same preprocessing and the same tokenizer."""
    ids = [model.tokenize([PROBE]) for model in (one, other)]
    return one.image == other.image and torch.equal(*ids)


def _write(model: Model, folder: Path, storage: WeightStorage, record: dict[str, Any]) -> None:
    """Write a model, and the record of how it was trained."""
    save_checkpoint(model, folder, storage)
    write_json(folder / RECORD, record)


def _dev_line(step: int, dev: dict[str, Any]) -> str:
    """Format the dev figures as one line."""
    parts = [
        "/".join(f"{dev[direction][f'R@{k}']:.1f}" for k in (1, 5, 10))
        for direction in ("text_to_image", "image_to_text")
    ]
    return f"step {step}: dev R@1/5/10 text→image {parts[0]}, image→text {parts[1]}"
