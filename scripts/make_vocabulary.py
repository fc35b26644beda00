"""Embed many words and their meanings with a text encoder, for `twinlens train --vocabulary`.

    python scripts/make_vocabulary.py --init runs/start --wordnet /usr/share/wordnet \\
        --captions flickr_train.jsonl --out vocabulary.safetensors

The texts are WordNet's words that occur in tagged text, the meaning of each common noun, verb and
adjective, and captions. The vectors are the mean of the tokens of `--init`'s text tower, below its
head: for the model that `start_towers.py` writes, those of MiniLM.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from retrieval.models import load_model

BATCH = 256
LONGEST = 24  # words of a meaning
CAPTIONS = 10_000


def words_and_meanings(wordnet: Path) -> set[str]:
    """Return the words of WordNet that tagged text uses, and what they mean."""
    lines = (wordnet / "cntlist.rev").read_text(encoding="utf-8").splitlines()
    words = {line.split("%")[0] for line in lines}
    texts = {word.replace("_", " ") for word in words}
    for part in ("noun", "verb", "adj"):
        for line in (wordnet / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue
            name = line.split()[4].lower()
            meaning = line.partition("|")[2].partition(";")[0].strip()
            if name in words and 0 < len(meaning.split()) <= LONGEST:
                texts.add(f"{name.replace('_', ' ')}: {meaning}")
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("wordnet", "captions", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--init", required=True)
    chosen = parser.parse_args()

    rows = [json.loads(line) for line in chosen.captions.read_text().splitlines()]
    captions = sorted({caption for row in rows for caption in row["captions"]})
    random.Random(0).shuffle(captions)
    texts = [*sorted(words_and_meanings(chosen.wordnet)), *captions[:CAPTIONS]]
    model = load_model(chosen.init)
    tower = model.module.text.eval().bfloat16()
    tower.head = torch.nn.Identity()
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    vectors = torch.zeros(len(texts), model.architecture["text"]["width"])
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows_ = order[start : start + BATCH]
            embedded = tower(model.tokenize([texts[row] for row in rows_]))
            vectors[rows_] = F.normalize(embedded.float(), dim=-1)
    save_file({"vectors": vectors.half()}, chosen.out, metadata={"texts": json.dumps(texts)})
    print(f"{chosen.out}: {len(texts)} texts")


if __name__ == "__main__":
    main()
