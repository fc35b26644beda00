"""Measure how well a reranker follows instructions, on photos whose captions say what they show.

A query asks for a thing ("a dog"), and an instruction adds a constraint ("leave out photos with
grass"). Photos that answer the query and break the constraint should fall, whatever its wording.

| figure | what |
|---|---|
| p-MRR | how far they fall: 0 for not at all, 1 for out of sight, below 0 if they rise |
| Robustness@10 | nDCG@10 of the worst wording, mean over the queries |
| — told | the same, only among the photos whose captions judge both query and constraint |
| controls | p-MRR of the same photos under other instructions: all should be near 0 |

The controls are no instruction, an instruction that asks for nothing in particular, and one about
something else. The last one must be followed, too, so photos that break it fall. But it should not
push photos that break the first constraint further than photos that meet it: the control is the
difference. (A reranker that follows every instruction exactly is near 0 there. Its fall itself is
4, since a photo at the top can only fall; this figure is reported beside the controls.)

Shapes: i instances, k candidates.

Source: Weller et al. 2024, FollowIR (arXiv 2403.15246), for p-MRR; Oh et al. 2024, InstructIR
(arXiv 2402.14334), for Robustness@k; Sakai 2007, Alternatives to Bpref, for leaving out photos that
nobody judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Encoder, Vectors
from indexer.core.types import Kind, Skip
from retrieval.errors import EvaluationInvalid
from retrieval.evaluation.first_stage import FirstStage
from retrieval.evaluation.metrics import bootstrap_interval
from retrieval.evaluation.retrieval_eval import BATCH, Progress, decode
from retrieval.evaluation.second_stage import DEPTH, SecondStage
from retrieval.instructions.caption_labels import Labels, label, looks_of
from retrieval.instructions.templates import (
    LOOK,
    Ask,
    Attribute,
    InstructionTemplates,
    asks_of,
    shipped_grammar,
)
from retrieval.pairs import Pair, PairSet
from retrieval.reranking import FusionWeights, ImageFeatures, Reranker, Scores, combine_scores

CUT = 10
_SHOWN = 5  # instances that failed most
_FEWEST = 2  # photos on either side, among the candidates, for an instance to count

Search = Callable[[Sequence[str]], NDArray[np.floating]]
"""Scores every photo for each query, as search does. Shape (queries, photos)."""


@dataclass(frozen=True, kw_only=True)
class InstructionResult:
    """How well instructions are followed, in percent.

    Attributes:
        robustness: Robustness@10; photos whose captions leave query or constraint open count as
            wrong.
        robustness_told: the same without those photos.
        ndcg: nDCG@10, the mean over all wordings.
        controls: p-MRR under `none`, `generic` and `swapped` instructions; of the last one, less
            that of the photos that meet the first constraint.
        swapped_fall: p-MRR under the swapped one as it is.
    """

    instances: int
    families: tuple[str, ...]
    p_mrr: float
    p_mrr_interval: tuple[float, float]
    robustness: float
    robustness_told: float
    ndcg: float
    controls: dict[str, float]
    swapped_fall: float
    worst: tuple[Instance, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, object]:
        """Return the figures, rounded to 0.01, and the instances that failed most."""
        return {
            "instances": self.instances,
            "families": list(self.families),
            "p_mrr": round(self.p_mrr, 2),
            "p_mrr_interval": [round(end, 2) for end in self.p_mrr_interval],
            f"robustness@{CUT}": round(self.robustness, 2),
            f"robustness@{CUT}_told": round(self.robustness_told, 2),
            f"ndcg@{CUT}": round(self.ndcg, 2),
            "controls": {name: round(value, 2) for name, value in self.controls.items()},
            "swapped_fall": round(self.swapped_fall, 2),
            "worst": [f"{each.query}; {each.wordings[0]}" for each in self.worst],
        }


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One query with one constraint.

    Attributes:
        query: in words.
        wish: the constraint that the instruction states.
        wordings: of the instruction.
        candidates: photos of the first stage, best first. Shape (k,).
        first: their scores. Shape (k,).
        right: those that answer the query and follow the instruction. Shape (k,).
        broken: those that answer the query and do not follow the instruction. Shape (k,).
        told: those whose captions judge both query and constraint. Shape (k,).
    """

    query: str
    wish: Attribute
    wordings: tuple[str, ...]
    candidates: NDArray[np.int64]
    first: Scores
    right: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    told: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class InstructionBenchmark:
    """The photos, queries and instructions of a benchmark.

    Attributes:
        grammar: of the instructions.
        labels: what is on the photos, of all the grammar's attributes. Shape (attributes, photos).
        sights: what the reranker reads of the photos.
        search: scores them without the reranker.
        wordings: of an instruction, at most.
        held: ask in held-back wordings about held-back families, or else about the learned ones.
        limit: instances at most, drawn at random.
        seed: of that draw, and of the swapped instructions.
    """

    grammar: InstructionTemplates
    labels: Labels
    sights: Sequence[ImageFeatures]
    search: Search
    wordings: int = 6
    held: bool = True
    limit: int = 200
    seed: int = 0


