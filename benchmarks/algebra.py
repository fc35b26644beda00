"""Ways to take a term away, and to add one, on photos with captions.

    python benchmarks/algebra.py --captions flickr_dev.jsonl [--model builtin]

`--captions`: a JSONL of `{"image", "captions"}`. A photo shows a word of `WORDS` if two of its
captions hold it, and does not if none does. A task "dog - water" is taken if at least `FEWEST`
photos show both, and as many the first alone; the tasks are halved by a hash of their words. Of
the first ten photos `wanted` show the first word and have no caption with the second, `first` and
`second` have a caption with that word.

| way | score |
|---|---|
| plain | s+ |
| subtract w | s+ - w * s- |
| project w | s+ of the query without w times its part along the other |
| floor f w | s+ - w * max(0, c- - mean - f * spread), c- the cosine; search has f 0.5, w 1 |

s is the score of search. `add`: of the first ten photos of "dog + water", the share that shows
both: by the mean of both scores, by their minimum, and by the phrase "dog and water", as in search.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from collections.abc import Callable
from functools import partial
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from indexer.calibration.hubness import hubness
from indexer.calibration.score_stats import measure
from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from indexer.media.image import read_photo
from retrieval.models import TorchEncoder, load_encoder
from retrieval.search.prompt_ensemble import ensemble

BATCH = 250
FEWEST = 10
MOST = 150  # photos that show both words of an addition: more would be easy
WORDS = """
dog man woman child boy girl beach snow water grass ball people field street bike shirt rock
mountain tree car crowd hat camera pool swimming jumping running sitting sand ocean forest bench
skateboard soccer football player wall building sunglasses stick toy horse baby ice river bicycle
motorcycle helmet guitar park
""".split()  # noqa: SIM905 - a list of words reads better so
Scores = np.ndarray
Way = Callable[[Vectors, Vectors], Scores]


class Bench:
    """Embedded photos, which words they show, and the scores of search."""

    def __init__(self, encoder: TorchEncoder, source: Path) -> None:
        lines = source.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        self.photos = embed(encoder, [source.parent / row["image"] for row in rows])
        self.alpha, bank = encoder.hubness.text_to_image, encoder.bank(Kind.TEXT)
        self.hubs = hubness(self.photos, bank, encoder.hubness.k)
        moments = measure(bank, self.photos, items=len(rows))
        self.mean, self.spread = moments.mean(0.0), moments.spread(0.0)
        captions = [[caption.lower() for caption in row["captions"]] for row in rows]
        self.shows = {word: holds(captions, word) >= 2 for word in WORDS}
        self.lacks = {word: holds(captions, word) == 0 for word in WORDS}

    def score(self, query: Vectors) -> Scores:
        """What search scores the photos. Shape (photos,)."""
        return self.photos @ query - self.alpha * self.hubs

    def subtract(self, first: Vectors, second: Vectors, *, weight: float) -> Scores:
        """Take the other's score away."""
        return self.score(first) - weight * self.score(second)

    def project(self, first: Vectors, second: Vectors, *, weight: float) -> Scores:
        """Take the part of the query away that lies along the other."""
        query = first - weight * (first @ second) * second
        return self.score(query / np.linalg.norm(query))

    def floor(self, first: Vectors, second: Vectors, *, floor: float, weight: float) -> Scores:
        """Take away what the other's cosine has above a floor."""
        excess = self.photos @ second - self.mean - floor * self.spread
        return self.score(first) - weight * np.maximum(0, excess)

    def tasks(self) -> list[tuple[str, str]]:
        """The pairs of words of which enough photos show both, and the first alone."""
        return [
            (first, second)
            for first, second in permutations(WORDS, 2)
            if (self.shows[first] & self.shows[second]).sum() >= FEWEST
            and (self.shows[first] & self.lacks[second]).sum() >= FEWEST
        ]

    def taken(self, way: Way, vectors: dict[str, Vectors], half: int) -> dict[str, float]:
        """The figures of one way over one half of the tasks."""
        found = []
        for first, second in self.tasks():
            if zlib.crc32(f"{first}-{second}".encode()) % 2 == half:
                top = best(way(vectors[first], vectors[second]))
                wanted = self.shows[first] & self.lacks[second]
                kinds = (wanted, ~self.lacks[first], ~self.lacks[second])
                found.append([kind[top].mean() for kind in kinds])
        means = np.round(np.mean(found, axis=0), 3).tolist()
        return dict(zip(("wanted", "first", "second"), means, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model, "cpu")
    bench = Bench(encoder, chosen.captions)
    vectors = dict(zip(WORDS, ensemble(encoder, WORDS), strict=True))
    ways: dict[str, Way] = {"plain": lambda first, _: bench.score(first)}
    for weight in (0.25, 0.5, 1.0):
        ways[f"subtract {weight}"] = partial(bench.subtract, weight=weight)
    for weight in (1.0, 1.5):
        ways[f"project {weight}"] = partial(bench.project, weight=weight)
    for floor in (0.0, 0.5):
        for weight in (0.5, 1.0):
            ways[f"floor {floor} {weight}"] = partial(bench.floor, floor=floor, weight=weight)
    result: dict[str, object] = {"model": encoder.name, "tasks": len(bench.tasks())}
    for name, way in ways.items():
        result[name] = [bench.taken(way, vectors, half) for half in (0, 1)]
    result["add"] = added(bench, encoder, vectors)
    print(json.dumps(result))


def added(bench: Bench, encoder: TorchEncoder, vectors: dict[str, Vectors]) -> dict[str, float]:
    """Precision@10 of two words at once."""
    both = {pair: bench.shows[pair[0]] & bench.shows[pair[1]] for pair in combinations(WORDS, 2)}
    both = {pair: shown for pair, shown in both.items() if FEWEST <= shown.sum() <= MOST}
    phrases = ensemble(encoder, [f"{one} and {two}" for one, two in both])
    found: dict[str, list[float]] = {"mean": [], "minimum": [], "phrase": []}
    for ((one, two), shown), phrase in zip(both.items(), phrases, strict=True):
        scores = [bench.score(vectors[word]) for word in (one, two)]
        found["mean"].append(shown[best(np.mean(scores, axis=0))].mean())
        found["minimum"].append(shown[best(np.minimum(*scores))].mean())
        found["phrase"].append(shown[best(bench.score(phrase))].mean())
    return {"tasks": len(both), **{name: round(float(np.mean(x)), 3) for name, x in found.items()}}


def best(scores: Scores) -> np.ndarray:
    """The first ten."""
    return np.argsort(-scores, kind="stable")[:10]


def holds(captions: list[list[str]], word: str) -> np.ndarray:
    """How many captions of each photo hold a word, or its plural."""
    whole = re.compile(rf"\b{word}(s|es)?\b")
    return np.array([sum(bool(whole.search(caption)) for caption in each) for each in captions])


def embed(encoder: TorchEncoder, paths: list[Path]) -> Vectors:
    parts = []
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        photos = [read_photo(path, size_hint=encoder.image_size) for path in batch]
        parts.append(encoder.encode_images(photos))
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
