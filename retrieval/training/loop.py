"""The train line: pairs → batch → towers → loss → step → evaluate → checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from indexer.types import Skip
from retrieval.choices import Loss
from retrieval.errors import ModelUnavailable, TrainingFailed
from retrieval.models import load_model
from retrieval.models.checkpoint import CONFIG, save_checkpoint
from retrieval.models.encoder import choose_device
from retrieval.models.model import Model
from retrieval.models.towers import regularise
from retrieval.shipped import shipped
from retrieval.training.augment import Draw, augment
from retrieval.training.config import TrainConfig
from retrieval.training.curves import draw_curves
from retrieval.training.data import (
    GIB,
    Batch,
    Canvases,
    Gathered,
    TrainingSet,
    gather_pairs,
    prefetched,
)
from retrieval.training.distributed import World, world
from retrieval.training.lessons import Kinds, Lesson, Lessons, Vocabulary
from retrieval.training.memory import keep_freed_memory
from retrieval.training.optimizer import Trainer, schedule
from retrieval.training.state import POINTER, Place, clear_state, load_state, save_state
from retrieval.training.step import Chunk, Objective, Reading, backward
from retrieval.training.validation import Snapshot, Validation

SIGMOID_BIAS = -10.0  # where SigLIP starts: nearly all pairs of a batch do not match
LOG, CURVES, RECORD = "log.jsonl", "curves.png", "train.json"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is, for whoever shows it: optimizer steps, and photos learned from.

    `batch` is the photos of the last batch alone.
    """

    step: int
    steps: int
    loss: float
    photos: int
    total: int
    batch: int


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a run reports: each may be replaced; by default nobody watches."""

    note: Callable[[str], None] = lambda _: None
    decoded: Callable[[int, int], None] = lambda _done, _all: None
    progress: Callable[[Progress], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a run left: the folder, the dev figures of what was kept, the photos left out."""

    out: Path
    steps: int
    dev: dict[str, Any] | None
    skipped: tuple[Skip, ...]
    log: tuple[dict[str, Any], ...]


def train(config: TrainConfig, watch: Watch | None = None) -> TrainResult:
    """Train a dual encoder; the best weights on `val` (else the last) end up in `config.out`.

    A run that was killed goes on where its last state was saved, to the same result.

    Raises:
        PairsInvalid: no usable pairs.
        ModelUnavailable: the model to start from cannot be loaded.
        TrainingFailed: the loss is not finite, or `out` holds another run.
    """
    device = choose_device(config.device)
    _claim(config.out)
    if device.type == "cpu":
        keep_freed_memory()
    with world(device) as here:
        run = _Run(config, watch or Watch(), device, here)
        try:
            for batch, canvas in run.batches():
                loss = run.learn(batch, canvas)
                run.record(loss, len(batch.photos))
                if run.at_evaluation():
                    run.evaluate()
                if run.at_checkpoint():
                    run.checkpoint()
            return run.finish()
        finally:
            run.canvases.close()


def _claim(out: Path) -> None:
    """Make the folder of the result, unless it holds a finished model.

    Raises:
        TrainingFailed: it does.
    """
    if (out / CONFIG).exists() and not (out / POINTER).exists():
        raise TrainingFailed(f"'{out}' holds a finished model; choose another --out or remove it")
    out.mkdir(parents=True, exist_ok=True)


