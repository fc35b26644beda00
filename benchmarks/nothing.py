"""How well search knows that nothing matches: the calibration of `match`, fitted and measured.

    python benchmarks/nothing.py --labels caltech_dev.jsonl --captions flickr_dev.jsonl \\
        [--more flickr_train.jsonl] [--model builtin] [--curve nothing.png]

`--labels`: a JSONL of `{"image", "label"}`; `--captions` and `--more`: JSONLs of `{"image",
"captions"}`, the second for more photos among which nothing is to be found. Every question is
asked twice: of a library that holds answers to it, and of the same library without them.

| direction | question | answers | what else is there |
|---|---|---|---|
| words to photos | a label | some of its photos | captioned photos, no caption has the label |
| words to photos | a caption | its photo | labelled photos |
| photo to photos | a labelled photo | others of its label | captioned photos, as above |
| photo to texts | a photo | its captions | captions that share no word with these |
| words to texts | a caption | the others of its photo | likewise |

Of a label's photos 1 or 3 are among the first 100 items, and ten times as many items hold about
three times as many answers. Questions and photos are split by a hash of their names: one half fits
the constants (a logistic regression over the first ten hits of all) and the threshold, the other is
reported. Refused is a question without a hit of the threshold; "answered" are those with an answer
among the first ten hits. Prints one JSON object; `constants` and `threshold` are what
`retrieval/search/matching.py` holds.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from indexer.encoder import Vectors
from indexer.hubness import with_hubness
from indexer.moments import SAMPLE, Moments, measure
from indexer.photos import read_photo
from indexer.types import Kind
from retrieval.models import TowerEncoder, load_encoder
from retrieval.search.prompts import ensemble

BATCH = 250
TOP = 10
SIZES = (100, 300, 1000, 3000)
OWN = (1, 3)  # answers to a label among the first 100 items
MOST = 100  # questions of a kind and half
REFUSED = 0.05  # of the answered questions, at most
COMMON = frozenset(
    [
        "with",
        "from",
        "that",
        "this",
        "their",
        "there",
        "into",
        "over",
        "under",
        "near",
        "while",
        "other",
    ]
)
Direction = tuple[Kind, Kind]
Constants = tuple[float, float, float]
"""Slope, offset, size."""


@dataclass(frozen=True)
class Case:
    """A question, the items that answer it, and those that do not."""

    query: Vectors  # (dim + 1,)
    own: Vectors  # (answers, dim + 1)
    others: Vectors  # (n, dim + 1)
    moments: Moments
    many: int = 1  # answers that a library of 100 items holds


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The first hits of one question: `z` of each, whether it is right, of how many items."""

    z: np.ndarray
    right: np.ndarray
    items: int
    present: bool


