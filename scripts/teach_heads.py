"""Learn further heads for a built-in model whose towers stay as they are; all become one wide head.

    python scripts/teach_heads.py --model runs/stage3 --pairs flickr_train.jsonl \\
        --pairs labelled.jsonl --pairs unlabelled.jsonl --out runs/headed

Towers that have learned from captions for hours still have heads that saw them change. Each tower
is run once over the data; heads then learn from its readouts, a hundred and more epochs in minutes.
Heads of several seeds err differently: the mean of their cosines ranks better than any of them.

| part | how |
|---|---|
| readouts | each photo whole and in `--views` crops, half of them mirrored; each caption |
| a head | contrastively, as the towers were, with dropout on the readouts |
| one wide head | hidden units side by side, then the principal directions of captions |

The model's own heads are among them. Readouts are taken in bfloat16.
"""

from __future__ import annotations

import argparse
import math
import random
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from PIL import Image, ImageOps
from teach_names import kept_directions, read_rows, text_readouts, turned_heads
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.media.image import read_photo
from retrieval._enums import WeightStorage
from retrieval.models import load_model
from retrieval.models.checkpoint import save_checkpoint, twin_config
from retrieval.models.dual_encoder import DualEncoder, ProjectionHead
from retrieval.models.loaded_model import Model
from retrieval.training.losses import similarity_logits

BATCH = 50  # photos that are read at once
AREA, SHAPE = (0.55, 1.0), (0.85, 1.18)  # of a crop: share of the photo, and of its own proportions
SIZE, RATE, DECAY, WARM = 1024, 1e-3, 0.1, 20  # pairs of a step; steps until the rate is full
SCALE = 20.0  # inverse temperature at the start
EMA = 0.05  # share of each step in the running average of the weights


