"""Give a built-in model a memory of classes, without training: names that no caption taught.

    python scripts/remember_classes.py --model runs/stage3 --classifier vit_tiny.safetensors \\
        --wordnet /usr/share/wordnet --classes imagenet/labels.jsonl \\
        --photos A.jsonl --photos B.jsonl --captions flickr_train.jsonl --out runs/remembering

The image tower's readout of a photo still holds what its classifier knew. Three fits, closed or
convex, turn that into a `ClassMemory`:

| part | fit |
|---|---|
| keys of the classifier's classes | ridge regression from the readout to its logits |
| keys of labels that photos carry | softmax regression beside those, most of the target the label |
| values | the vectors of the names of a class, and of the kinds above it, whitened |

Whitening divides by the covariance of captions and names: a value is found by its name, and moves
what captions find as little as can be. `--strength` scales the values against the unit vector of
the head.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from label_pairs import Taxonomy, classify
from torch import Tensor
from torch.nn import functional as F

from indexer.media.image import read_photo
from retrieval._enums import WeightStorage
from retrieval.models import TorchEncoder, load_model
from retrieval.models.checkpoint import save_checkpoint, twin_config
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.loaded_model import Model

BATCH = 100
RIDGE = 10.0
NAMED = ("a photo of a {}", "{}")
ABOVE = 0.3  # share of the names of a kind in the values of the classes below it
CAPTIONS = 0.5  # share of the captions' covariance in the whitening, against that of names
FLOOR = 0.1  # of the mean variance, added to every direction
EPOCHS, SIZE, RATE, DECAY = 10, 512, 1e-3, 0.1  # of the softmax regression
SELDOM = -2.0  # where the bias of a label begins
OWN = 0.8  # of what a photo should be taken for is its own class or label


@dataclass(frozen=True)
class Photos:
    """What is known of the photos: readouts (p, r), logits (p, c), own class or -1, own label."""

    read: Tensor
    logits: Tensor
    own: list[int]
    label: list[str]


@torch.inference_mode()
def readouts(model: Model, paths: list[Path]) -> Tensor:
    """Run the image tower up to its heads. Shape (photos, 3 · width)."""
    tower = model.module.visual
    parts = []
    for start in range(0, len(paths), BATCH):
        batch = [read_photo(path, size_hint=model.image.size) for path in paths[start:][:BATCH]]
        pixels = torch.stack([model.preprocess(photo) for photo in batch])
        parts.append(tower.read(tower.tokens(pixels.to(tower.norm.weight.dtype))))
    return torch.cat(parts)


def with_one(x: Tensor) -> Tensor:
    """Append a constant, for the bias. Shape (n, r + 1)."""
    return torch.cat([x, torch.ones(len(x), 1)], dim=1)


def class_keys(read: Tensor, logits: Tensor) -> Tensor:
    """Fit logits by ridge regression. Shape (r + 1, classes)."""
    x = with_one(read)
    keys: Tensor = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(x.shape[1]), x.T @ logits)
    return keys


def label_keys(read: Tensor, keys: Tensor, target: Tensor) -> Tensor:
    """Fit further classes beside fixed ones. `target`: (n, all classes). Shape (r + 1, labels)."""
    x = with_one(read)
    found = torch.zeros(x.shape[1], target.shape[1] - keys.shape[1])
    found[-1] = SELDOM
    found.requires_grad_()
    optimizer = torch.optim.AdamW([found], lr=RATE, weight_decay=DECAY)
    draw = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=draw).split(SIZE):
            logits = torch.cat([x[rows] @ keys, x[rows] @ found], dim=1)
            loss = -(target[rows] * logits.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return found.detach()


def targets(photos: Photos, labels: list[str]) -> Tensor:
    """Return what each photo should be taken for. Shape (photos, classes + labels)."""
    target = F.pad(photos.logits.softmax(1), (0, len(labels)))
    for row, own, label in zip(target, photos.own, photos.label, strict=True):
        place = own if own >= 0 else photos.logits.shape[1] + labels.index(label) if label else -1
        if place >= 0:
            row *= 1.0 - OWN
            row[place] += OWN
    return target


def fitted_keys(photos: Photos, labels: list[str]) -> tuple[Tensor, Tensor]:
    """Fit all keys; return weight (classes, r) and bias (classes,) for the readout as it is."""
    mean, deviation = photos.read.mean(0), photos.read.std(0)
    read = (photos.read - mean) / deviation
    keys = class_keys(read, photos.logits)
    keys = torch.cat([keys, label_keys(read, keys, targets(photos, labels))], dim=1)
    weight = (keys[:-1] / deviation[:, None]).T  # (classes, r)
    return weight, keys[-1] - weight @ mean


def name_vectors(encoder: TorchEncoder, names: list[list[str]]) -> Tensor:
    """Embed the names of each kind, zero for one without. Shape (kinds, d)."""
    each = [(row, name) for row, some in enumerate(names) for name in some]
    flat = [(row, template.format(name)) for row, name in each for template in NAMED]
    vectors = torch.from_numpy(encoder.encode_texts([text for _, text in flat]))
    total = torch.zeros(len(names), encoder.dim)
    total.index_add_(0, torch.tensor([row for row, _ in flat]), vectors)
    return F.normalize(total, dim=1)


def covariance(vectors: Tensor) -> Tensor:
    """Return the covariance of vectors, its trace 1. Shape (d, d)."""
    centred = vectors - vectors.mean(0)
    spread = centred.T @ centred
    return spread / spread.trace()


def fitted_values(kinds: Tensor, labels: Tensor, captions: Tensor, taxonomy: Taxonomy) -> Tensor:
    """Whiten the vectors of names and add up those of each class. Shape (classes + labels, d)."""
    there = kinds.norm(dim=1) > 0
    mean = kinds[there].mean(0)
    spread = CAPTIONS * covariance(captions) + (1 - CAPTIONS) * covariance(kinds[there])
    spread += FLOOR * spread.trace() / len(spread) * torch.eye(len(spread))
    centred = torch.cat([(kinds - mean) * there[:, None], labels - mean])
    white = torch.linalg.solve(spread, centred.T).T
    white /= (white * centred).sum(1, keepdim=True).clamp(min=1e-9)  # its own name scores 1
    white[: len(kinds)] *= there[:, None]
    own = torch.zeros_like(taxonomy.belongs)
    own[range(len(own)), [taxonomy.kinds.index(one) for one in taxonomy.classes]] = 1.0
    shares = own + ABOVE * (taxonomy.belongs - own)
    return torch.cat([shares @ white[: len(kinds)], white[len(kinds) :]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("classifier", "wordnet", "classes", "captions", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, action="append")
    parser.add_argument("--model", required=True)
    parser.add_argument("--strength", type=float, default=0.2)
    chosen = parser.parse_args()

    model, taxonomy = load_model(chosen.model), Taxonomy(chosen.wordnet, chosen.classes)
    rows = [
        {**json.loads(line), "path": source.parent / json.loads(line)["image"]}
        for source in chosen.photos
        for line in source.read_text(encoding="utf-8").splitlines()
    ]
    paths = [row["path"] for row in rows]
    own = [taxonomy.classes.index(r["wnid"][1:]) if r.get("wnid") else -1 for r in rows]
    label = ["" if row.get("wnid") else row.get("label", "") for row in rows]
    state = model.module.state_dict()
    model.module.bfloat16()
    photos = Photos(readouts(model, paths).float(), classify(paths, chosen.classifier), own, label)
    labels = sorted(set(label) - {""})
    weight, bias = fitted_keys(photos, labels)
    model.module.float().load_state_dict(state)

    encoder = TorchEncoder(model, "cpu")
    lines = [json.loads(line) for line in chosen.captions.read_text("utf-8").splitlines()]
    captions = encoder.encode_texts([row["captions"][0] for row in lines])
    kinds = name_vectors(encoder, [taxonomy.names(kind) for kind in taxonomy.kinds])
    named = name_vectors(encoder, [[name] for name in labels])
    values = fitted_values(kinds, named, torch.from_numpy(captions), taxonomy)

    config = twin_config(model.architecture)
    config = replace(config, image=replace(config.image, classes=len(weight)))
    module = DualEncoder(config)
    memory = {"keys.weight": weight, "keys.bias": bias, "values": chosen.strength * values}
    state = {**model.module.state_dict(), **{f"visual.memory.{n}": w for n, w in memory.items()}}
    module.load_state_dict(state)
    remembering = replace(model, module=module, architecture={"family": "twin", **asdict(config)})
    save_checkpoint(remembering, chosen.out, WeightStorage.INT8)
    print(f"{chosen.out}: {len(weight)} classes, {len(paths)} photos")


if __name__ == "__main__":
    main()
