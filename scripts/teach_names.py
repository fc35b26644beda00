"""Teach a built-in model with a memory of classes their names, without training its towers.

    python scripts/teach_names.py --model runs/remembering --wordnet /usr/share/wordnet \\
        --classes imagenet/labels.jsonl --photos A.jsonl --photos B.jsonl \\
        --captions flickr_train.jsonl --out runs/named

Captions fill little more than half of the joint dimensions. The heads keep those; the last
`--code` become a code of what things are called, which photos have by their classes and texts by
the names in them. A caption names nothing and has none, so that it finds what it found before.

| part | fit |
|---|---|
| the dimensions that the heads keep | principal directions of captions' vectors |
| codes of classes and of kinds of things | by gradient, see `class_codes` |
| keys of names | softmax regression from the text tower's readout, see `named_texts` |

`--photos` are those that `remember_classes.py` was given. Readouts are taken in bfloat16.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from class_codes import SOFT, Keys, fit_codes, members
from label_pairs import Taxonomy
from named_texts import Meanings, Named, Spoken, texts_with_names
from remember_classes import readouts
from torch import Tensor
from torch.nn import functional as F

from retrieval._enums import WeightStorage
from retrieval.models import load_model
from retrieval.models.checkpoint import save_checkpoint, twin_config
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.loaded_model import Model
from retrieval.models.reference_vectors import generic_captions

BATCH = 128
EPOCHS, SIZE, RATE, DECAY = 20, 1024, 5e-3, 0.01  # of the softmax regression
PLAIN = 10.0  # weight of a caption in it
SHUT = 2.0  # added to the bias of "none": captions with odd words do not open the memory
KNOWN = 0.6  # length of the code of what a photo shows, beside a unit vector of how it looks
LOUD = 5.0  # length of a name's code, beside the unit vector of its text

State = dict[str, Tensor]


@torch.inference_mode()
def text_readouts(model: Model, texts: list[str]) -> Tensor:
    """Run the text tower up to its head. Shape (texts, width)."""
    tower = model.module.text
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    read = torch.zeros(len(texts), tower.embed.embedding_dim)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        ids = model.tokenize([texts[row] for row in rows])
        read[rows] = tower.average(tower.tokens(ids), ids != 0).float()
    return read


def name_keys(read: Tensor, named: list[Named], none: int) -> State:
    """Fit the keys of names to readouts: texts with names first, then captions."""
    normed = F.layer_norm(read, read.shape[1:])
    mean, deviation = normed.mean(0), normed.std(0)
    x = (normed - mean) / deviation
    weight = torch.zeros(none + 1, x.shape[1], requires_grad=True)
    bias = torch.zeros(none + 1, requires_grad=True)
    optimizer = torch.optim.AdamW(
        [{"params": [weight]}, {"params": [bias], "weight_decay": 0.0}], lr=RATE, weight_decay=DECAY
    )
    draw = torch.Generator().manual_seed(0)
    batches = [r for _ in range(EPOCHS) for r in torch.randperm(len(x), generator=draw).split(SIZE)]
    for step, rows in enumerate(batches):
        target, strength = wanted(rows.tolist(), named, none)
        likely = F.linear(x[rows], weight, bias).log_softmax(1)
        loss = -((target * likely).sum(1) * strength).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - (step + 1) / len(batches))
    bias = bias.detach()
    bias[none] += SHUT
    norm = {"norm.weight": 1.0 / deviation, "norm.bias": -mean / deviation}
    return {**norm, "keys.weight": weight.detach(), "keys.bias": bias}


def wanted(rows: list[int], named: list[Named], none: int) -> tuple[Tensor, Tensor]:
    """Return targets (rows, none + 1) and weights (rows,); rows past `named` are captions."""
    target, weight = torch.zeros(len(rows), none + 1), torch.full((len(rows),), PLAIN)
    for place, row in enumerate(rows):
        if row >= len(named):
            target[place, none] = 1.0
            continue
        weight[place] = named[row].weight
        for column, share in named[row].target.items():
            target[place, column] = share
    return target, weight


def kept_directions(captions: Tensor, size: int) -> Tensor:
    """Return the principal directions of captions' unit vectors. Shape (d, size)."""
    return torch.linalg.eigh(captions.T @ captions).eigenvectors.flip(1)[:, :size]