def exam_of(
    encoder: Encoder, reranker: Reranker, pairs: PairSet, progress: Progress | None = None
) -> InstructionBenchmark:
    """Prepare the benchmark: held-out instructions of the shipped grammar, on photos with captions.

    Raises:
        EvaluationInvalid: no photo can be read.
    """
    grammar = shipped_grammar()
    vectors: list[Vectors] = []
    sights: list[ImageFeatures] = []
    looks: list[dict[str, int]] = []
    kept: list[Pair] = []
    skipped: list[Skip] = []
    for start in range(0, len(pairs.pairs), BATCH):
        decoded = list(decode(pairs.pairs[start : start + BATCH], encoder.image_size, skipped))
        photos = [photo for _, photo in decoded]
        kept += [pair for pair, _ in decoded]
        vectors += [encoder.encode_images(photos)] if photos else []
        sights += reranker.look(photos) if photos else []
        looks += [looks_of(photo) for photo in photos]
        if progress is not None:
            progress(min(start + BATCH, len(pairs.pairs)), len(pairs.pairs))
    if not kept:
        raise EvaluationInvalid("no photo of the pairs can be read")
    return InstructionBenchmark(
        grammar=grammar,
        labels=label(grammar.attributes, [pair.captions for pair in kept], looks),
        sights=sights,
        search=searching(encoder, np.concatenate(vectors)),
    )


def searching(encoder: Encoder, photos: Vectors) -> Search:
    """Return the first stage over photos, shape (photos, dim), as search scores them."""
    stage = FirstStage.of(encoder)

    def search(queries: Sequence[str]) -> NDArray[np.floating]:
        asked, items = stage.vectors(encoder.encode_texts(queries), photos, query=Kind.TEXT)
        return asked @ items.T

    return search


def evaluate_instructions(
    encoder: Encoder, reranker: Reranker, pairs: PairSet, progress: Progress | None = None
) -> InstructionResult:
    """Measure how well a reranker follows the held-back instructions about photos with captions.

    Args:
        encoder: the dual encoder that the reranker stands behind.
        reranker: to be measured.
        pairs: photos with captions.
        progress: called with the photos done and the photos in all.

    Raises:
        EvaluationInvalid: no photo can be read, or the captions tell too little to ask about.
    """
    return run_benchmark(reranker, exam_of(encoder, reranker, pairs, progress))


def run_benchmark(reranker: Reranker, exam: InstructionBenchmark) -> InstructionResult:
    """Measure how well a reranker follows instructions.

    Raises:
        EvaluationInvalid: the captions tell too little to ask about.
    """
    return grade(ask(reranker, exam), reranker.fusion)


def ask(reranker: Reranker, exam: InstructionBenchmark) -> list[Answered]:
    """Score the candidates of every instance, under every wording and the controls.

    Raises:
        EvaluationInvalid: the captions tell too little to ask about.
    """
    instances = _drawn(exam)
    return [_answer(reranker, exam, each, other) for each, other in _with_other(instances)]