class _Run:
    """One training run in progress."""

    def __init__(
        self, config: TrainConfig, watch: Watch, device: torch.device, here: World
    ) -> None:
        self.config, self.watch, self.device, self.here = config, watch, device, here
        self.model = load_model(config.init)
        self.snapshot = Snapshot(self.model)
        self.snapshot.model.module.to(device)
        regularise(self.model.module, config.drop_path, config.patch_drop)
        self.model.module.to(device).train()
        self.trainer = Trainer(self.model.module, config)
        self.objective = self._objective()
        self.canvases, self.data = self._prepare(gather_pairs(config.pairs))
        self.lessons = self._lessons()
        self.validation = self._validation()
        self.per_epoch = max(1, len(self.data) // config.batch_size)
        self.steps = max(1, self.per_epoch * config.epochs // config.accumulate)
        self.place = load_state(config.out, self.trainer, config.as_json())
        self.log = list(self.place.log)
        self.micro = self.place.step * config.accumulate
        self.best = (self.place.best, self.place.best_step)
        if self.place.step:
            watch.note(f"resuming at step {self.place.step} of {self.steps}")
        else:
            self.checkpoint()  # from here on the folder is this run's

    def _objective(self) -> Objective:
        """Load the teachers, frozen, beside the model that learns."""
        teachers = [load_model(spec) for spec in self.config.teachers]
        for teacher in teachers:
            if (teacher.image, teacher.architecture) != (self.model.image, self.model.architecture):
                raise ModelUnavailable(
                    f"teacher '{teacher.name}' reads other input than '{self.model.name}': "
                    "a teacher must share its architecture"
                )
            teacher.module.to(self.device, self.trainer.dtype).requires_grad_(False)
        return Objective(
            loss=self.config.loss,
            bias=self._bias(),
            teachers=[teacher.towers for teacher in teachers],
            teaching=self.config.teaching,
        )

    def _bias(self) -> Tensor:
        """Return the learned bias of the sigmoid loss; an architecture may lack it."""
        bias: Tensor | None = getattr(self.model.module, "logit_bias", None)
        if bias is None:
            return torch.full((), SIGMOID_BIAS, device=self.device)
        if self.config.loss == Loss.SIGMOID and not bias.any():  # never trained
            self.trainer.fill("logit_bias", SIGMOID_BIAS)
        return bias

    def _prepare(self, gathered: Gathered) -> tuple[Canvases, TrainingSet]:
        """Decode every photo once, leaving out those that do not decode."""
        size = self.config.canvas or self.model.image.size * 8 // 7
        cache = self.config.cache_gib * GIB
        canvases = Canvases(gathered.pairs, self.model.image, size, cache, self.config.workers)
        gathered = gathered.without(canvases.keep(self.device, self.watch.decoded))
        self.skipped, pairs = gathered.skipped, gathered.pairs
        for skip in self.skipped:
            self.watch.note(f"skipping {skip.path}: {skip.reason}")
        captions = sum(len(pair.captions) for pair in pairs)
        self.watch.note(f"{len(pairs)} photos, {captions} captions, {len(self.skipped)} left out")
        return canvases, TrainingSet(pairs, gathered.source, self._templates())

    def _templates(self) -> list[str]:
        """Read the sentences that names are put into, if the run uses them."""
        if not self.config.templates:
            return []
        return shipped("templates.txt").read_text(encoding="utf-8").splitlines()

    def _lessons(self) -> Lessons:
        """Open what is taught beside the captions."""
        photos = [pair.photo.path for pair in self.data.pairs]
        kinds, vocabulary = self.config.kinds, self.config.vocabulary
        return Lessons(
            Kinds(kinds, photos) if kinds else None,
            Vocabulary(vocabulary) if vocabulary else None,
            self.data.phrase,
        )

    def _validation(self) -> Validation | None:
        """Prepare the dev set, in the process that leads."""
        if self.config.val is None or not self.here.leads:
            return None
        return Validation(self.model, gather_pairs([self.config.val]).pairs)

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.micro // self.config.accumulate

    def batches(self) -> Iterator[tuple[Batch, Tensor]]:
        """Yield the batches still to come, each with this process's photos."""
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
        """Run one batch forward and backward; step when enough are gathered; return the loss."""
        loss = backward(
            self.model.towers,
            self.objective,
            self._chunks(batch, canvas),
            batch.targets.to(self.device),
            self.here,
            self._reading(batch),
        )
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"the loss is {loss} at step {self.step + 1}; the last checkpoint in "
                f"'{self.config.out}' is kept. Try a lower --lr or --precision fp32"
            )
        self.micro += 1
        if self.micro % self.config.accumulate == 0:
            shared = [p for n, p in self.trainer.working.items() if not n.startswith("logit_")]
            self.here.add_gradients(shared)
            self.trainer.step(schedule(self.step - 1, self.steps, self.config.warmup))
        return loss

    @property
    def _seed(self) -> int:
        """What decides all that is random in the present batch."""
        return self.config.seed * 1_000_003 + self.micro

    def _reading(self, batch: Batch) -> Reading | None:
        """Tokenize this process's share of what is taught beside the captions."""
        lesson = self.lessons.draw(batch.photos, self._seed)
        if lesson is None:
            return None
        here = Lesson(lesson.texts, lesson.likely.to(self.device), lesson.related.to(self.device))
        texts = lesson.texts[self.here.share(len(lesson.texts))]
        return Reading(here, self.model.tokenize(texts).to(self.device), self.config.lesson)

    def _chunks(self, batch: Batch, canvas: Tensor) -> list[Chunk]:
        """Augment, tokenize and cut this process's share of a batch."""
        rows = self.here.share(len(batch.photos))
        seed = self._seed
        draw = Draw.of(len(batch.photos), seed)[rows]
        pixels = self.model.image.normalize(
            augment(canvas.to(self.device), draw, self.model.image.size, self.config.augment)
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
        """Log the loss and report the rate."""
        self.log.append({"step": self.step, "loss": round(loss, 5)})
        total = self.steps * self.config.accumulate * photos
        self.watch.progress(
            Progress(
                step=self.step,
                steps=self.steps,
                loss=loss,
                photos=self.micro * photos,
                total=total,
                batch=photos,
            )
        )

    def at_evaluation(self) -> bool:
        """True at the end of every so many epochs, and at the end of the run."""
        whole = self.per_epoch * self.config.eval_every
        return self.micro % whole == 0 or self._done()

    def at_checkpoint(self) -> bool:
        """True every so many steps."""
        every = self.config.checkpoint_every * self.config.accumulate
        return self.micro % every == 0 and not self._done()

    def _done(self) -> bool:
        """True after the last batch."""
        return self.micro == self.steps * self.config.accumulate

    def evaluate(self) -> None:
        """Measure the averaged weights on the dev set; keep them if they are the best so far."""
        if not self.here.leads:
            return
        model = self.snapshot.take(self.trainer.average)
        if self.validation is not None:
            dev = self.validation.measure(model, self.device)
            self.log.append({"step": self.step, **dev})
            score = _sum_of_recalls(dev)
            self.watch.note(_dev_line(self.step, dev))
            if score <= self.best[0]:
                return
            self.best = (score, self.step)
        self._save(model)

    def _save(self, model: Model) -> None:
        """Write the model and how it came to be."""
        out = self.config.out
        save_checkpoint(model, out, self.config.storage)
        record = {"step": self.step, "config": self.config.as_json(), "dev": self._kept_dev()}
        (out / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def _kept_dev(self) -> dict[str, Any] | None:
        """Return the dev figures of the kept weights."""
        lines = [line for line in self.log if line.get("text_to_image")]
        return next((line for line in lines if line["step"] == self.best[1]), None)

    def checkpoint(self) -> None:
        """Save the state that a killed run resumes from, and the log so far."""
        if not self.here.leads:
            return
        place = Place(
            step=self.step, best=self.best[0], best_step=self.best[1], log=tuple(self.log)
        )
        save_state(self.config.out, self.trainer, place, self.config.as_json())
        self._write_log()

    def _write_log(self) -> None:
        """Write the log and its curves."""
        lines = "".join(json.dumps(line) + "\n" for line in self.log)
        (self.config.out / LOG).write_text(lines, encoding="utf-8")
        draw_curves(self.log, self.config.out / CURVES)

    def finish(self) -> TrainResult:
        """Write the log, drop the state of the run, and say what was kept."""
        self.here.wait()
        if self.here.leads:
            self._write_log()
            clear_state(self.config.out)
        return TrainResult(
            out=self.config.out,
            steps=self.step,
            dev=self._kept_dev(),
            skipped=self.skipped,
            log=tuple(self.log),
        )


def _sum_of_recalls(dev: dict[str, Any]) -> float:
    """Return the sum of R@1, R@5 and R@10 of both directions (the field's `rsum`)."""
    directions = ("text_to_image", "image_to_text")
    return float(sum(dev[direction][f"R@{k}"] for direction in directions for k in (1, 5, 10)))


def _dev_line(step: int, dev: dict[str, Any]) -> str:
    """Return the dev figures in one line."""
    parts = [
        "/".join(f"{dev[direction][f'R@{k}']:.1f}" for k in (1, 5, 10))
        for direction in ("text_to_image", "image_to_text")
    ]
    return f"step {step}: dev R@1/5/10 text→image {parts[0]}, image→text {parts[1]}"