def turned_heads(state: State, kept: Tensor) -> State:
    """Make both heads end in the kept directions alone."""
    new = dict(state)
    for tower in ("visual", "text"):
        for name in ("linear.weight", "mlp.fc2.weight", "mlp.fc2.bias"):
            new[f"{tower}.head.{name}"] = kept.T @ state[f"{tower}.head.{name}"]
    return new


def turned(state: State, kept: Tensor) -> State:
    """Make both heads and the values of classes end in the kept directions alone."""
    new = turned_heads(state, kept)
    new["visual.memory.values"] = state["visual.memory.values"] @ kept
    return new


def coded(model: Model, found: State, code: int) -> Model:
    """Return the model with a code of so many dimensions."""
    old = twin_config(model.architecture)
    text = replace(old.text, names=len(found["text.memory.values"]))
    config = replace(old, text=text, code=code, known=KNOWN)
    module = DualEncoder(config)
    module.load_state_dict(found)
    return replace(model, module=module, architecture={"family": "twin", **asdict(config)})


def read_rows(source: Path) -> list[dict[str, Any]]:
    """Read a JSONL of photos, their paths made whole."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    return [{**row, "path": source.parent / row["image"]} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("wordnet", "classes", "captions", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, action="append")
    parser.add_argument("--model", required=True)
    parser.add_argument("--code", type=int, default=96)
    chosen = parser.parse_args()

    model = load_model(chosen.model)
    state, kept_size = model.module.state_dict(), model.dim - chosen.code
    model.module.bfloat16()
    rows = [row for source in chosen.photos for row in read_rows(source)]
    label = ["" if row.get("wnid") else row.get("label", "") for row in rows]
    labels = sorted(set(label) - {""})
    taxonomy = Taxonomy(chosen.wordnet, chosen.classes, labels)
    keys = Keys(state["visual.memory.keys.weight"], state["visual.memory.keys.bias"])
    read = readouts(model, [row["path"] for row in rows]).float()
    whole = members(taxonomy, keys.probabilities(read), label, labels)
    meanings = Meanings(taxonomy, labels, chosen.wordnet)
    itself = [meanings.kind[one] for one in taxonomy.classes] + list(meanings.label.values())
    codes, kinds = fit_codes(read, keys, whole, itself, chosen.code)
    print(f"{len(codes)} classes, {len(rows)} photos")

    described = [row["captions"] for row in read_rows(chosen.captions)]
    captions = [caption for each in described for caption in each]
    named = texts_with_names(meanings, Spoken(described))
    plain = text_readouts(model, captions + generic_captions())
    about = text_readouts(model, [each.text for each in named])
    memory = name_keys(torch.cat([about, plain]), named, meanings.none)
    print(f"{meanings.none} names, {len(named)} texts with names, {len(plain)} captions")

    with torch.inference_mode():
        spoken = F.normalize(model.module.float().text.head(plain[: len(captions)]), dim=1)
    found = turned(state, kept_directions(spoken, kept_size))
    found["visual.memory.keys.weight"] = keys.weight / SOFT
    found["visual.memory.keys.bias"] = keys.bias / SOFT
    found["visual.memory.values"] = torch.cat([found["visual.memory.values"], codes], dim=1)
    memory["values"] = LOUD * kinds
    found |= {f"text.memory.{name}": weights for name, weights in memory.items()}
    save_checkpoint(coded(model, found, chosen.code), chosen.out, WeightStorage.INT8)


if __name__ == "__main__":
    main()
