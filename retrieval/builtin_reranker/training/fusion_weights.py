"""Choose the fusion weights of a reranker on validation data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.core.types import Kind
from retrieval.builtin_reranker.instruction_reranker import InstructionReranker
from retrieval.builtin_reranker.reranker_checkpoint import RerankerCheckpoint
from retrieval.builtin_reranker.training.features import FeatureSet, Progress, unwatched
from retrieval.errors import EvaluationInvalid
from retrieval.evaluation.first_stage import FirstStage
from retrieval.evaluation.metrics import BLOCK, bootstrap_interval, hit_rate_at_k, ranks_of_scores
from retrieval.evaluation.second_stage import SecondStage
from retrieval.instructions.benchmark import (
    InstructionBenchmark,
    InstructionResult,
    ask,
    grade,
    searching,
)
from retrieval.instructions.templates import InstructionTemplates
from retrieval.models.torch_encoder import TorchEncoder
from retrieval.reranking import FusionWeights, ImageFeatures, combine_scores

WEIGHTS = (0.0, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.05)
STEERING = (0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.06, 0.08)
CUTS = (1, 5, 10)
QUERIES = 5_000
"""Queries of a direction that choose its weight, about so many: evenly drawn from all. With 1,000
a weight seemed to gain 1.4 points that was worth 0.1."""

GAIN = 0.5
"""Points of R@1 + R@5 + R@10 that a weight must gain: less is chance, among so many weights."""

NEAR = 0.5
"""Points of nDCG@10 that are chance among so many weights; of those, the least weight is taken."""

BALANCE = 1.5
"""How far from 0 p-MRR may be under an instruction that should change nothing, in percent: less
than the 2 that are aimed at, since what was not learned moves more (2.5 where 2 was allowed)."""


@dataclass(frozen=True, kw_only=True)
class FusionValidation:
    """Photos to choose the weights on, which nothing was learned from.

    Attributes:
        encoder: the first stage.
        material: the photos and captions.
        grammar: of the instructions; its learned part is asked for, the held-back one is not.
        phase: called when something begins, as that of `run.Watch`.
    """

    encoder: TorchEncoder
    material: FeatureSet
    grammar: InstructionTemplates
    phase: Callable[[str, str], Progress] = lambda _name, _unit: unwatched


def choose_fusion(
    checkpoint: RerankerCheckpoint, validation: FusionValidation
) -> tuple[RerankerCheckpoint, dict[str, Any]]:
    """Return a reranker with the weights that are best on validation data, and what each reached.

    A direction in which no weight gains gets 0: the reranker is off there.
    """
    there, of_text = _best(checkpoint, validation, Kind.TEXT)
    back, of_photo = _best(checkpoint, validation, Kind.PHOTO)
    trusted = replace(checkpoint, fusion=FusionWeights(text_to_image=there, image_to_text=back))
    chosen, obeyed = choose_steering(trusted, validation)
    return chosen, {"text_to_image": of_text, "image_to_text": of_photo, **obeyed}


def choose_steering(
    checkpoint: RerankerCheckpoint, validation: FusionValidation
) -> tuple[RerankerCheckpoint, dict[str, Any]]:
    """Return a reranker with the best weight of instructions, and what each weight reached."""
    instructed, obeyed = _best_steering(checkpoint, validation, checkpoint.fusion)
    fusion = replace(checkpoint.fusion, instructed=instructed)
    return replace(checkpoint, fusion=fusion), {"instructed": obeyed}


def _best(
    checkpoint: RerankerCheckpoint, validation: FusionValidation, query: Kind
) -> tuple[float, dict[str, Any]]:
    """Return the weight with the highest sum of R@1, R@5 and R@10, and what was found.

    Every second photo chooses, with its captions. 0 where no weight gains enough on these, or the
    best one does not gain on the others.
    """
    hits, photos = _hits(checkpoint, validation, query)
    choosing = photos % 2 == 0
    sums = {
        weight: 100 * float(found[choosing].mean(axis=0).sum()) for weight, found in hits.items()
    }
    best = max(sums, key=lambda weight: (sums[weight], -weight))
    gains = (hits[best] - hits[0.0])[~choosing]  # (queries, cuts)
    found = {
        "sums": {f"{weight:g}": round(total, 2) for weight, total in sums.items()},
        "gains": dict(zip(CUTS, _by_photo(gains, photos[~choosing]), strict=True)),
    }
    gained = sums[best] - sums[0.0] >= GAIN and gains.sum() > 0
    return best if gained else 0.0, found


def _hits(
    checkpoint: RerankerCheckpoint, validation: FusionValidation, query: Kind
) -> tuple[dict[float, NDArray[np.float64]], NDArray[np.int64]]:
    """Return for each weight which queries find a right answer in the top k, and their photos.

    Shapes (queries, cuts) and (queries,).
    """
    material = validation.material
    reranker = InstructionReranker(checkpoint, validation.encoder, "candidate")
    texts = [(caption, "") for caption in material.captions]
    stage = SecondStage(reranker=reranker, photos=sights_of(material), texts=texts, query=query)
    queries, items = _vectors(validation, query)
    chosen = np.arange(0, len(queries), max(1, len(queries) // QUERIES))
    hits: dict[float, list[NDArray[np.float64]]] = {weight: [] for weight in WEIGHTS}
    what = "words" if query == Kind.TEXT else "photos"
    tell, done = validation.phase(f"choosing its weight for queries of {what}", "queries"), 0
    for part in np.array_split(chosen, max(1, len(chosen) // BLOCK)):
        asking = part.tolist()
        first = (queries[asking] @ items.T).astype(np.float64)
        candidates = stage.candidates(first)
        scores = stage.scores(asking, candidates)
        relevant = [_relevant(material, number, query) for number in asking]
        before = np.take_along_axis(first, candidates, axis=1)
        for weight in WEIGHTS:
            total = first.copy()
            after = combine_scores(before, scores, weight) + 1_000.0
            np.put_along_axis(total, candidates, after, axis=1)
            ranks = ranks_of_scores(total, relevant)
            hits[weight].append(np.stack([hit_rate_at_k(ranks, k) for k in CUTS], axis=1))
        done += len(asking)
        tell(done, len(chosen))
    photos = material.owner[chosen] if query == Kind.TEXT else chosen
    return {weight: np.concatenate(parts) for weight, parts in hits.items()}, photos


def _by_photo(gains: NDArray[np.float64], photos: NDArray[np.int64]) -> list[list[float]]:
    """Return mean, low and high of each column in percent, drawn by photo with all its queries."""
    rows = np.stack([gains[photos == photo].mean(axis=0) for photo in np.unique(photos)])
    columns = [(float(column.mean()), *bootstrap_interval(column)) for column in rows.T]
    return [[round(100 * value, 2) for value in column] for column in columns]


def _best_steering(
    checkpoint: RerankerCheckpoint, validation: FusionValidation, fusion: FusionWeights
) -> tuple[float, dict[str, Any]]:
    """Return the weight with the best nDCG@10 over all wordings, whose controls stay near 0.

    Of those that are as good within chance the least: what changes less is easier to foresee.
    """
    exam = _learned_exam(validation)
    tell = validation.phase("choosing how far instructions carry", "steps")
    try:
        answers = ask(InstructionReranker(checkpoint, validation.encoder, "candidate"), exam)
    except EvaluationInvalid:
        return 0.0, {}
    found = {each: grade(answers, replace(fusion, instructed=each)) for each in STEERING}
    tell(1, 1)
    fair = {weight: each for weight, each in found.items() if _balanced(each)}
    most = max((each.ndcg for each in fair.values()), default=0.0)
    best = min((weight for weight, each in fair.items() if each.ndcg >= most - NEAR), default=0.0)
    return best, {f"{weight:g}": each.as_json() for weight, each in found.items()}


def _balanced(obedience: InstructionResult) -> bool:
    """Tell whether what should change nothing changes next to nothing."""
    return all(abs(control) <= BALANCE for control in obedience.controls.values())


def _learned_exam(validation: FusionValidation) -> InstructionBenchmark:
    """Return questions about things that were learned, in wordings that were not."""
    return InstructionBenchmark(
        grammar=validation.grammar,
        labels=validation.material.labels,
        sights=sights_of(validation.material),
        search=searching(validation.encoder, validation.material.vectors),
        held=False,
        limit=200,
    )


def sights_of(material: FeatureSet) -> list[ImageFeatures]:
    """Return what a reranker reads of each photo: the tokens of the whole."""
    return list(material.views[0].float().numpy())


def _vectors(validation: FusionValidation, query: Kind) -> tuple[NDArray[np.float32], ...]:
    """Return queries and items of a direction as search scores them."""
    material = validation.material
    sides = (material.texts, material.vectors)
    queries, items = sides if query == Kind.TEXT else sides[::-1]
    return FirstStage.of(validation.encoder).vectors(queries, items, query=query)


def _relevant(material: FeatureSet, number: int, query: Kind) -> NDArray[np.int64]:
    """Return what is right for a query."""
    if query == Kind.TEXT:
        return material.owner[number : number + 1]
    return np.flatnonzero(material.owner == number)
