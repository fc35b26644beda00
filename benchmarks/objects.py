"""Find objects by name: mean precision@k of "a photo of a {label}" over labelled photos.

    python benchmarks/objects.py --labels labels.jsonl --k 10 [--model builtin]
    python benchmarks/objects.py --labels imagenet.jsonl --k 5 --everyday /usr/share/wordnet

`--labels`: a JSONL of `{"image", "label", "wnid"?}`. Each label is one query over all the photos;
precision@k is the share of its first k photos that carry the label (k is cut to the number of
photos that do). `--everyday` asks for the words of `EVERYDAY` instead, each right for the photos
whose class WordNet puts below it; words with fewer than `FEWEST` photos are left out. Scores are
those of search: `--no-hubness` leaves plain cosines, `--ensemble` asks by several sentences,
`--rerank` looks twice at the first 50 of each word. Prints one JSON object, with the words that do
worst.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.calibration.hubness import with_alpha, with_hubness
from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from indexer.media.image import read_photo
from retrieval.evaluation.second_stage import SecondStage
from retrieval.models import TorchEncoder, load_encoder
from retrieval.rerankers import load_reranker
from retrieval.reranking import ImageFeatures, Reranker
from retrieval.search.prompt_ensemble import ensemble

BATCH = 250
FEWEST = 3
EVERYDAY = frozenset(
    """
dog cat bird fish snake lizard spider insect monkey bear boat ship car truck chair bottle bag hat
shirt shoe clock fruit vegetable bread flower tree building house bridge fence door ball guitar
piano drum computer telephone camera television table bed sofa cup pot knife hammer gun airplane
train bicycle bus butterfly beetle frog turtle crab shark whale wolf fox rabbit horse cow sheep pig
elephant mushroom furniture vehicle clothing weapon instrument toy food drink container lamp box
ape owl duck wine book mountain
""".split()  # noqa: SIM905 - a list of words reads better so
)

Right = dict[str, NDArray[np.bool_]]
"""For each word, which photos it is right for."""


def embed(
    encoder: TorchEncoder, labels: Path, rows: list[dict[str, Any]], reranker: Reranker | None
) -> tuple[Vectors, list[ImageFeatures]]:
    """Embed the photos, shape (photos, dim); return what the reranker reads of them, too."""
    vectors = []
    sights: list[ImageFeatures] = []
    for start in range(0, len(rows), BATCH):
        paths = [labels.parent / row["image"] for row in rows[start : start + BATCH]]
        photos = [read_photo(path, size_hint=encoder.image_size) for path in paths]
        vectors.append(encoder.encode_images(photos))
        sights += reranker.look(photos) if reranker else []
    return np.concatenate(vectors), sights


def by_label(rows: list[dict[str, Any]]) -> Right:
    """Return the photos of each label."""
    owned = np.array([row["label"] for row in rows])
    return {label: owned == label for label in sorted(set(owned))}


def by_everyday_word(rows: list[dict[str, Any]], wordnet: Path) -> Right:
    """Return the photos of each everyday word, by the widest of its meanings."""
    sys.path.append(str(Path(__file__).parents[1] / "scripts"))
    from label_pairs import ancestors, read_nouns

    nouns = read_nouns(wordnet)
    above = [ancestors(row["wnid"][1:], nouns) for row in rows]
    right: Right = {}
    for kind in sorted(set().union(*above)):
        found = np.array([kind in kinds for kinds in above])
        for word in EVERYDAY.intersection(nouns[kind].names):
            if found.sum() >= FEWEST and (word not in right or found.sum() > right[word].sum()):
                right[word] = found
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--template", default="a photo of a {}")
    parser.add_argument("--everyday", type=Path, metavar="WORDNET")
    parser.add_argument("--ensemble", action="store_true")
    parser.add_argument("--rerank", metavar="SPEC", nargs="?", const="builtin")
    parser.add_argument("--hubness", action=argparse.BooleanOptionalAction, default=True)
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model, "cpu")
    rows = [json.loads(line) for line in chosen.labels.read_text(encoding="utf-8").splitlines()]
    right = by_everyday_word(rows, chosen.everyday) if chosen.everyday else by_label(rows)
    reranker = load_reranker(chosen.rerank, encoder) if chosen.rerank else None
    vectors, sights = embed(encoder, chosen.labels, rows, reranker)
    words = list(right)
    asked = [chosen.template.format(word) for word in words]
    queries = ensemble(encoder, words) if chosen.ensemble else encoder.encode_texts(asked)
    if chosen.hubness:
        settings = encoder.hubness
        vectors = with_hubness(vectors, encoder.bank(Kind.TEXT), settings.k)
        queries = with_alpha(queries, settings.text_to_image)
    scores = queries @ vectors.T
    if reranker is not None:
        texts = [(text, "") for text in (words if chosen.ensemble else asked)]
        stage = SecondStage(reranker=reranker, photos=sights, texts=texts)
        scores = stage.rescored(range(len(texts)), scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    precision = {}
    for word, ranked in zip(words, order, strict=True):
        k = min(chosen.k, int(right[word].sum()))
        precision[word] = float(right[word][ranked[:k]].mean())
    worst = sorted(precision, key=lambda word: precision[word])[:10]
    result = {
        "model": encoder.name,
        "photos": len(rows),
        "labels": len(words),
        f"precision@{chosen.k}": round(float(np.mean(list(precision.values()))), 4),
        "worst": {word: round(precision[word], 2) for word in worst},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