class Bench:
    """Embedded photos and texts, and the cases of each direction."""

    def __init__(self, encoder: TowerEncoder, chosen: argparse.Namespace) -> None:
        self.encoder, self.cache = encoder, chosen.cache
        self.labelled = read(chosen.labels)
        self.captioned = [row for path in (chosen.captions, *chosen.more) for row in read(path)]
        self.banks = {kind: encoder.bank(kind) for kind in Kind}
        photos = [self.photos(rows) for rows in (self.labelled, self.captioned)]
        self.labelled_rows, self.captioned_rows = (self.stored(each, Kind.PHOTO) for each in photos)
        self.texts = [str(row["captions"][0]) for row in self.captioned]
        self.others = [str(row["captions"][1]) for row in self.captioned]
        self.first = encoder.encode_texts(self.texts)
        self.second = self.stored(encoder.encode_texts(self.others), Kind.TEXT)
        self.words = [content(" ".join(row["captions"])) for row in self.captioned]
        self.half = np.array([half(str(row["image"])) for row in self.captioned])

    def stored(self, vectors: Vectors, kind: Kind) -> Vectors:
        """Items as a library stores them. Shape (n, dim + 1)."""
        facing = self.banks[Kind.TEXT if kind == Kind.PHOTO else Kind.PHOTO]
        return with_hubness(vectors, facing, self.encoder.hubness.k)

    def asked(self, vector: Vectors, direction: Direction) -> Vectors:
        """A question as search asks. Shape (dim + 1,)."""
        query, item = direction
        return np.append(vector, -self.encoder.hubness.alpha(query=query, item=item))

    def photos(self, rows: list[dict]) -> Vectors:
        """Embed photos, or read them from the cache."""
        key = zlib.crc32("\n".join(str(row["image"]) for row in rows).encode())
        kept = self.cache / f"{self.encoder.fingerprint[:12]}-{key:08x}.npy" if self.cache else None
        if kept is not None and kept.is_file():
            return np.load(kept)
        vectors = np.concatenate(list(self._embedded([row["path"] for row in rows])))
        if kept is not None:
            np.save(kept, vectors)
        return vectors

    def _embedded(self, paths: Sequence[Path]) -> Iterator[Vectors]:
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            photos = [read_photo(path, size_hint=self.encoder.image_size) for path in batch]
            yield self.encoder.encode_images(photos)

    def cases(self, which: int, seed: int) -> Iterator[tuple[str, Direction, Case]]:
        """The cases of one half, each kind of question in turn."""
        rng = np.random.default_rng(seed + which)
        mine = np.flatnonzero(self.half == which)
        yield from self._labels(which, mine, rng)
        questions = rng.permutation(mine)[:MOST]
        units = {way: self.measured(way, self.second[mine]) for way in (TEXTS, KIN)}
        among = self.measured(WORDS, self.labelled_rows)
        for at in questions:
            own, words = self.captioned_rows[[at]], self.asked(self.first[at], WORDS)
            yield "caption", WORDS, Case(words, own, self.labelled_rows, among)
        for at in questions:
            apart = np.array([i for i in mine if not self.words[at] & self.words[i]])
            own, others = self.second[[at]], self.second[apart]
            photo, words = self.captioned_rows[at, :-1], self.first[at]
            yield "photo", TEXTS, Case(self.asked(photo, TEXTS), own, others, units[TEXTS])
            yield "caption", KIN, Case(self.asked(words, KIN), own, others, units[KIN])

    def _labels(
        self, which: int, mine: np.ndarray, rng: np.random.Generator
    ) -> Iterator[tuple[str, Direction, Case]]:
        """Labels that no caption holds, as words and by one of their photos."""
        said = " ".join(" ".join(row["captions"]).lower() for row in self.captioned)
        owned = np.array([row["label"] for row in self.labelled])
        others = self.captioned_rows[mine]
        units = {way: self.measured(way, others) for way in (WORDS, ALIKE)}
        for label in sorted(set(owned)):
            if half(label) != which or re.search(rf"\b{re.escape(stem(label))}", said):
                continue
            rows = self.labelled_rows[owned == label]
            (vector,) = ensemble(self.encoder, [label])
            words = self.asked(vector, WORDS)
            for many in OWN:
                own = rows[rng.permutation(len(rows))]
                yield "label", WORDS, Case(words, own, others, units[WORDS], many)
            one, *rest = rng.permutation(len(rows))
            photo = self.asked(rows[one, :-1], ALIKE)
            yield "labelled photo", ALIKE, Case(photo, rows[rest], others, units[ALIKE])

    def measured(self, way: Direction, rows: Vectors) -> Moments:
        """What unrelated questions reach among these items."""
        return measure(self.banks[way[0]], rows[:SAMPLE], items=len(rows))


def ask(case: Case, size: int, seed: int) -> tuple[Asked, Asked]:
    """Ask with and without the answers, of a library of so many items."""
    rng = np.random.default_rng(seed)
    others = case.others[rng.permutation(len(case.others))[:size]]
    own = case.own[: max(1, round(case.many * (len(others) / SIZES[0]) ** 0.5))]
    alpha = -float(case.query[-1])
    z = [
        (rows @ case.query - case.moments.mean(alpha)) / case.moments.spread(alpha)
        for rows in (others, own)
    ]
    both, right = np.concatenate(z), np.repeat([False, True], [len(others), len(own)])
    first = np.argsort(-both, kind="stable")[:TOP]
    without = -np.sort(-z[0])[:TOP]
    return (
        Asked(z=both[first], right=right[first], items=len(both), present=True),
        Asked(z=without, right=np.zeros(len(without), bool), items=len(others), present=False),
    )


WORDS, ALIKE = (Kind.TEXT, Kind.PHOTO), (Kind.PHOTO, Kind.PHOTO)
TEXTS, KIN = (Kind.PHOTO, Kind.TEXT), (Kind.TEXT, Kind.TEXT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--more", type=Path, action="append", default=[])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps the photos' vectors")
    parser.add_argument("--curve", type=Path, help="PNG of precision and recall by threshold")
    chosen = parser.parse_args()

    bench = Bench(load_encoder(chosen.model, "cpu"), chosen)
    fitted, tested = (gather(bench, which, chosen.seed) for which in (0, 1))
    result: dict[str, object] = {"model": chosen.model, "seed": chosen.seed}
    curves = {}
    for direction in (WORDS, ALIKE, TEXTS, KIN):
        name = " to ".join(direction)
        constants = fit(pool(fitted[direction]))
        least = threshold(pool(fitted[direction]), constants)
        result[name] = {
            "constants": [round(value, 3) for value in constants],
            "threshold": round(least, 3),
            "report": {
                kind: figures(asked, constants, least)
                for kind, asked in [*tested[direction].items(), ("all", pool(tested[direction]))]
            },
        }
        curves[name] = Curve(pool(tested[direction]), constants, least)
    print(json.dumps(result))
    if chosen.curve:
        draw(curves, chosen.curve)


Gathered = dict[Direction, dict[str, list[Asked]]]


