"""Fit how likely a hit follows an instruction, by how far the instruction changes its score.

    python scripts/fit_obeying.py --captions flickr_dev.jsonl coco_small/dev.jsonl \\
        [--most 200] [--cache DIR] [--seed 0]

Prints the constants `obeying` and `obeying_offset` of `data/reranker/reranker.json`, which a person
copies there, and the calibration error of `match` on questions that they were not fitted to. Run it
after `train_reranker.sh` and `fit_matching.py`, since the probability that a hit shows what is
asked for is theirs:

    match = probability that the hit shows it / (1 + exp(-obeying * change - obeying_offset))

`--captions`: JSONLs of `{"image", "captions"}`; each is a library. A question is a word of its
captions, with an instruction in plain words that another one shall or shall not be on the photo. By
turns, some photos answer it, or as many as there happen to be, which is often none: people ask for
both. Which photos answer it says `matching_questions.py`. A hash of the word tells whether it is
fitted to or reported. Both constants maximise the likelihood of the hits that are shown first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fit_matching import POOL, SHOWN, Bench, Floats, calibration_error, half
from matching_questions import FORMS, Photos, with_article
from scipy.optimize import minimize

from indexer.calibration.score_stats import SAMPLE, measure
from retrieval import default_reranker
from retrieval.instructions.templates import filled
from retrieval.reranking import combine_scores
from retrieval.search.composed_query import ScoreScale

WORDINGS = {
    True: ("with {}", "only photos with {}", "there must be {}", "it must show {}"),
    False: ("no {noun}", "without {}", "no photos with {}", "leave out photos with {}"),
}
FEWEST = 3  # photos that answer every other question


@dataclass(frozen=True, kw_only=True)
class Steered:
    """The first hits of a question with an instruction, best first.

    Attributes:
        word: what is asked for.
        likely: how likely each hit shows the word. Shape (hits,).
        change: how far the instruction changes its score. Shape (hits,).
        right: how right it is. Shape (hits,).
    """

    word: str
    likely: Floats
    change: Floats
    right: Floats


def questions(
    photos: Photos, rng: np.random.Generator, most: int
) -> Iterator[tuple[str, str, Floats]]:
    """Yield words, instructions, and how right each photo is."""
    words = list(photos.concepts)
    while most:
        word, other = (words[at] for at in rng.choice(len(words), 2, replace=False))
        wanted, there = bool(rng.integers(2)), photos.concepts[other]
        right = np.minimum(photos.concepts[word], there if wanted else 1 - there)
        if most % 2 and (right == 1).sum() < FEWEST:
            continue
        wording = str(rng.choice(WORDINGS[wanted]))
        yield word, filled(wording, with_article(other)), right
        most -= 1


def ask(bench: Bench, photos: Photos, rng: np.random.Generator, most: int) -> Iterator[Steered]:
    """Ask all questions of a library; those that nothing matches tell nothing."""
    moments = measure(bench.bank, photos.vectors[:SAMPLE], items=len(photos.rows))
    unit = ScoreScale(mean=moments.mean(bench.alpha), spread=moments.spread(bench.alpha))
    for word, wish, right in questions(photos, rng, most):
        text = str(rng.choice(FORMS)).format(word, with_article(word))
        query = bench._query(text)
        scores = (photos.vectors @ query).astype(np.float64)
        ids = np.argsort(-scores, kind="stable")[:POOL]
        match = bench._matching(text, query, photos.vectors @ query, unit)
        asked = [(text, "")] * POOL + [(text, wish)] * POOL
        seen = bench.reranker.score(asked, list(photos.tokens[ids]) * 2).reshape(2, POOL)
        fusion = bench.reranker.fusion
        shown = combine_scores(scores[ids], seen[0], fusion.text_to_image)
        change = seen[1] - seen[0]
        order = np.argsort(-combine_scores(shown, change, fusion.instructed), kind="stable")[:SHOWN]
        if match._by_network and match.anything(shown.max()):
            likely = match.probabilities(shown[order])
            yield Steered(word=word, likely=likely, change=change[order], right=right[ids[order]])


def matches(asked: list[Steered], slope: float, offset: float) -> tuple[Floats, Floats]:
    """Return the match probability of all hits, and how right they are. Shape (hits,) each."""
    likely, change, right = (
        np.concatenate([getattr(each, name) for each in asked])
        for name in ("likely", "change", "right")
    )
    return likely / (1 + np.exp(-slope * change - offset)), right


def fitted(asked: list[Steered]) -> tuple[float, float]:
    """Return slope and offset of the greatest likelihood."""

    def loss(constants: Floats) -> float:
        match, right = matches(asked, *constants)
        match = np.clip(match, 1e-6, 1 - 1e-6)
        return float(-np.mean(right * np.log(match) + (1 - right) * np.log(1 - match)))

    slope, offset = minimize(loss, [0.5, 0.0], method="Nelder-Mead").x
    return float(slope), float(offset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, nargs="+", required=True)
    parser.add_argument("--most", type=int, default=200, help="questions of a library")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors and tokens of photos")
    chosen = parser.parse_args()
    rng, bench = np.random.default_rng(chosen.seed), Bench(chosen.cache)
    bench.reranker = default_reranker(bench.encoder, instructed=True)
    asked: list[Steered] = []
    for path in chosen.captions:
        asked += ask(bench, bench.photos(path), rng, chosen.most)
        print(f"{path}: {len(asked)} asked so far", file=sys.stderr)
    learned, tested = ([each for each in asked if half(each.word) == which] for which in (0, 1))
    slope, offset = fitted(learned)
    fitted_to, held_back = (matches(each, slope, offset) for each in (learned, tested))
    result = {
        "obeying": round(slope, 3),
        "obeying_offset": round(offset, 3),
        "questions": {"fitted to": len(learned), "held back": len(tested)},
        "calibration error": {
            "fitted to": round(calibration_error(*fitted_to), 3),
            "held back": round(calibration_error(*held_back), 3),
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
