"""The line that trains a reranker: lessons → batch → network → loss → step → checkpoint."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from retrieval._enums import RerankCriterion
from retrieval.builtin_reranker.cross_attention import RerankerNetwork, Sights
from retrieval.builtin_reranker.text_features import TextReader
from retrieval.builtin_reranker.training.cross_attention_batches import Lesson
from retrieval.builtin_reranker.training.polarity import Signs, sign_loss
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.errors import TrainingFailed
from retrieval.training.config import TrainConfig
from retrieval.training.nonfinite import check_gradient
from retrieval.training.optimizer import Trainer, schedule
from retrieval.training.resume import ResumePoint, clear_state, load_state, save_state


class Source(Protocol):
    """Where lessons of couples come from."""

    def draw(self, rng: np.random.Generator) -> Lesson:
        """Draw one."""
        ...


@dataclass(frozen=True, kw_only=True)
class School:
    """What a run learns from.

    Attributes:
        reader: of the texts.
        views: image tokens of the photos. Each (photos, m, width).
        retrieval: lessons of captions and photos.
        steering: lessons of instructions.
        signs: lessons of wordings.
        passing: reader of texts that do not come again.
    """

    reader: TextReader
    views: Sequence[Tensor]
    retrieval: Source
    steering: Source
    signs: Signs
    passing: TextReader

    def lessons(self, config: RerankerTraining, rng: np.random.Generator) -> list[Lesson]:
        """Draw those of one batch."""
        captions = [self.retrieval.draw(rng) for _ in range(config.lessons)]
        return captions + [self.steering.draw(rng) for _ in range(config.steering)]


def train_reranker(
    network: RerankerNetwork,
    school: School,
    config: RerankerTraining,
    out: Path,
    watch: Callable[[int, float], None] = lambda _step, _loss: None,
) -> RerankerNetwork:
    """Teach a network by lessons; return it with the running average of its weights.

    A run that was killed goes on where its last state was saved, to the same result.

    Args:
        network: where to start from; it is changed.
        school: what to learn from.
        config: how.
        out: folder for the state of the run.
        watch: called after each step with the steps done and the loss.

    Raises:
        TrainingFailed: the loss is not finite, or `out` holds another run.
    """
    trainer = Trainer(network.train(), _optimizing(config, out))
    record = _record(config)
    place = load_state(out, trainer, record)
    log = list(place.log)
    for step in range(place.step, config.steps):
        rng = np.random.default_rng([config.seed, step])
        torch.manual_seed(int(rng.integers(1 << 62)))  # of dropout
        loss = _loss(network, school, school.lessons(config, rng), config, rng)
        loss = loss + _sign_loss(network, school, config.signs, rng)
        if not math.isfinite(loss.item()):
            raise TrainingFailed(f"the loss of step {step} is not finite; try a lower --lr")
        loss.backward()  # type: ignore[no-untyped-call]
        norm = trainer.step(schedule(step, config.steps, 0.02))
        check_gradient(norm, step + 1, log, out)
        watch(step + 1, loss.item())
        if (step + 1) % config.checkpoint_every == 0:
            save_state(out, trainer, ResumePoint(step=step + 1, log=tuple(log)), record)
    network.float().load_state_dict(trainer.averaged())
    clear_state(out)
    return network.eval()


def _optimizing(config: RerankerTraining, out: Path) -> TrainConfig:
    """Return the settings that the optimizer of the towers understands."""
    return TrainConfig(
        pairs=(out,),
        out=out,
        lr=config.lr,
        layer_decay=1.0,
        weight_decay=config.weight_decay,
        ema=config.ema,
        precision=config.precision,
    )


def _record(config: RerankerTraining) -> dict[str, Any]:
    """Return the settings as plain values, by which a run knows its own state."""
    return {"reranker": dataclasses.asdict(config)}


def _loss(
    network: RerankerNetwork,
    school: School,
    lessons: Sequence[Lesson],
    config: RerankerTraining,
    rng: np.random.Generator,
) -> Tensor:
    """Score every couple of every lesson at once, and judge each lesson. Returns a scalar."""
    dtype = next(network.parameters()).dtype
    plans = [_Plan.of(lesson) for lesson in lessons]
    queries = [text for plan in plans for text in plan.queries]
    instructions = [text for plan in plans for text in plan.instructions]
    tokens = school.reader.read(queries, instructions)
    kept = torch.from_numpy(rng.random(tokens.seen.shape) >= config.word_drop)
    kept[:, 0] = True
    seen = tokens.seen & kept
    words = network.words(tokens.states.to(dtype), seen, tokens.part, tokens.early.to(dtype))
    sights = network.sights(_seen(school.views, lessons, rng).to(dtype))
    sights = _thinned(sights, config.patch_drop, rng)
    text, photo = _couples(plans, lessons)
    parts = torch.split(network.score(words, sights, text, photo).float(), _sizes(plans, lessons))
    losses = [
        judge(plan.rows(part), torch.from_numpy(lesson.labels), config.verdict)
        for plan, part, lesson in zip(plans, parts, lessons, strict=True)
    ]
    return torch.stack(losses).mean()


def _sign_loss(
    network: RerankerNetwork, school: School, count: int, rng: np.random.Generator
) -> Tensor:
    """Judge so many wordings: forbids, neither, asks. Returns a scalar."""
    texts, signs = school.signs.draw(count, rng)
    tokens, seen = school.passing.early(texts)
    opinions = network.sign.opinions(tokens.to(next(network.parameters()).dtype), seen)
    return sign_loss(opinions.float(), torch.from_numpy(signs))


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Which texts of a lesson are read, each once, and which of them make each of its rows.

    Attributes:
        queries: without repetition.
        instructions: without repetition, and without the empty one.
        query: of each row, counted among the queries.
        instruction: of each row, counted among the instructions; -1 for none.
    """

    queries: list[str]
    instructions: list[str]
    query: list[int]
    instruction: list[int]

    @classmethod
    def of(cls, lesson: Lesson) -> _Plan:
        """Plan a lesson."""
        queries = list(dict.fromkeys(query for query, _ in lesson.texts))
        instructions = list(dict.fromkeys(text for _, text in lesson.texts if text))
        return cls(
            queries=queries,
            instructions=instructions,
            query=[queries.index(query) for query, _ in lesson.texts],
            instruction=[instructions.index(text) if text else -1 for _, text in lesson.texts],
        )

    def rows(self, scores: Tensor) -> Tensor:
        """Add up query and instruction of each row. (texts * photos,) → (rows, photos)."""
        each = scores.view(len(self.queries) + len(self.instructions), -1)
        none = each.new_zeros(1, each.shape[1])
        told = torch.cat([each[len(self.queries) :], none])  # the last, -1, is none
        return each[self.query] + told[self.instruction]


