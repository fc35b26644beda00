"""Write the bank of generic texts of a model, so that a new library need not embed them.

    python scripts/text_bank.py --model runs/mine --out runs/mine/text_bank.safetensors

The texts are those of `data/captions.txt`. The file fits these weights only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from retrieval.models import load_encoder
from retrieval.models.banks import generic_captions, load_bank, save_bank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model)
    vectors = encoder.encode_texts(generic_captions())
    save_bank(chosen.out, vectors, fingerprint=encoder.fingerprint)
    again = load_bank(chosen.out, fingerprint=encoder.fingerprint, dim=encoder.dim)
    print(f"{chosen.out}: {len(again)} texts, made with {encoder.fingerprint[:12]}")


if __name__ == "__main__":
    main()
