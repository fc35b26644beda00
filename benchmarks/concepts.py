"""Names learned from five photos, against the plain word and the mean of the photos' vectors.

    python benchmarks/concepts.py --labels L.jsonl --captions P.jsonl [--model builtin]

`--labels`: a JSONL of `{"image", "label"}`. Each label is learned from its photos 1 to 5 in the
order of the file and looked for among the photos 6 and 17 to 20 of every label and the photos of
`--captions`: those of Caltech-101 that the built-in model was not trained on. Average precision,
P@1 and P@5 of "a photo of a {label}".

`--captions`: a JSONL of `{"image", "captions"}`. Each phrase of `PHRASES` ("brown dog") is learned
from five photos that it describes, starting at its plain word ("dog"), and then stands for the
phrase in the captions of other photos: "NAME jumps over a log" looks for its photo. R@k over all
photos but the five. `exact` are the captions as written, a bound that no name can be expected to
reach; `shift` adds the vectors' difference to the plain sentence's vector, without tokens. Both
measure names whose word was guessed, too: of words that ship, the one that fits the photos best.

Library photos without a label serve as the others in learning, as they do in `twinlens learn`.
Prints one JSON object; intervals are 95 % bootstrap intervals of the paired differences.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from indexer.core.encoder import Encoder, Vectors
from indexer.media.image import read_photo
from retrieval.concepts.textual_inversion import (
    LearnOptions,
    Pupil,
    embed_views,
    learn_tokens,
    nearest_word,
    prepare,
)
from retrieval.evaluation.metrics import bootstrap_interval
from retrieval.models.numpy_layers import unit
from retrieval.models.registry import load_encoder
from retrieval.runtime.select_encoder import quick_encoder

EXAMPLES = range(1, 6)
TESTED = (6, 17, 18, 19, 20)
BATCH = 250
FEWEST = 10  # photos that a phrase must describe
PHRASES = {
    "black and white dog": "dog",
    "brown and white dog": "dog",
    "brown dog": "dog",
    "black dog": "dog",
    "white dog": "dog",
    "tan dog": "dog",
    "small dog": "dog",
    "little girl": "girl",
    "young girl": "girl",
    "little boy": "boy",
    "young boy": "boy",
    "group of people": "people",
    "crowd of people": "people",
    "football player": "player",
    "soccer player": "player",
    "red shirt": "shirt",
    "blue shirt": "shirt",
    "tennis ball": "ball",
    "race car": "car",
}
Figures = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--torch", action="store_true", help="learn in torch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--near", type=float, default=LearnOptions().near)
    parser.add_argument("--every", type=int, default=1, help="take every n-th label and phrase")
    chosen = parser.parse_args()

    load = load_encoder if chosen.torch else quick_encoder
    bench = Bench(load(chosen.model, chosen.device), chosen)
    result = {"model": chosen.model, "seeds": chosen.seeds, "near": chosen.near}
    if chosen.labels is not None:
        result["labels"] = bench.labels(chosen.labels)
    result["phrases"] = bench.phrases()
    result["seconds a name"] = round(float(np.mean(bench.seconds)), 1)
    print(json.dumps(result))


class Bench:
    """Both measurements over one model."""

    def __init__(self, towers: Encoder, chosen: argparse.Namespace) -> None:
        self.towers, self.chosen = towers, chosen
        self.pupil = Pupil.of(towers)
        self.seconds: list[float] = []
        self.rows = read(chosen.captions)
        self.paths = [chosen.captions.parent / row["image"] for row in self.rows]
        self.photos = embed(towers, self.paths)

    def labels(self, source: Path) -> dict[str, object]:
        """Objects by name, among the photos of all labels and captions."""
        nth: Counter[str] = Counter()
        learned: dict[str, list[Path]] = defaultdict(list)
        tested: list[tuple[Path, str]] = []
        for row in read(source):
            nth[row["label"]] += 1
            if nth[row["label"]] in EXAMPLES:
                learned[row["label"]].append(source.parent / row["image"])
            elif nth[row["label"]] in TESTED:
                tested.append((source.parent / row["image"], row["label"]))
        photos = np.concatenate([embed(self.towers, [path for path, _ in tested]), self.photos])
        owned = np.array([label for _, label in tested] + [""] * len(self.photos))
        found: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
        for label in sorted(learned)[:: self.chosen.every]:
            right = owned == label
            for way, vector in self._ways(label, learned[label], photos).items():
                for figure, value in precision(photos @ vector, right).items():
                    found[way][figure].append(value)
        return {"queries": len(found["word"]["AP"]), "photos": len(photos), **summary(found)}

    def _ways(self, label: str, paths: list[Path], photos: Vectors) -> dict[str, Vectors]:
        """The vectors that look for one label."""
        views, _ = embed_views(self.towers, paths)
        mean = unit(views[:, 0].mean(axis=0))
        (word,) = self.towers.encode_texts([f"a photo of a {label}"])
        guess = nearest_word(self.pupil, "zzyzx", views[:, 0])
        ways = {"word": word, "photos": mean, "word + photos": unit(word + mean)}
        for seed in self.chosen.seeds:
            for way, like, given in (
                ("learned", label, label),
                ("learned, word guessed", guess, ""),
            ):
                name = way if seed == self.chosen.seeds[0] else f"{way}, seed {seed}"
                options = LearnOptions(like=given, seed=seed, near=self.chosen.near)
                ways[name] = self._learn(views, photos, like, options)[0]("a photo of a", "")
        return ways

    def _learn(self, views: Vectors, others: Vectors, like: str, options: LearnOptions):
        """Learn a name; return what encodes a sentence around it, and the shift."""
        started = time.monotonic()
        lesson = prepare(self.pupil, views, others, like, options)
        tokens = learn_tokens(self.pupil.tower, lesson, options)
        self.seconds.append(time.monotonic() - started)
        slots = range(len(tokens))

        def encode(before: str, after: str) -> Vectors:
            return self.towers.encode_phrases([(before, slots, after)], tokens)[0]

        return encode, lesson.shift

    def phrases(self) -> dict[str, object]:
        """Captions with a name in the place of a phrase, among all photos but the examples."""
        found: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
        used = []
        for phrase, word in list(PHRASES.items())[:: self.chosen.every]:
            says = [
                [caption for caption in row["captions"] if whole(phrase).search(caption.lower())]
                for row in self.rows
            ]
            described = sorted(
                (row for row, captions in enumerate(says) if captions),
                key=lambda row: (-len(says[row]), row),
            )
            if len(described) < FEWEST:
                continue
            used.append(phrase)
            for seed in self.chosen.seeds:
                self._phrase(phrase, word, described, says, seed, found)
        return {"phrases": used, "queries": len(found["word"]["R@1"]), **summary(found)}

    def _phrase(
        self,
        phrase: str,
        word: str,
        described: Sequence[int],
        says: Sequence[Sequence[str]],
        seed: int,
        found: dict[str, Figures],
    ) -> None:
        """One phrase: learn it from five of the photos that it describes best, ask for the rest."""
        clear = described[: max(10, len(described) // 3)]
        examples = np.random.default_rng(seed).permutation(clear)[:5]
        views, _ = embed_views(self.towers, [self.paths[row] for row in examples])
        mean = unit(views[:, 0].mean(axis=0))
        encode, shift = self._learn(
            views,
            self.photos,
            word,
            LearnOptions(like=word, seed=seed, near=self.chosen.near),
        )
        guess = nearest_word(self.pupil, "zzyzx", views[:, 0])
        options = LearnOptions(seed=seed, near=self.chosen.near)
        guessed, _ = self._learn(views, self.photos, guess, options)
        kept = np.setdiff1d(np.arange(len(self.photos)), examples)
        for row in np.setdiff1d(described, examples):
            for caption in says[row]:
                before, after = whole(phrase).split(caption.lower(), maxsplit=1)
                texts = [f"{before}{word}{after}", caption]
                plain, exact = self.towers.encode_texts(texts)
                ways = {
                    "word": plain,
                    "photos": mean,
                    "word + photos": unit(plain + mean),
                    "shift": unit(plain + shift),
                    "learned": encode(before.strip(), after.strip()),
                    "learned, word guessed": guessed(before.strip(), after.strip()),
                    "exact": exact,
                }
                for way, vector in ways.items():
                    scores = self.photos[kept] @ vector
                    rank = int((scores >= self.photos[row] @ vector).sum())
                    found[way]["rank"].append(rank)
                    for k in (1, 5, 10):
                        found[way][f"R@{k}"].append(float(rank <= k))


def read(source: Path) -> list[dict]:
    return [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]


def embed(towers: Encoder, paths: Sequence[Path]) -> Vectors:
    parts = []
    for start in range(0, len(paths), BATCH):
        photos = [
            read_photo(path, size_hint=towers.image_size) for path in paths[start : start + BATCH]
        ]
        parts.append(towers.encode_images(photos))
    return np.concatenate(parts)


def whole(phrase: str) -> re.Pattern[str]:
    """The phrase as whole words, and not the end of a longer one ("black and white dog")."""
    return re.compile(rf"(?<!\w)(?<!and ){re.escape(phrase)}(?!\w)")


def precision(scores: Vectors, right: np.ndarray) -> dict[str, float]:
    """Average precision and precision@k, k cut to the number of right answers."""
    ranked = right[np.argsort(-scores, kind="stable")]
    places = np.flatnonzero(ranked) + 1  # ranks of the right answers
    average = float((np.arange(1, len(places) + 1) / places).mean())
    at = {f"P@{k}": float(ranked[: min(k, len(places))].mean()) for k in (1, 5)}
    return {"AP": average, **at}


def summary(found: dict[str, Figures]) -> dict[str, object]:
    """Means of every way, and the gain of the learned name over the others with its interval."""
    means = {
        way: {
            figure: round(float(np.median(values) if figure == "rank" else np.mean(values)), 4)
            for figure, values in figures.items()
        }
        for way, figures in found.items()
    }
    gains = {
        f"learned - {way}": {
            figure: interval(np.array(found["learned"][figure]) - np.array(values))
            for figure, values in figures.items()
            if figure != "rank"
        }
        for way, figures in found.items()
        if not way.startswith("learned")
    }
    return {"means": means, "gains": gains}


def interval(differences: Iterable[float]) -> list[float]:
    """Mean, low and high."""
    values = np.asarray(differences, dtype=np.float64)
    return [round(figure, 4) for figure in (float(values.mean()), *bootstrap_interval(values))]


if __name__ == "__main__":
    main()