@dataclass(frozen=True)
class Pairs:
    """Readouts of photos, a tensor (views, r) each, of captions (n, w), and which are whose."""

    photos: list[Tensor]
    captions: Tensor
    owned: list[list[int]]

    def draw(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        """Draw a view and a caption of each photo. Shapes (rows, r) and (rows, w)."""
        views = [self.photos[row] for row in rows]
        seen = [each[int(torch.randint(len(each), ()))] for each in views]
        said = [self.owned[row][int(torch.randint(len(self.owned[row]), ()))] for row in rows]
        return torch.stack(seen), self.captions[said]


class Heads(nn.Module):
    """A head of each tower, and their temperature."""

    def __init__(self, image: ProjectionHead, text: ProjectionHead) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.logit_scale = nn.Parameter(torch.tensor(math.log(SCALE)))


def crop(photo: Image.Image, draw: random.Random) -> Image.Image:
    """Cut a part of nearly the same shape out of a photo; mirror every other one."""
    side, shape = draw.uniform(*AREA) ** 0.5, draw.uniform(*SHAPE)
    width = min(photo.width, int(photo.width * side * shape))
    height = min(photo.height, int(photo.height * side / shape))
    left, top = draw.randint(0, photo.width - width), draw.randint(0, photo.height - height)
    part = photo.crop((left, top, left + width, top + height))
    return ImageOps.mirror(part) if draw.random() < 0.5 else part


@torch.inference_mode()
def photo_readouts(model: Model, paths: list[Path], views: int) -> list[Tensor]:
    """Run the image tower over photos, whole and in crops. Shape (1 + views, r) each."""
    tower, draw = model.module.visual, random.Random(0)
    found: list[Tensor] = []
    for start in range(0, len(paths), BATCH):
        size = round(model.image.size * 1.25)
        photos = [read_photo(path, size_hint=size) for path in paths[start : start + BATCH]]
        parts = []
        for view in range(1 + views):
            seen = [crop(photo, draw) if view else photo for photo in photos]
            pixels = torch.stack([model.preprocess(each) for each in seen]).bfloat16()
            parts.append(tower.read(tower.tokens(pixels)).float())
        found += torch.stack(parts, dim=1)
    return found


def read_pairs(model: Model, sources: list[Path], views: int) -> Pairs:
    """Read photos and captions with the towers."""
    rows = [row for source in sources for row in read_rows(source) if row["captions"]]
    texts = [caption for row in rows for caption in row["captions"]]
    edges = [0]
    for row in rows:
        edges.append(edges[-1] + len(row["captions"]))
    owned = [list(range(*span)) for span in pairwise(edges)]
    photos = photo_readouts(model, [row["path"] for row in rows], views)
    return Pairs(photos, text_readouts(model, texts), owned)


def learned(pairs: Pairs, like: Heads, *, seed: int, epochs: int, dropout: float) -> Heads:
    """Learn heads of the shape of others, from nothing; return their running average."""
    torch.manual_seed(seed)
    heads = Heads(*(_fresh(each) for each in (like.image, like.text)))
    average = [weight.detach().clone() for weight in heads.parameters()]
    decayed = [weight for each in (heads.image, heads.text) for weight in each.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": [heads.logit_scale], "weight_decay": 0.0}],
        lr=RATE,
        weight_decay=DECAY,
    )
    each = len(pairs.photos) // SIZE  # steps of an epoch
    steps = epochs * each
    for step in range(steps):
        if step % each == 0:
            order = torch.randperm(len(pairs.photos)).split(SIZE)
        rate = 0.5 * (1.0 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / WARM)
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate
        seen, said = pairs.draw(order[step % each].tolist())
        image, text = heads.image(F.dropout(seen, dropout)), heads.text(F.dropout(said, dropout))
        logits = similarity_logits(image, text, heads.logit_scale)
        own = torch.arange(len(logits))
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for kept, weight in zip(average, heads.parameters(), strict=True):
            kept.lerp_(weight.detach(), EMA)
    with torch.no_grad():
        for kept, weight in zip(average, heads.parameters(), strict=True):
            weight.copy_(kept)
    print(f"seed {seed}: loss {loss.item():.3f} after {steps} steps", flush=True)
    return heads


def _fresh(like: ProjectionHead) -> ProjectionHead:
    """Make an untrained head of the shape of another."""
    linear, hidden = like.linear, like.mlp.fc1.out_features
    return ProjectionHead(linear.in_features, hidden, linear.out_features)


@torch.inference_mode()
def length(head: ProjectionHead, read: Tensor) -> float:
    """Return the mean length of what a head gives."""
    return float(head(read).norm(dim=1).mean())


@torch.inference_mode()
def side_by_side(heads: list[ProjectionHead], read: Tensor) -> ProjectionHead:
    """Make one head whose outputs are those of several, each about as long as the others.

    The scale and shift of each norm go into the layers after it.
    """
    width, dim = heads[0].linear.in_features, sum(each.linear.out_features for each in heads)
    hidden = sum(each.mlp.fc1.out_features for each in heads)
    wide = ProjectionHead(width, hidden, dim)
    lengths = [length(each, read) for each in heads]
    scaled = list(zip(heads, lengths, strict=True))
    wide.linear.weight.copy_(torch.cat([h.linear.weight * h.norm.weight / n for h, n in scaled]))
    wide.mlp.fc1.weight.copy_(torch.cat([h.mlp.fc1.weight * h.norm.weight for h in heads]))
    wide.mlp.fc1.bias.copy_(torch.cat([h.mlp.fc1(h.norm.bias) for h in heads]))
    wide.mlp.fc2.weight.copy_(torch.block_diag(*(h.mlp.fc2.weight / n for h, n in scaled)))
    shift = [(h.linear(h.norm.bias) + h.mlp.fc2.bias) / n for h, n in scaled]
    wide.mlp.fc2.bias.copy_(torch.cat(shift))
    return wide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--pairs", type=Path, required=True, action="append")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=2, help="heads that are learned")
    chosen = parser.parse_args()

    model = load_model(chosen.model)
    config = twin_config(model.architecture)
    state = {name: weight.clone() for name, weight in model.module.state_dict().items()}
    model.module.bfloat16()
    pairs = read_pairs(model, chosen.pairs, chosen.views)
    model.module.float().load_state_dict(state)
    print(f"{len(pairs.photos)} photos, {len(pairs.captions)} captions", flush=True)

    own = Heads(model.module.visual.head, model.module.text.head)
    settings = {"epochs": chosen.epochs, "dropout": chosen.dropout}
    heads = [own, *(learned(pairs, own, seed=s, **settings) for s in range(1, 1 + chosen.seeds))]
    whole = torch.stack([views[0] for views in pairs.photos])
    image = side_by_side([each.image for each in heads], whole)
    text = side_by_side([each.text for each in heads], pairs.captions)
    with torch.inference_mode():
        spoken = F.normalize(text(pairs.captions), dim=1)
    for tower, head in (("visual", image), ("text", text)):
        state |= {f"{tower}.head.{name}": weight for name, weight in head.state_dict().items()}

    module = DualEncoder(replace(config, hidden=image.mlp.fc1.out_features))
    module.load_state_dict(turned_heads(state, kept_directions(spoken, config.dim)))
    plain = {"family": "twin", **asdict(module.config)}
    headed = replace(model, module=module, architecture=plain)
    save_checkpoint(headed, chosen.out, WeightStorage.FLOAT16)
    print(f"{chosen.out}: {len(heads)} heads in one of {module.config.hidden} hidden units")


if __name__ == "__main__":
    main()