def _seen(views: Sequence[Tensor], lessons: Sequence[Lesson], rng: np.random.Generator) -> Tensor:
    """Return the tokens of all photos of the lessons, each in a random view. (p, m, width)."""
    photos = torch.from_numpy(np.concatenate([lesson.photos for lesson in lessons]))
    view = torch.from_numpy(rng.integers(len(views), size=len(photos)))
    shown = views[0][photos]
    for number, other in enumerate(views):
        shown = torch.where((view == number)[:, None, None], other[photos], shown)
    return shown


def _thinned(sights: Sights, share: float, rng: np.random.Generator) -> Sights:
    """Leave out a random share of the image tokens; the class token stays."""
    kept = rng.random(sights.match.shape[1]) >= share
    kept[0] = True
    chosen = torch.from_numpy(np.flatnonzero(kept))
    return Sights(sights.match[:, chosen], sights.keys[:, :, chosen], sights.values[:, :, chosen])


def _couples(plans: Sequence[_Plan], lessons: Sequence[Lesson]) -> tuple[Tensor, Tensor]:
    """Return text and photo of each couple, lesson by lesson. (c,) and (c,).

    Texts are counted over the queries of all lessons, then over all instructions.
    """
    texts: list[int] = []
    photos: list[int] = []
    first_query, first_photo = 0, 0
    first_instruction = sum(len(plan.queries) for plan in plans)
    for plan, lesson in zip(plans, lessons, strict=True):
        seats = range(first_photo, first_photo + len(lesson.photos))
        queries = range(first_query, first_query + len(plan.queries))
        told = range(first_instruction, first_instruction + len(plan.instructions))
        for text in (*queries, *told):
            texts += [text] * len(seats)
            photos += seats
        first_query, first_photo, first_instruction = queries.stop, seats.stop, told.stop
    return torch.tensor(texts), torch.tensor(photos)


def _sizes(plans: Sequence[_Plan], lessons: Sequence[Lesson]) -> list[int]:
    """Count the couples of each lesson."""
    texts = [len(plan.queries) + len(plan.instructions) for plan in plans]
    return [count * len(lesson.photos) for count, lesson in zip(texts, lessons, strict=True)]


def judge(scores: Tensor, labels: Tensor, verdict: RerankCriterion) -> Tensor:
    """Return the loss of one lesson, a scalar.

    Listwise: of each couple that matches, against all that do not of the same text, and of the
    same photo where that photo has one text alone. Yes or no: of each couple by itself, the yes
    and the no of a lesson counting alike.

    Args:
        scores: of couples. Shape (texts, photos).
        labels: 1 yes, -1 no, 0 open. Shape (texts, photos).
        verdict: which of the two, or both.
    """
    loss = scores.new_zeros(())
    if verdict != RerankCriterion.YES_NO:
        loss = loss + _listwise(scores, labels)
        if (labels == 1).sum(dim=0).max() == 1:
            loss = loss + _listwise(scores.T, labels.T)
    if verdict != RerankCriterion.LISTWISE:
        loss = loss + _yes_no(scores, labels)
    return loss


def _listwise(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of `-log(e^s / (e^s + Σ e^n))` over the matches s; n are the others."""
    never = torch.finfo(scores.dtype).min
    others = scores.masked_fill(labels != -1, never).logsumexp(dim=1, keepdim=True)
    return _mean(F.softplus(others - scores)[labels == 1])


def _yes_no(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the binary cross-entropy, its mean over the yes plus its mean over the no."""
    return _mean(F.softplus(-scores)[labels == 1]) + _mean(F.softplus(scores)[labels == -1])


def _mean(values: Tensor) -> Tensor:
    """Return the mean, 0 of nothing: among photos of one name, no couple may be a no."""
    return values.sum() / max(1, len(values))
