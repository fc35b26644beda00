"""Find photos by captions in other languages: R@1, R@5 and R@10 of each language.

    python benchmarks/languages.py --pairs dev.jsonl [--pairs english.jsonl] [--photos DIR] \\
        [--model builtin]

`--pairs`: a JSONL of `{"image", "lang"?, "captions"}`; without `lang` the captions are English. The
photos lie beside the first one of the files, or in `--photos`. All
photos of all files are searched, with the first stage of a search, corrected for hubs: a language
may have captions of some of them only. `foreign` is the percentage of the captions that the tower
for other languages reads. Prints one JSON object a language.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from indexer.core.encoder import Encoder, MultilingualEncoder, Vectors
from indexer.core.types import Kind
from indexer.media.image import read_photo
from retrieval.evaluation.first_stage import FirstStage
from retrieval.evaluation.metrics import Ranks, bootstrap_interval, hit_rate_at_k, ranks_of_vectors
from retrieval.runtime.select_encoder import quick_encoder

BATCH = 250
CUTS = (1, 5, 10)

Captions = dict[str, list[tuple[str, Path]]]
"""For each language, captions with their photos."""


def read(files: list[Path], folder: Path) -> Captions:
    """Read the captions of all files; the photos lie in a folder."""
    found: Captions = defaultdict(list)
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            photo = folder / row["image"]
            found[row.get("lang", "en")] += [(text, photo) for text in row["captions"]]
    return found


def embed(encoder: Encoder, photos: list[Path]) -> Vectors:
    """Embed photos. Shape (photos, dim)."""
    parts = [photos[start : start + BATCH] for start in range(0, len(photos), BATCH)]
    size = encoder.image_size
    return np.concatenate(
        [
            encoder.encode_images([read_photo(each, size_hint=size) for each in part])
            for part in parts
        ]
    )


def rates(ranks: Ranks) -> dict[str, float | list[float]]:
    """Return each R@k in percent; of the last one with its 95 % interval."""
    hits = {k: 100 * hit_rate_at_k(ranks, k) for k in CUTS}
    interval = [round(each, 1) for each in bootstrap_interval(hits[CUTS[-1]])]
    means = {f"R@{k}": round(float(each.mean()), 1) for k, each in hits.items()}
    return {**means, f"R@{CUTS[-1]}_interval": interval}


def foreign(encoder: Encoder, texts: list[str]) -> float:
    """Return the percentage of texts that are read as others than English."""
    if not isinstance(encoder, MultilingualEncoder):
        return 0.0
    return round(100 * sum(map(encoder.is_foreign, texts)) / len(texts), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, action="append", required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--model", default="builtin")
    args = parser.parse_args()
    encoder = quick_encoder(args.model, "cpu")
    captions = read(args.pairs, args.photos or args.pairs[0].parent)
    photos = sorted({photo for each in captions.values() for _, photo in each})
    place = {photo: number for number, photo in enumerate(photos)}
    items = embed(encoder, photos)
    first = FirstStage.of(encoder)
    for language, asked in sorted(captions.items()):
        texts = [text for text, _ in asked]
        queries, rows = first.vectors(encoder.encode_texts(texts), items, query=Kind.TEXT)
        right = [np.array([place[photo]]) for _, photo in asked]
        ranks = ranks_of_vectors(queries, rows, right)
        about = {"captions": len(texts), "foreign": foreign(encoder, texts)}
        print(json.dumps({"language": language, **about, **rates(ranks)}), flush=True)


if __name__ == "__main__":
    main()
