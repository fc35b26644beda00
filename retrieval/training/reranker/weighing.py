"""How far a reranker is trusted: its weights beside the first stage, chosen on validation data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.types import Kind
from retrieval.errors import EvaluationInvalid
from retrieval.evaluation.first_stage import FirstStage
from retrieval.evaluation.instructions import Exam, Obedience, ask, grade, searching
from retrieval.evaluation.metrics import BLOCK, hit_rate_at_k, ranks_of_scores
from retrieval.evaluation.second_stage import SecondStage
from retrieval.models.encoder import TowerEncoder
from retrieval.reranking import Fusion, Sight, TokenReranker, fused
from retrieval.reranking.grammar import Grammar
from retrieval.reranking.store import Checkpoint
from retrieval.training.reranker.material import Material

WEIGHTS = (0.0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08)
STEERING = (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12)
QUERIES = 5_000
"""Queries of a direction that choose its weight, about so many: evenly drawn from all. With 1,000
a weight seemed to gain 1.4 points that was worth 0.1."""

GAIN = 0.5
"""Points of that sum which a weight must gain: less is chance, among so many weights."""

BALANCE = 2.0
"""How far from 0 p-MRR may be under an instruction that asks for nothing, in percent."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Photos to choose the weights on, which nothing was learned from.

    Attributes:
        encoder: the first stage.
        material: the photos and captions.
        grammar: of the instructions; its learned part is asked for, the held-back one is not.
    """

    encoder: TowerEncoder
    material: Material
    grammar: Grammar


def choose_fusion(checkpoint: Checkpoint, validation: Validation) -> tuple[Fusion, dict[str, Any]]:
    """Return the weights that are best on validation data, and what each one reached.

    A direction in which no weight gains gets 0: the reranker is off there.
    """
    there, of_text = _best(checkpoint, validation, Kind.TEXT)
    back, of_photo = _best(checkpoint, validation, Kind.PHOTO)
    fusion = Fusion(text_to_image=there, image_to_text=back)
    instructed, obeyed = _best_steering(checkpoint, validation, fusion)
    chosen = replace(fusion, instructed=instructed)
    return chosen, {"text_to_image": of_text, "image_to_text": of_photo, "instructed": obeyed}


def _best(
    checkpoint: Checkpoint, validation: Validation, query: Kind
) -> tuple[float, dict[str, float]]:
    """Return the weight with the highest sum of R@1, R@5 and R@10, and all sums in percent.

    0 where none gains enough.
    """
    material = validation.material
    reranker = TokenReranker(checkpoint, validation.encoder, "candidate")
    texts = [(caption, "") for caption in material.captions]
    stage = SecondStage(reranker=reranker, photos=sights_of(material), texts=texts, query=query)
    queries, items = _vectors(validation, query)
    hits = {weight: np.zeros(3) for weight in WEIGHTS}
    chosen = np.arange(0, len(queries), max(1, len(queries) // QUERIES))
    for part in np.array_split(chosen, max(1, len(chosen) // BLOCK)):
        asking = part.tolist()
        first = (queries[asking] @ items.T).astype(np.float64)
        candidates = stage.candidates(first)
        scores = stage.scores(asking, candidates)
        relevant = [_relevant(material, number, query) for number in asking]
        before = np.take_along_axis(first, candidates, axis=1)
        for weight in WEIGHTS:
            total = first.copy()
            after = fused(before, scores, weight) + 1_000.0
            np.put_along_axis(total, candidates, after, axis=1)
            ranks = ranks_of_scores(total, relevant)
            hits[weight] += [hit_rate_at_k(ranks, k).sum() for k in (1, 5, 10)]
    sums = {weight: 100 * float(found.sum()) / len(chosen) for weight, found in hits.items()}
    best = max(sums, key=lambda weight: (sums[weight], -weight))
    best = best if sums[best] - sums[0.0] >= GAIN else 0.0
    return best, {f"{weight:g}": round(total, 2) for weight, total in sums.items()}


def _best_steering(
    checkpoint: Checkpoint, validation: Validation, fusion: Fusion
) -> tuple[float, dict[str, Any]]:
    """Return the weight with the highest Robustness@10 whose generic control stays near 0."""
    reranker = TokenReranker(checkpoint, validation.encoder, "candidate")
    try:
        answers = ask(reranker, _learned_exam(validation))
    except EvaluationInvalid:
        return 0.0, {}
    found = {weight: grade(answers, replace(fusion, instructed=weight)) for weight in STEERING}
    fair = {weight: each for weight, each in found.items() if _balanced(each)}
    best = max(fair, key=lambda weight: (fair[weight].robustness, -weight), default=0.0)
    return best, {f"{weight:g}": each.as_json() for weight, each in found.items()}


def _balanced(obedience: Obedience) -> bool:
    """Tell whether what should change nothing changes next to nothing."""
    return abs(obedience.controls["generic"]) <= BALANCE


def _learned_exam(validation: Validation) -> Exam:
    """Return questions in wordings and about things that were learned."""
    return Exam(
        grammar=validation.grammar,
        labels=validation.material.labels,
        sights=sights_of(validation.material),
        search=searching(validation.encoder, validation.material.vectors),
        held=False,
        limit=100,
    )


def sights_of(material: Material) -> list[Sight]:
    """Return what a reranker reads of each photo: the tokens of the whole."""
    return list(material.views[0].float().numpy())


def _vectors(validation: Validation, query: Kind) -> tuple[NDArray[np.float32], ...]:
    """Return queries and items of a direction as search scores them."""
    material = validation.material
    sides = (material.texts, material.vectors)
    queries, items = sides if query == Kind.TEXT else sides[::-1]
    return FirstStage.of(validation.encoder).vectors(queries, items, query=query)


def _relevant(material: Material, number: int, query: Kind) -> NDArray[np.int64]:
    """Return what is right for a query."""
    if query == Kind.TEXT:
        return material.owner[number : number + 1]
    return np.flatnonzero(material.owner == number)
