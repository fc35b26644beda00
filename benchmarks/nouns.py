"""How well photos are found by one word of their captions: mean average precision.

    python benchmarks/nouns.py --captions flickr_dev.jsonl --wordnet /usr/share/wordnet

`--captions`: a JSONL of `{"image", "captions"}`. Asked for is each noun of WordNet that two
captions or more of eight photos have, of three letters or more, among the 400 usual words, as
search asks: by several sentences, corrected for hubness. Right are those photos; those of which one
caption alone has the word are left out. Words that are nouns by the way ("black", "standing") are
not asked. Prints one JSON object, with the words that are found worst.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from objects import embed

from indexer.calibration.hubness import with_alpha, with_hubness
from indexer.core.types import Kind
from retrieval.models import load_encoder
from retrieval.search.prompt_ensemble import ensemble

FEWEST, MOST = 8, 400
LEAST_LETTERS = 3
BY_THE_WAY = frozenset(
    """
a in is the on and of with while at to an his her are has by down over two three out up one its for
white black red blue brown young yellow green small large little other orange wearing looking
standing playing holding jumping running walking sitting pink front near around into through there
from be another off as it tan riding some bright top back
""".split()  # noqa: SIM905 - a list of words reads better so
)


def nouns(wordnet: Path) -> set[str]:
    """Read WordNet's nouns."""
    lines = (wordnet / "index.noun").read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if not line.startswith("  ")}


def average_precision(scores: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Return the mean of the precision at each right photo."""
    ranked = right[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model, "cpu")
    rows = [json.loads(line) for line in chosen.captions.read_text("utf-8").splitlines()]
    said = [
        Counter(w for text in row["captions"] for w in set(re.findall(r"[a-z]+", text.lower())))
        for row in rows
    ]
    photos = Counter(word for each in said for word, times in each.items() if times > 1)
    known = nouns(chosen.wordnet) - BY_THE_WAY
    words = [
        word
        for word, count in photos.most_common(MOST)
        if count >= FEWEST and word in known and len(word) >= LEAST_LETTERS
    ]
    vectors, _ = embed(encoder, chosen.captions, rows, None)
    stored = with_hubness(vectors, encoder.bank(Kind.TEXT), encoder.hubness.k)
    queries = with_alpha(ensemble(encoder, words), encoder.hubness.text_to_image)
    found = {}
    for word, scores in zip(words, queries @ stored.T, strict=True):
        times = np.array([each[word] for each in said])
        clear = times != 1
        found[word] = average_precision(scores[clear], times[clear] > 1)
    worst = sorted(found, key=lambda word: found[word])[:10]
    result = {
        "model": encoder.name,
        "photos": len(rows),
        "words": len(words),
        "mean average precision": round(float(np.mean(list(found.values()))), 4),
        "worst": {word: round(found[word], 2) for word in worst},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
