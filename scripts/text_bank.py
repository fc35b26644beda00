"""Write the bank of generic texts of a model, which corrects searches for photos by words.

    python scripts/text_bank.py --model runs/mine --pairs train.jsonl --size 2000 \\
        --out runs/mine/text_bank.safetensors

The texts are those of `data/captions.txt` and, with `--pairs`, `--size` captions that the model
learned from: they make the bank speak as its photos do. The file fits these weights only.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from retrieval.models import load_encoder
from retrieval.models.reference_vectors import generic_captions, load_bank, save_bank
from retrieval.pairs import read_pairs


def draw(pairs: Path, size: int, seed: int) -> list[str]:
    """Return `size` captions of the pairs, each once, in a random order."""
    captions = sorted({caption for pair in read_pairs(pairs).pairs for caption in pair.captions})
    random.Random(seed).shuffle(captions)
    return captions[:size]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model)
    learned = draw(chosen.pairs, chosen.size, chosen.seed) if chosen.pairs else []
    vectors = encoder.encode_texts([*generic_captions(), *learned])
    save_bank(chosen.out, vectors, fingerprint=encoder.fingerprint)
    again = load_bank(chosen.out, fingerprint=encoder.fingerprint, dim=encoder.dim)
    print(f"{chosen.out}: {len(again)} texts, made with {encoder.fingerprint[:12]}")


if __name__ == "__main__":
    main()