def grade(answers: Sequence[Answered], fusion: FusionWeights) -> InstructionResult:
    """Compute the figures from scores, fused with given weights."""
    marks = [_mark(each, fusion) for each in answers]
    falls = np.array([mark.fall for mark in marks])
    low, high = bootstrap_interval(falls)
    controls = {name: [mark.controls[name] for mark in marks] for name in marks[0].controls}

    def mean(of: Callable[[_Mark], float]) -> float:
        return 100 * float(np.mean([of(mark) for mark in marks]))

    return InstructionResult(
        instances=len(marks),
        families=tuple(sorted({each.instance.wish.family for each in answers})),
        p_mrr=mean(lambda mark: mark.fall),
        p_mrr_interval=(100 * low, 100 * high),
        robustness=mean(lambda mark: min(mark.ndcgs)),
        robustness_told=mean(lambda mark: min(mark.told_ndcgs)),
        ndcg=mean(lambda mark: float(np.mean(mark.ndcgs))),
        controls={name: 100 * float(np.mean(values)) for name, values in controls.items()},
        swapped_fall=mean(lambda mark: mark.swapped_fall),
        worst=tuple(answers[number].instance for number in np.argsort(falls)[:_SHOWN]),
    )


def p_mrr(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """Return the mean change of rank of items that should fall, from -1 to 1.

    An item at rank r0 before and r1 after counts `r1 / r0 - 1` if it rose, else `1 - r0 / r1`.

    Args:
        before: ranks from 1, shape (items,).
        after: ranks of the same items, shape (…, items).
    """
    rose = before >= after
    return float(np.where(rose, after / before - 1.0, 1.0 - before / after).mean())


def ndcg(relevant: NDArray[np.bool_], k: int) -> float:
    """Return nDCG@k of a ranking whose items are right or not, best first. Shape (n,).

    `DCG@k = Σ 1 / log2(1 + rank)` over the right items of the top k; nDCG is its share of the
    most that is possible.

    Source: Järvelin and Kekäläinen 2002, Cumulated gain-based evaluation of IR techniques.
    """
    gains = 1.0 / np.log2(np.arange(2, k + 2))  # (k,)
    top = relevant[:k]
    best = gains[: min(k, int(relevant.sum()))].sum()
    return float(gains[: len(top)][top].sum() / best)


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """The result of one instance, as fractions; there is one nDCG for each wording."""

    fall: float
    ndcgs: list[float]
    told_ndcgs: list[float]
    controls: dict[str, float]
    swapped_fall: float


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One instance with the reranker's scores of its candidates. Shape (k,) each.

    Attributes:
        instance: what was asked.
        plain: without an instruction.
        wordings: under each wording of the instruction.
        controls: under the instructions of each control.
    """

    instance: Instance
    plain: Scores
    wordings: tuple[Scores, ...]
    controls: dict[str, tuple[Scores, ...]]


def _answer(
    reranker: Reranker, exam: InstructionBenchmark, instance: Instance, other: Instance
) -> Answered:
    """Score one instance; `other` lends the instruction about something else."""
    generic = exam.grammar.wordings(Ask.ANYTHING, None, held=exam.held)[: exam.wordings]
    swapped = [*other.wordings[:1], *_opposite(exam, other)[:1]]
    asked = ["", *instance.wordings, *generic, *swapped]
    scores = _scores(reranker, instance, asked, exam.sights)
    own, many = 1 + len(instance.wordings), len(generic)
    return Answered(
        instance=instance,
        plain=scores[0],
        wordings=tuple(scores[1:own]),
        controls={
            "none": (scores[0],),
            "generic": tuple(scores[own : own + many]),
            "swapped": tuple(scores[own + many :]),
        },
    )


def _mark(answered: Answered, fusion: FusionWeights) -> _Mark:
    """Rank the candidates under each instruction, and see what fell."""
    instance = answered.instance
    before = combine_scores(instance.first, answered.plain, fusion.text_to_image)
    ranks = _ranks(before)

    def after(scores: Sequence[Scores]) -> Scores:
        return combine_scores(before, np.stack(scores) - answered.plain, fusion.instructed)

    def fall(scores: Sequence[Scores], of: NDArray[np.bool_] = instance.broken) -> float:
        return p_mrr(ranks[of], _ranks(after(scores))[:, of])

    orders = _order(after(answered.wordings))  # (wordings, k)
    controls = answered.controls
    swapped = fall(controls["swapped"])
    return _Mark(
        fall=fall(answered.wordings),
        ndcgs=[ndcg(instance.right[order], CUT) for order in orders],
        told_ndcgs=[ndcg(instance.right[order[instance.told[order]]], CUT) for order in orders],
        controls={
            "none": fall(controls["none"]),
            "generic": fall(controls["generic"]),
            "swapped": swapped - fall(controls["swapped"], instance.right),
        },
        swapped_fall=swapped,
    )


def _scores(
    reranker: Reranker, instance: Instance, wordings: Sequence[str], sights: Sequence[ImageFeatures]
) -> list[Scores]:
    """Score the candidates under each instruction. Shape (k,) each."""
    texts = [(instance.query, wording) for wording in wordings]
    stage = SecondStage(reranker=reranker, photos=sights, texts=texts)
    candidates = np.tile(instance.candidates, (len(texts), 1))  # (wordings, k)
    return list(stage.scores(range(len(texts)), candidates))


def _order(scores: Scores) -> NDArray[np.int64]:
    """Return the places of the candidates, best first. (…, k) → (…, k)."""
    return np.argsort(-scores, axis=-1, kind="stable")


def _ranks(scores: Scores) -> NDArray[np.int64]:
    """Return each candidate's rank, from 1. (…, k) → (…, k)."""
    return np.argsort(_order(scores), axis=-1) + 1


def _opposite(exam: InstructionBenchmark, instance: Instance) -> list[str]:
    """Return wordings that ask for the opposite of an instance."""
    for wanted in (True, False):
        wordings = exam.grammar.wordings(
            asks_of(instance.wish, wanted=wanted), instance.wish, held=exam.held
        )
        if wordings[0] not in instance.wordings:
            return wordings
    return []


def _with_other(instances: Sequence[Instance]) -> Iterator[tuple[Instance, Instance]]:
    """Pair each instance with one whose constraint is about something else."""
    for number, instance in enumerate(instances):
        turned = [*instances[number + 1 :], *instances[:number]]
        strange = (each for each in turned if not each.wish.overlaps(instance.wish))
        yield instance, next(strange, instance)


def _drawn(exam: InstructionBenchmark) -> list[Instance]:
    """Return the instances that the labels allow, at most `limit` of them."""
    found = list(_instances(exam))
    if not found:
        raise EvaluationInvalid(
            "the captions are not enough for a benchmark: no attribute of the grammar is present "
            "in some photos of a thing and absent from others"
        )
    order = np.random.default_rng(exam.seed).permutation(len(found))[: exam.limit]
    return [found[number] for number in order]


def _instances(exam: InstructionBenchmark) -> Iterator[Instance]:
    """Yield every thing with every constraint that some first candidates meet and some break."""
    attributes = exam.grammar.attributes
    asked = [number for number, each in enumerate(attributes) if each.family != LOOK]
    first = exam.search([attributes[number].phrase for number in asked])  # (asked, photos)
    for row, number in enumerate(asked):
        candidates = np.argsort(-first[row], kind="stable")[:DEPTH]
        answers = exam.labels[number][candidates] == 1
        base = Instance(
            query=attributes[number].phrase,
            wish=attributes[number],
            wordings=(),
            candidates=candidates,
            first=first[row][candidates].astype(np.float64),
            right=answers,
            broken=~answers,
            told=exam.labels[number][candidates] != 0,
        )
        yield from _wishes(exam, base)


def _wishes(exam: InstructionBenchmark, base: Instance) -> Iterator[Instance]:
    """Yield one query with each constraint, and with its contrary."""
    for number, wish in enumerate(exam.grammar.attributes):
        if exam.grammar.is_held(wish) != exam.held or wish.overlaps(base.wish):
            continue
        label = exam.labels[number][base.candidates]
        for wanted in (True, False):
            has, lacks = base.right & (label == 1), base.right & (label == -1)
            right, broken = (has, lacks) if wanted else (lacks, has)
            if min(right.sum(), broken.sum()) >= _FEWEST:
                wordings = exam.grammar.wordings(asks_of(wish, wanted=wanted), wish, held=exam.held)
                yield replace(
                    base,
                    wish=wish,
                    wordings=tuple(wordings[: exam.wordings]),
                    right=right,
                    broken=broken,
                    told=base.told & (~base.right | (label != 0)),
                )
