"""How well search knows that nothing matches: the calibration of `match`, fitted and measured.

    python benchmarks/nothing.py --labels caltech_dev.jsonl --captions flickr_dev.jsonl \\
        [--classes imagenet_dev.jsonl --wordnet /usr/share/wordnet] [--more flickr_train.jsonl] \\
        [--model builtin] [--curve nothing.png]

`--labels` and `--classes`: JSONLs of `{"image", "label"}`, the second with ImageNet's `"wnid"`;
`--captions` and `--more`: JSONLs of `{"image", "captions"}`, the second for more photos among which
nothing is to be found. Every question is asked twice: of a library that holds answers to it, and of
the same library without them.

| direction | question | answers | what else is there |
|---|---|---|---|
| words to photos | a label, a class | some of its photos | captioned photos, none said to show it |
| words to photos | an everyday word | some photos of its classes | captioned photos, likewise |
| words to photos | a caption | its photo | labelled photos |
| photo to photos | a labelled photo | others of its label | captioned photos, as above |
| photo to texts | a photo | its captions | captions that share no word with these |
| words to texts | a caption | the others of its photo | likewise |

Of a label's photos 1 or 3 are among the first 100 items, and ten times as many items hold about
three times as many answers. Questions and photos are split by a hash of their names: one half fits
the constants (a logistic regression over the first ten hits of all) and the threshold, the other is
reported; "by library" is the same without the question's own unit. Refused is a question without a
hit of the threshold; "answered" are those with an answer among the first ten hits. Prints one JSON
object; `constants` and `threshold` are what `retrieval/search/matching.py` holds.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from objects import by_everyday_word
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from indexer.encoder import Vectors
from indexer.hubness import with_hubness
from indexer.moments import SAMPLE, Moments, cohort_of, measure
from indexer.photos import read_photo
from indexer.types import Kind
from retrieval.models import TowerEncoder, load_encoder
from retrieval.search.matching import Odds
from retrieval.search.prompts import ensemble

BATCH = 250
TOP = 10
SIZES = (100, 300, 1000, 3000)
OWN = (1, 3)  # answers to a label among the first 100 items
MOST = 100  # questions of a kind and half
SAID = 0.97  # share of the captioned photos that lack an everyday word, at least
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


@dataclass(frozen=True)
class Case:
    """A question, the items that answer it, and those that do not."""

    query: Vectors  # (dim + 1,)
    own: Vectors  # (answers, dim + 1)
    others: Vectors  # (n, dim + 1)
    moments: Moments
    cohort: Vectors  # generic items, (n, dim + 1)
    many: int = 1  # answers that a library of 100 items holds


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The first hits of one question: whether each is right, of how many items.

    `z` are the spreads of each by the library and by the question. Shape (hits, 2).
    """

    z: np.ndarray
    right: np.ndarray
    items: int
    present: bool


class Bench:
    """Embedded photos and texts, and the cases of each direction."""

    def __init__(self, encoder: TowerEncoder, chosen: argparse.Namespace) -> None:
        self.encoder, self.cache = encoder, chosen.cache
        self.labelled = read(chosen.labels)
        self.classes = read(chosen.classes) if chosen.classes else []
        self.everyday = by_everyday_word(self.classes, chosen.wordnet) if chosen.wordnet else {}
        self.captioned = [row for path in (chosen.captions, *chosen.more) for row in read(path)]
        self.banks = {kind: encoder.bank(kind) for kind in Kind}
        self.cohorts = {
            kind: self.stored(cohort_of(bank), kind) for kind, bank in self.banks.items()
        }
        self.labelled_rows, self.class_rows, self.captioned_rows = (
            self.stored(self.photos(rows), Kind.PHOTO)
            for rows in (self.labelled, self.classes, self.captioned)
        )
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
        empty = np.zeros((0, self.encoder.dim), dtype=np.float32)
        vectors = np.concatenate([empty, *self._embedded([row["path"] for row in rows])])
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
        yield from self._everyday(which, mine, rng)
        questions = rng.permutation(mine)[:MOST]
        texts, kin = self._apart(TEXTS, self.second[mine]), self._apart(KIN, self.second[mine])
        words = self._apart(WORDS, self.labelled_rows)
        for at in questions:
            asked = self.asked(self.first[at], WORDS)
            yield "caption", WORDS, words(asked, self.captioned_rows[[at]], self.labelled_rows)
        for at in questions:
            apart = np.array([i for i in mine if not self.words[at] & self.words[i]])
            own, others = self.second[[at]], self.second[apart]
            photo = self.asked(self.captioned_rows[at, :-1], TEXTS)
            yield "photo", TEXTS, texts(photo, own, others)
            yield "caption", KIN, kin(self.asked(self.first[at], KIN), own, others)

    def _labels(
        self, which: int, mine: np.ndarray, rng: np.random.Generator
    ) -> Iterator[tuple[str, Direction, Case]]:
        """Labels and classes that no caption holds, as words and by one of their photos."""
        said = " ".join(" ".join(row["captions"]).lower() for row in self.captioned)
        others = self.captioned_rows[mine]
        words, alike = self._apart(WORDS, others), self._apart(ALIKE, others)
        for kind, rows, vectors in (
            ("label", self.labelled, self.labelled_rows),
            ("class", self.classes, self.class_rows),
        ):
            owned = np.array([row["label"] for row in rows])
            for label in sorted(set(owned)):
                if half(label) != which or re.search(rf"\b{re.escape(stem(label))}", said):
                    continue
                own = vectors[owned == label]
                asked = self.named(label)
                for many in OWN:
                    yield kind, WORDS, words(asked, own[rng.permutation(len(own))], others, many)
                if kind == "label":
                    one, *rest = rng.permutation(len(own))
                    photo = self.asked(own[one, :-1], ALIKE)
                    yield "labelled photo", ALIKE, alike(photo, own[rest], others)

    def _everyday(
        self, which: int, mine: np.ndarray, rng: np.random.Generator
    ) -> Iterator[tuple[str, Direction, Case]]:
        """Words for many classes, among photos whose captions lack them."""
        make = self._apart(WORDS, self.captioned_rows[mine])
        for word in sorted(self.everyday):
            lacking = rf"\b{re.escape(stem(word))}"
            said = (" ".join(self.captioned[i]["captions"]).lower() for i in mine)
            others = mine[[not re.search(lacking, each) for each in said]]
            if half(word) != which or len(others) < SAID * len(mine):
                continue
            own = self.class_rows[self.everyday[word]]
            for many in OWN:
                own = own[rng.permutation(len(own))]
                case = make(self.named(word), own, self.captioned_rows[others], many)
                yield "everyday word", WORDS, case

    def named(self, name: str) -> Vectors:
        """A name as search asks it. Shape (dim + 1,)."""
        (vector,) = ensemble(self.encoder, [name])
        return self.asked(vector, WORDS)

    def _apart(self, way: Direction, rows: Vectors) -> Callable[..., Case]:
        """Make cases of a direction, in the units of a library of these items."""
        measured = measure(self.banks[way[0]], rows[:SAMPLE], items=len(rows))
        return partial(_case, measured, self.cohorts[way[1]])


