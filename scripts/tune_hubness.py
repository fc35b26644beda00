"""Choose the hubness correction of a model: rsum over a grid of alpha and k, by direction.

    python scripts/tune_hubness.py --data dev.jsonl --model runs/mine

rsum is R@1 + R@5 + R@10; alpha 0 is the plain cosine. Use pairs that no test set holds. Write
what you choose into the model's `config.json`, one k for both directions:
"hubness": {"k": 16, "text_to_image": 0.5, "image_to_text": 0.5}.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from indexer.calibration.hubness import hubness, with_alpha
from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from retrieval.evaluation.metrics import Relevant, hit_rate_at_k, ranks_of_vectors
from retrieval.models import load_encoder
from retrieval.pairs import read_pairs

ALPHAS = (0.0, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
KS = (4, 8, 16, 32, 64, 128)
BATCH = 250


def grid(
    queries: Vectors, items: Vectors, relevant: Relevant, bank: Vectors
) -> Iterator[tuple[int, list[float]]]:
    """Yield each k with the rsum of each alpha, in percent."""
    for k in KS:
        stored = np.column_stack([items, hubness(items, bank, k)])  # (items, dim + 1)
        ranks = [ranks_of_vectors(with_alpha(queries, alpha), stored, relevant) for alpha in ALPHAS]
        yield k, [sum(100 * hit_rate_at_k(each, at).mean() for at in (1, 5, 10)) for each in ranks]


def show(name: str, rows: Iterator[tuple[int, list[float]]]) -> None:
    """Print one direction as a table."""
    print(f"{name}, rsum\n    k" + "".join(f"  a={alpha:<5g}" for alpha in ALPHAS))
    for k, sums in rows:
        print(f"{k:5}" + "".join(f"  {rsum:7.2f}" for rsum in sums))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    chosen = parser.parse_args()

    encoder, pairs = load_encoder(chosen.model), read_pairs(chosen.data).pairs
    batches = (pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH))
    opened = ([pair.open(size_hint=encoder.image_size) for pair in batch] for batch in batches)
    photos = np.concatenate([encoder.encode_images(images) for images in opened])
    texts = encoder.encode_texts([caption for pair in pairs for caption in pair.captions])
    owner = np.repeat(np.arange(len(pairs)), [len(pair.captions) for pair in pairs])
    of_caption = [np.array([photo]) for photo in owner]
    of_photo = [np.flatnonzero(owner == photo) for photo in range(len(pairs))]
    show("text to image", grid(texts, photos, of_caption, encoder.bank(Kind.TEXT)))
    if len(bank := encoder.bank(Kind.PHOTO)):
        show("image to text", grid(photos, texts, of_photo, bank))
    else:
        print("image to text: the model has no photo_bank.safetensors; see scripts/photo_bank.py")


if __name__ == "__main__":
    main()
