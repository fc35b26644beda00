"""How well a reranker sees what instructions ask for: AUC of each attribute of the grammar.

    python benchmarks/seen.py --pairs flickr_dev.jsonl [--reranker DIR] [--photos 400]

Every attribute ("a dog", "snow") is looked for on every photo by the words that are spotted, and by
the dual encoder's cosine. Right is what two captions of a
photo say, wrong what none does. Prints the mean AUC of the attributes of families that are learned,
and of those held back, as JSON; then of each look ("dark"), by its own detector, too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from retrieval._resources import resource
from retrieval.builtin_reranker.reranker_checkpoint import load_reranker_checkpoint
from retrieval.builtin_reranker.training.features import gather
from retrieval.instructions.caption_labels import Labels
from retrieval.instructions.templates import shipped_grammar
from retrieval.models import TorchEncoder, load_encoder
from retrieval.pairs import read_pairs

FEWEST = 5
"""Photos with an attribute, and without it, for the attribute to count."""


def main() -> None:
    """Print what each of the two sees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--reranker", type=Path, default=resource("reranker"), metavar="DIR")
    parser.add_argument("--photos", type=int, default=400)
    chosen = parser.parse_args()
    encoder, grammar = load_encoder("builtin", "cpu"), shipped_grammar()
    assert isinstance(encoder, TorchEncoder)
    checkpoint = load_reranker_checkpoint(chosen.reranker)
    material = gather(encoder, read_pairs(chosen.pairs).pairs[: chosen.photos], grammar)
    tokens, phrases = material.views[0].float().numpy(), [a.phrase for a in grammar.attributes]
    seen = {
        "words": checkpoint.spotter.spotted(phrases, tokens),
        "cosine": encoder.encode_texts(phrases) @ encoder.embed_tokens(tokens).T,
    }
    for held in (False, True):
        rows = [
            row
            for row, attribute in enumerate(grammar.attributes)
            if grammar.is_held(attribute) == held
            and min((material.labels[row] == sign).sum() for sign in (1, -1)) >= FEWEST
        ]
        line = {"reranker": chosen.reranker.name, "held": held, "attributes": len(rows)}
        means = {
            name: mean_auc(scores[rows], material.labels[rows]) for name, scores in seen.items()
        }
        print(json.dumps(line | means))
    seen["looks"] = np.zeros((len(phrases), len(tokens)))
    for place, (name, *_) in enumerate(checkpoint.looks.names):
        row = [phrases.index(name)]
        seen["looks"][row] = checkpoint.looks.odds([place], tokens)
        told = {each: mean_auc(scores[row], material.labels[row]) for each, scores in seen.items()}
        print(json.dumps({"reranker": chosen.reranker.name, "look": name} | told))


def mean_auc(scores: NDArray[np.floating], labels: Labels) -> float:
    """Return the mean over attributes in percent, where the label is known. (t, p), (t, p)."""
    known = labels != 0
    each = [
        roc_auc_score(label[told] == 1, row[told])
        for row, label, told in zip(scores, labels, known, strict=True)
    ]
    return round(100 * float(np.mean(each)), 1)


if __name__ == "__main__":
    main()
