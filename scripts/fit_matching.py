"""Fit how search tells whether anything matches, and how likely each hit is a match.

    python scripts/fit_matching.py --captions flickr_dev.jsonl coco_small/dev.jsonl \\
        --labels caltech_dev.jsonl imagenet_dev.jsonl stanford40/labels.jsonl \\
        --scenes ade20k/labels.jsonl [--wordnet /usr/share/wordnet] [--most 250] [--cache DIR] \\
        [--out data/matching.safetensors] [--seed 0]

Writes the network of `MatchCalibrator.probability` (`retrieval/search/match_probability.py`).
Prints the weights of `MatchCalibrator._anything` and their threshold, which a person copies into
that module, and how well both do on questions that they did not learn from.

`--captions`: JSONLs of `{"image", "captions"}`. `--labels`: of `{"image", "label"}`; labels that
all begin with a word in -ing name what people do. `--scenes`: the same for places, which other
photos may show, too, so that they are asked of these photos alone. Each JSONL is a library; one
more is every other photo of the captioned ones and of the first labelled one. Questions are asked
of the whole library and of samples of 30, 100 and 300 of its photos. What they are, and which
photos answer them, says `matching_questions.py`.

Questions are asked as by the command line: names by several sentences, hubness held back, the first
hits rescored by the reranker that ships. What is read of a hit comes from `MatchCalibrator` itself.
A hash of its text tells whether a question is learned from or reported.

1. A logistic regression learns whether one of the first ten hits is right. Its threshold refuses
   3 % of the questions for which one is.
2. The network learns from the hits of the questions that pass; first hits count more than later
   ones, and hits of things with many answers, together, 10 % of all.
3. The regression learns again, now with what the network says of the best hit.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matching_questions import Photos, Question, mixed, questions
from numpy.typing import NDArray
from safetensors.numpy import save
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from indexer.calibration.hubness import with_alpha, with_hubness
from indexer.calibration.score_stats import SAMPLE, cohort_of, measure
from indexer.core.atomic_io import replacing
from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from indexer.media.image import read_photo
from retrieval import default_reranker, quick_encoder
from retrieval._enums import POOL
from retrieval._resources import resource
from retrieval.builtin_reranker.word_detectors import load_spotter
from retrieval.reranking import combine_scores
from retrieval.search import match_probability, prompt_ensemble, results
from retrieval.search.composed_query import ScoreScale
from retrieval.search.match_probability import MatchCalibrator, ScoreSample

BATCH = 64  # photos that are read at once
SAMPLES = (30, 100, 300)  # photos; only of libraries that have half as many again
DEPTH, TOP, SHOWN = 100, 10, 20  # hits: learned from, where an answer must be, reported
REFUSED = 0.03  # of the answered questions
COMMON, COMMON_SHARE = 0.02, 0.1  # photos that show a common thing; what its hits count of all
HIDDEN, STEPS, RATE, DECAY = 16, 350, 0.05, 2e-5
RISING = 2  # values at the start of a row with which the probability never falls
KNOWN = ("words", "variety", "level", "unknown")
TERMS = ("likely", "own", "blunt * own", "sharpness", "blunt", *KNOWN, "1")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """What came of a question."""

    kind: str
    text: str
    library: str
    sample: int  # photos that were asked; 0 for all
    values: Floats  # what the network reads of each hit, the best first; (hits, v)
    right: Floats  # how right each is; (hits,)
    known: dict[str, float]  # what `MatchCalibrator` knows of the question
    common: bool  # many photos are right

    @property
    def answered(self) -> bool | None:
        """Whether a first hit is right; None where only later ones may be."""
        return bool((self.right[:TOP] >= 0.5).any()) or (False if self.kind == "absent" else None)


@dataclass(frozen=True)
class Rows:
    """Stands in for the network of `MatchCalibrator`, and returns the values that it is given."""

    usual: dict[str, float]

    def log_odds(self, values: Floats) -> Floats:
        """Return them."""
        return values


class Bench:
    """Searches as the command line makes them."""

    def __init__(self, cache: Path | None) -> None:
        self.encoder, self.cache = quick_encoder(device="cpu"), cache
        self.queries: dict[str, Vectors] = {}
        self.reranker = default_reranker(self.encoder, instructed=False)
        self.alpha = self.encoder.hubness.alpha(query=Kind.TEXT, item=Kind.PHOTO)
        self.bank = self.encoder.bank(Kind.TEXT)
        self.cohort = self._stored(cohort_of(self.encoder.bank(Kind.PHOTO)))

    def _stored(self, vectors: Vectors) -> Vectors:
        return with_hubness(vectors, self.bank, self.encoder.hubness.k)

    def photos(self, source: Path, *, scenes: bool = False) -> Photos:
        """Embed the photos of a JSONL, or read them from the cache."""
        rows = read(source)
        key = zlib.crc32("\n".join(str(row["image"]) for row in rows).encode())
        kept = self.cache and self.cache / f"{self.encoder.fingerprint[:12]}-{key:08x}.npz"
        if kept and kept.is_file():
            with np.load(kept) as arrays:
                vectors, tokens = arrays["vectors"], arrays["tokens"]
        else:
            vectors, tokens = self._embedded([row["path"] for row in rows])
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, vectors=vectors, tokens=tokens)
        name = f"{source.parent.name}/{source.stem}"
        return Photos(name, rows, self._stored(vectors), tokens, scenes)

    def _embedded(self, paths: Sequence[Path]) -> tuple[Vectors, NDArray[np.float16]]:
        """Return vectors (n, dim) and tokens (n, m, d)."""
        parts = []
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            photos = [read_photo(path, size_hint=self.encoder.image_size) for path in batch]
            parts.append(self.encoder.encode_with_tokens(photos))
        tokens = np.concatenate([each for _, each in parts]).astype(np.float16)
        return np.concatenate([each for each, _ in parts]), tokens

    def ask(
        self, photos: Photos, asked: Sequence[Question], rng: np.random.Generator
    ) -> Iterator[Asked]:
        """Ask all questions of the library, and of samples of it."""
        moments = measure(self.bank, photos.vectors[:SAMPLE], items=len(photos.rows))
        unit = ScoreScale(mean=moments.mean(self.alpha), spread=moments.spread(self.alpha))
        for kind, text, right in asked:
            query = self.queries.get(text)
            if query is None:
                query = self.queries[text] = self._query(text)
            for size in (0, *(size for size in SAMPLES if 1.5 * size < len(right))):
                chosen = rng.permutation(len(right))[: size or None]
                match = self._matching(text, query, photos.vectors[chosen] @ query, unit)
                if match._by_network:
                    ids, scores = self._hits(text, query, photos, chosen)
                    common = (right[chosen] == 1).sum() >= max(5, COMMON * len(chosen))
                    told = match._log_odds(scores), right[ids], match._values
                    yield Asked(kind, text, photos.name, size, *told, common)

    def _query(self, text: str) -> Vectors:
        if prompt_ensemble.is_name(text):
            return with_alpha(prompt_ensemble.ensemble(self.encoder, [text]), self.alpha)[0]
        return with_alpha(self.encoder.encode_texts([text]), self.alpha)[0]

    def _matching(
        self, text: str, query: Vectors, scores: Vectors, unit: ScoreScale
    ) -> MatchCalibrator:
        generic = self.cohort @ query
        return MatchCalibrator(
            unit=unit,
            own=ScoreScale(mean=float(generic.mean()), spread=float(generic.std())),
            here=ScoreSample.of(scores),
            query=Kind.TEXT,
            item=Kind.PHOTO,
            items=len(scores),
            text=text,
        )

    def _hits(
        self, text: str, query: Vectors, photos: Photos, chosen: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Floats]:
        """Return the first hits after the second look, and their scores."""
        scores = (photos.vectors[chosen] @ query).astype(np.float64)
        order = np.argsort(-scores, kind="stable")[:DEPTH]
        ids, scores = chosen[order], scores[order]
        seen = self.reranker.score([(text, "")] * len(ids[:POOL]), list(photos.tokens[ids[:POOL]]))
        weight = self.reranker.fusion.weight(query=Kind.TEXT, item=Kind.PHOTO)
        scores[:POOL] = combine_scores(scores[:POOL], seen, weight)
        order[:POOL] = np.argsort(-scores[:POOL], kind="stable")
        order[POOL:] = np.arange(POOL, len(order))
        return ids[order], scores[order]


def terms(asked: Sequence[Asked], network: match_probability._Network | None) -> Floats:
    """What `MatchCalibrator._anything` sums for each question; without a network, `likely` is 0."""
    rows = []
    for each in asked:
        best, known = each.values[:1], each.known
        sharpness = min(match_probability._SHARPEST, known["sharpness"])
        own, blunt = best[0, 0], min(0.0, sharpness)
        likely = network.log_odds(best)[0] if network else 0.0
        rest = [known[name] for name in KNOWN]
        rows.append([likely, own, blunt * own, sharpness, blunt, *rest, 1.0])
    return np.array(rows)


class Anything(NamedTuple):
    """Tells whether anything matches: the weights of the terms, and what they must reach."""

    weights: Floats
    threshold: float


def fit_anything(asked: Sequence[Asked], network: match_probability._Network | None) -> Anything:
    """Fit it; the more questions a library answers alike, the less each of them counts."""
    told = [each for each in asked if each.answered is not None]
    groups = [(each.library, each.sample, each.answered) for each in told]
    sizes = Counter(groups)
    counts = np.array([sizes[group] ** -0.5 for group in groups])
    table, answered = terms(told, network), np.array([bool(each.answered) for each in told])
    model = LogisticRegression(C=1e6, max_iter=10_000, fit_intercept=False)
    weights = model.fit(table, answered, sample_weight=counts).coef_[0]
    return Anything(weights, float(np.quantile(table[answered] @ weights, REFUSED)))


def refused(
    asked: Sequence[Asked], anything: Anything, network: match_probability._Network | None
) -> NDArray[np.bool_]:
    """Tell which questions nothing matches, as `MatchCalibrator.anything` does."""
    table = terms(asked, network)
    low: NDArray[np.bool_] = table @ anything.weights < anything.threshold
    if network is None:
        return low
    return low | (table[:, 0] < math.log(results.FAINT / (1 - results.FAINT)))


def hit_weights(asked: Sequence[Asked], right: Floats) -> Floats:
    """How much each hit counts: 0 where nobody knows whether it is right. Shape (hits,)."""
    sizes = [len(each.right) for each in asked]
    rank = np.concatenate([np.arange(size) for size in sizes])
    weights = np.where(rank < 20, 1.0, np.where(rank < 50, 0.3, 0.1)) * np.isfinite(right)
    of_question = [
        (0.5 if each.sample else 1) * (0.4 if each.kind == "caption" else 1) for each in asked
    ]
    weights *= np.repeat(of_question, sizes)
    common = np.repeat([each.common for each in asked], sizes)
    shares = np.where(common, COMMON_SHARE, 1 - COMMON_SHARE)
    totals = np.where(common, weights[common].sum(), weights[~common].sum())
    return shares * weights / totals


def fit_network(
    asked: Sequence[Asked], usual: dict[str, float], seed: int
) -> match_probability._Network:
    """Learn from all hits at once. Softplus keeps above 0 what must be."""
    torch.manual_seed(seed)
    values = np.concatenate([each.values for each in asked])
    right = np.concatenate([each.right for each in asked])
    mean, spread = values.mean(axis=0), values.std(axis=0)
    x, y, weights = (
        torch.tensor(each, dtype=torch.float32)
        for each in ((values - mean) / spread, np.nan_to_num(right), hit_weights(asked, right))
    )
    inner, bias = torch.randn(x.shape[1], HIDDEN) * 0.3, torch.randn(HIDDEN) * 0.3
    outer, outer_bias = torch.full((HIDDEN,), -1.0), torch.tensor([-2.0])
    learned = [each.requires_grad_() for each in (inner, bias, outer, outer_bias)]
    optimizer = torch.optim.Adam(learned, lr=RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS) + 0.002
        optimizer.zero_grad()
        within, out = torch.cat([F.softplus(inner[:RISING]), inner[RISING:]]), F.softplus(outer)
        log_odds = torch.tanh(x @ within + bias) @ out + outer_bias  # (hits,)
        loss = F.binary_cross_entropy_with_logits(log_odds, y, weights, reduction="sum")
        (loss + DECAY * (within.square().sum() + out.square().sum())).backward()
        optimizer.step()
    within = torch.cat([F.softplus(inner[:RISING]), inner[RISING:]])
    fitted = (within, bias, F.softplus(outer), outer_bias)
    arrays = [mean, spread, *(each.detach().double().numpy() for each in fitted)]
    return match_probability._Network(
        **dict(zip(match_probability._Network.ARRAYS, arrays, strict=True)), usual=usual
    )


def report(
    asked: Sequence[Asked], anything: Anything, network: match_probability._Network
) -> dict[str, object]:
    """What is refused, and how true the probabilities of the other questions' hits are."""
    out = refused(asked, anything, network)
    shown = [each for each, no in zip(asked, out, strict=True) if not no] or asked
    log_odds = network.log_odds(np.concatenate([each.values[:SHOWN] for each in shown]))
    right = np.concatenate([each.right[:SHOWN] for each in shown])
    known = np.isfinite(right)
    likely = 1 / (1 + np.exp(-log_odds[known]))
    return {
        "questions": len(asked),
        "calibration error": round(calibration_error(likely, right[known]), 3),
        "answered refused": share(out[[each.answered is True for each in asked]]),
        "absent refused": share(out[[each.answered is False for each in asked]]),
    }


