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
BALANCE = 2.0
"""How far from 0 the controls may be, in percent of p-MRR."""


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
    """Return the weight with the highest sum of R@1, R@5 and R@10, and all sums in percent."""
    material = validation.material
    reranker = TokenReranker(checkpoint, validation.encoder, "candidate")
    texts = [(caption, "") for caption in material.captions]
    stage = SecondStage(reranker=reranker, photos=sights_of(material), texts=texts, query=query)
    queries, items = _vectors(validation, query)
    hits = {weight: np.zeros(3) for weight in WEIGHTS}
    for start in range(0, len(queries), BLOCK):
        first = (queries[start : start + BLOCK] @ items.T).astype(np.float64)
        asking = range(start, start + len(first))
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
    sums = {weight: 100 * float(found.sum()) / len(queries) for weight, found in hits.items()}
    best = max(sums, key=lambda weight: (sums[weight], -weight))
    return best, {f"{weight:g}": round(total, 2) for weight, total in sums.items()}


def _best_steering(
    checkpoint: Checkpoint, validation: Validation, fusion: Fusion
) -> tuple[float, dict[str, Any]]:
    """Return the weight of instructions that follows best, while the controls stay near 0."""
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
    return all(abs(value) <= BALANCE for value in obedience.controls.values())


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
