"""What one who obeys every instruction to the letter reaches: the most that its benchmark allows.

    python benchmarks/obeying.py --pairs flickr_dev.jsonl [--weight 10]

Asks as `twinlens evaluate --instructions` does. Queries are ranked by the built-in model and its
reranker; a wish counts by what the captions say of the photo: 1 where it is met, -1 where it is
broken, 0 where they leave it open, times `--weight`. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from retrieval.instructions.benchmark import InstructionBenchmark, exam_of, run_benchmark
from retrieval.instructions.templates import asks_of
from retrieval.models import load_encoder
from retrieval.pairs import read_pairs
from retrieval.rerankers import load_reranker
from retrieval.reranking import ImageFeatures, QueryInstruction, Reranker, Scores


class Obedient:
    """Adds to another reranker's scores of queries what captions say of the wish.

    Args:
        other: scores the queries.
        exam: the photos, and what is on them.
        weight: of a wish.
    """

    def __init__(self, other: Reranker, exam: InstructionBenchmark, weight: float) -> None:
        self.name, self._other = "obedient", other
        self.fusion = replace(other.fusion, instructed=weight)
        self._photo = {id(sight): number for number, sight in enumerate(exam.sights)}
        self._met = {
            wording: (1 if wanted else -1) * exam.labels[row]
            for row, attribute in enumerate(exam.grammar.attributes)
            for wanted in (True, False)
            for wording in exam.grammar.wordings(
                asks_of(attribute, wanted=wanted), attribute, held=exam.held
            )
        }

    def score(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Scores:
        """Score couples. Shape (couples,)."""
        scores = self._other.score([(query, "") for query, _ in asked], sights)
        nothing = np.zeros(len(self._photo))
        photos = [self._photo[id(sight)] for sight in sights]
        wishes = [self._met.get(wish, nothing) for _, wish in asked]
        return scores + [met[photo] for met, photo in zip(wishes, photos, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--weight", type=float, default=10.0)
    chosen = parser.parse_args()
    encoder = load_encoder("builtin", "cpu")
    reranker = load_reranker("builtin", encoder, instructed=False)
    exam = exam_of(encoder, reranker, read_pairs(chosen.pairs))
    done = run_benchmark(Obedient(reranker, exam, chosen.weight), exam)
    print(json.dumps(done.as_json(), ensure_ascii=False))


if __name__ == "__main__":
    main()