def gather(bench: Bench, which: int, seed: int) -> Gathered:
    """Ask all questions of one half of libraries of all sizes."""
    gathered: Gathered = defaultdict(lambda: defaultdict(list))
    for number, (kind, direction, case) in enumerate(bench.cases(which, seed)):
        for size in SIZES:
            if size <= len(case.others) or size == SIZES[0]:
                gathered[direction][kind] += ask(case, size, number)
    return gathered


def pool(gathered: dict[str, list[Asked]]) -> list[Asked]:
    """Put the questions of all kinds together."""
    return [asked for each in gathered.values() for asked in each]


def fit(asked: list[Asked]) -> Constants:
    """Fit slope, offset and the cost of size: log-odds = slope * z - offset - cost * ln(n/1000)."""
    z = np.concatenate([each.z for each in asked])
    sizes = np.concatenate([np.full(len(each.z), np.log(each.items / 1000)) for each in asked])
    right = np.concatenate([each.right for each in asked])
    model = LogisticRegression(C=1e6, max_iter=1000).fit(np.column_stack([z, sizes]), right)
    slope, cost = model.coef_[0]
    return float(slope), float(-model.intercept_[0]), float(-cost)


def match(asked: Asked, constants: Constants) -> np.ndarray:
    """The probability of each hit."""
    slope, offset, cost = constants
    return 1 / (1 + np.exp(offset + cost * np.log(asked.items / 1000) - slope * asked.z))


def best(asked: list[Asked], constants: Constants) -> np.ndarray:
    """The probability of the best hit of each question."""
    return np.array([match(each, constants).max() for each in asked])


def threshold(asked: list[Asked], constants: Constants) -> float:
    """The threshold that refuses `REFUSED` of the answered questions."""
    answered = [each for each in asked if each.right.any()]
    return float(np.quantile(best(answered, constants), REFUSED))


def figures(asked: list[Asked], constants: Constants, least: float) -> dict[str, object]:
    """Precision and recall of "nothing matches", and how true the probabilities are."""
    highest = best(asked, constants)
    present = np.array([each.present for each in asked])
    answered = np.array([each.right.any() for each in asked])
    refused = highest < least
    hits = np.concatenate([match(each, constants) for each in asked])
    right = np.concatenate([each.right for each in asked])
    by_size = {
        size: {
            "answered refused": share(refused[answered & (near == size)]),
            "absent refused": share(refused[~present & (near == size)]),
        }
        for near in [np.array([min(SIZES, key=lambda s: abs(each.items - s)) for each in asked])]
        for size in sorted(set(near.tolist()))
    }
    return {
        "questions": len(asked) // 2,
        "answered": share(answered[present]),
        "precision": share(~present[refused]),
        "recall": share(refused[~present]),
        "present refused": share(refused[present]),
        "answered refused": share(refused[answered]),
        "AUC": round(float(roc_auc_score(present, highest)), 3),
        "hits AUC": round(float(roc_auc_score(right, hits)), 3),
        "calibration error": round(calibration_error(hits, right), 3),
        "by size": by_size,
    }


def share(values: np.ndarray) -> float:
    return round(float(values.mean()), 3) if len(values) else float("nan")


def calibration_error(hits: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of probability and truth over ten bins, weighed by their hits."""
    bins = np.minimum((hits * 10).astype(int), 9)
    gaps = [
        abs(hits[bins == each].mean() - right[bins == each].mean()) * (bins == each).mean()
        for each in np.unique(bins)
    ]
    return float(sum(gaps))


@dataclass(frozen=True)
class Curve:
    """What is drawn of one direction."""

    asked: list[Asked]
    constants: Constants
    threshold: float


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Draw, by threshold, the share of absent and of present questions that are refused."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = np.linspace(0, 1, 201)
    for name, curve in curves.items():
        highest = best(curve.asked, curve.constants)
        present = np.array([each.present for each in curve.asked])
        refused = highest[None] < steps[:, None]  # (steps, questions)
        recall = refused[:, ~present].mean(axis=1)
        precision = (refused & ~present).sum(axis=1) / np.maximum(1, refused.sum(axis=1))
        (line,) = left.plot(steps, recall, label=name)
        left.plot(steps, refused[:, present].mean(axis=1), ":", color=line.get_color())
        right.plot(recall[1:], precision[1:])
        at = np.searchsorted(steps, curve.threshold)
        right.plot(recall[at], precision[at], "o", color=line.get_color())
    left.set(xlabel="threshold", ylabel="refused (dotted: has an answer)")
    right.set(xlabel="recall of “nothing matches”", ylabel="its precision (dot: default)")
    left.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def read(source: Path) -> list[dict]:
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    return [{**row, "path": source.parent / row["image"]} for row in rows]


def half(name: str) -> int:
    return zlib.crc32(name.encode()) % 2


def stem(label: str) -> str:
    return label.lower().split()[-1].rstrip("s")


def content(text: str) -> frozenset[str]:
    """The words of a text that say something."""
    return frozenset(re.findall(r"[a-z]{4,}", text.lower())) - COMMON


if __name__ == "__main__":
    main()