def _case(
    moments: Moments,
    cohort: Vectors,
    query: Vectors,
    own: Vectors,
    others: Vectors,
    many: int = 1,
) -> Case:
    """Put a case together."""
    return Case(query=query, own=own, others=others, moments=moments, cohort=cohort, many=many)


def ask(case: Case, size: int, seed: int) -> tuple[Asked, Asked]:
    """Ask with and without the answers, of a library of so many items."""
    rng = np.random.default_rng(seed)
    others = case.others[rng.permutation(len(case.others))[:size]]
    own = case.own[: max(1, round(case.many * (len(others) / SIZES[0]) ** 0.5))]
    alpha = -float(case.query[-1])
    generic = case.cohort @ case.query
    mean = np.array([case.moments.mean(alpha), generic.mean()])
    spread = np.array([case.moments.spread(alpha), generic.std()])
    scores = np.concatenate([others, own]) @ case.query
    z = (scores[:, None] - mean) / spread  # (items, 2)
    right = np.repeat([False, True], [len(others), len(own)])
    first = np.argsort(-scores, kind="stable")[:TOP]
    without = np.argsort(-scores[: len(others)], kind="stable")[:TOP]
    return (
        Asked(z=z[first], right=right[first], items=len(scores), present=True),
        Asked(z=z[without], right=right[without], items=len(others), present=False),
    )


WORDS, ALIKE = (Kind.TEXT, Kind.PHOTO), (Kind.PHOTO, Kind.PHOTO)
TEXTS, KIN = (Kind.PHOTO, Kind.TEXT), (Kind.TEXT, Kind.TEXT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--more", type=Path, action="append", default=[])
    parser.add_argument("--classes", type=Path)
    parser.add_argument("--wordnet", type=Path, help="asks for everyday words among --classes")
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
        result[name] = report(tested[direction], constants, least)
        simple = fit(pool(fitted[direction]), own=False)
        least_simple = threshold(pool(fitted[direction]), simple)
        result[f"{name}, by library"] = report(tested[direction], simple, least_simple)
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


def fit(asked: list[Asked], *, own: bool = True) -> Odds:
    """Fit the constants; without the question's own unit, its weight is 0."""
    z = np.concatenate([each.z for each in asked])[:, : 1 + own]
    sizes = np.concatenate([np.full(len(each.z), np.log(each.items / 1000)) for each in asked])
    right = np.concatenate([each.right for each in asked])
    model = LogisticRegression(C=1e6, max_iter=1000).fit(np.column_stack([z, sizes]), right)
    slope, *unit, cost = (float(value) for value in model.coef_[0])
    return Odds(
        slope=slope, own=unit[0] if own else 0.0, offset=-float(model.intercept_[0]), size=-cost
    )


def match(asked: Asked, odds: Odds) -> np.ndarray:
    """The probability of each hit."""
    log_odds = asked.z @ [odds.slope, odds.own] - odds.offset
    return 1 / (1 + np.exp(odds.size * np.log(asked.items / 1000) - log_odds))


def best(asked: list[Asked], constants: Odds) -> np.ndarray:
    """The probability of the best hit of each question."""
    return np.array([match(each, constants).max() for each in asked])


def threshold(asked: list[Asked], constants: Odds) -> float:
    """The threshold that refuses `REFUSED` of the answered questions."""
    answered = [each for each in asked if each.right.any()]
    return float(np.quantile(best(answered, constants), REFUSED))


def report(tested: dict[str, list[Asked]], constants: Odds, least: float) -> dict[str, object]:
    """Constants and threshold, and what they do to each kind of question."""
    return {
        "constants": {name: round(value, 3) for name, value in asdict(constants).items()},
        "threshold": round(least, 3),
        "report": {
            kind: figures(asked, constants, least)
            for kind, asked in [*tested.items(), ("all", pool(tested))]
        },
    }


def figures(asked: list[Asked], constants: Odds, least: float) -> dict[str, object]:
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
    constants: Odds
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