def gather(bench: Bench, chosen: argparse.Namespace) -> list[Asked]:
    """Ask everything of every library."""
    rng = np.random.default_rng(chosen.seed)
    sources = [bench.photos(path) for path in (*chosen.captions, *chosen.labels)]
    sources += [bench.photos(path, scenes=True) for path in chosen.scenes]
    asked: list[Asked] = []
    for photos in (*sources, mixed(sources)):
        asked += bench.ask(
            photos, list(questions(photos, sources, chosen.wordnet, rng, chosen.most)), rng
        )
        print(f"{photos.name}: {len(asked)} asked so far", file=sys.stderr)
    return asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, nargs="+", required=True)
    parser.add_argument("--labels", type=Path, nargs="+", required=True)
    parser.add_argument("--scenes", type=Path, nargs="*", default=[])
    parser.add_argument("--wordnet", type=Path, help="asks for everyday words, too")
    parser.add_argument("--out", type=Path, default=Path("data/matching.safetensors"))
    parser.add_argument("--most", type=int, default=250, help="questions of a kind and library")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors and tokens of photos")
    chosen = parser.parse_args()

    spotter = load_spotter(resource("reranker"))
    usual = dict(zip(spotter.words, spotter.usual.tolist(), strict=True))
    match_probability._network = lambda: Rows(usual)
    asked = gather(Bench(chosen.cache), chosen)
    learned, tested = ([each for each in asked if half(each.text) == which] for which in (0, 1))
    nothing = refused(learned, fit_anything(learned, None), None)
    passed = [each for each, none in zip(learned, nothing, strict=True) if not none]
    network = fit_network(passed, usual, chosen.seed)
    anything = fit_anything(learned, network)
    arrays = {name: getattr(network, name).astype(np.float32) for name in network.ARRAYS}
    arrays["usual"] = np.array(list(usual.values()), dtype=np.float32)
    with replacing(chosen.out) as part:
        part.write_bytes(save(arrays, metadata={"words": " ".join(usual)}))
    libraries = defaultdict(list, all=tested)
    for each in tested:
        libraries[each.library].append(each)
    result = {
        "constants": dict(zip(TERMS, anything.weights.round(3).tolist(), strict=True)),
        "threshold": round(anything.threshold, 2),
        "sharpest": round(max(each.known["sharpness"] for each in asked), 2),
        "report": {name: report(each, anything, network) for name, each in libraries.items()},
    }
    print(json.dumps(result))


def read(source: Path) -> list[dict]:
    """Read the rows of a JSONL, with the paths of their photos."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").split("\n") if line]
    return [{**row, "path": source.parent / row["image"]} for row in rows]


def half(name: str) -> int:
    """Tell in which half of the questions a text is: 0 fits, 1 reports."""
    return zlib.crc32(name.encode()) % 2


def share(values: Floats) -> float:
    return round(float(values.mean()), 3) if len(values) else float("nan")


def calibration_error(hits: Floats, right: Floats) -> float:
    """Mean distance of probability and truth over ten steps, weighed by their hits."""
    steps = np.minimum((hits * 10).astype(int), 9)
    gaps = [abs((hits - right)[steps == each].sum()) for each in np.unique(steps)]
    return float(sum(gaps)) / max(1, len(hits))


if __name__ == "__main__":
    main()
