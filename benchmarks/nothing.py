"""What search shows of what it finds: whether anything matches, and how likely each hit is.

    python benchmarks/nothing.py --captions flickr_dev.jsonl --labels caltech_dev.jsonl \\
        [--libraries captioned labelled mixed] [--seed 0] [--model builtin] [--all] \\
        [--curve matching.png]

`--captions`: a JSONL of `{"image", "captions"}`, `--labels`: one of `{"image", "label"}`. Three
libraries are made of their photos and searched as `twinlens search` searches: the captioned
photos, the labelled ones, and half of both, mixed. Each lies in two folders, so that a filter
(`in:one`) lets half of it through.

| question | right are | asked of |
|---|---|---|
| common: a word | photos of which most captions say it, 2 % or more | captioned, mixed |
| rare: a word | such photos, but fewer | captioned, mixed |
| a label | its photos | labelled, mixed |
| absent: a label or thing that no caption says; a caption, where all are labelled | none | all |
| instruct: a common word, and another that shall or shall not be there | both | captioned |

What some captions say, but not most, counts as half right; "strictly" counts it as wrong. Only
questions whose text has an odd hash are asked: the others fitted the constants
(`scripts/fit_matching.py`); `--all` asks all. Prints a JSON object a library and condition, with
the reliability of `match` in ten steps.

| figure | what |
|---|---|
| shown | of the right ones among the first 50 hits, what `-t 0` shows; rare words do not count |
| calibration error | mean distance of `match` and truth over ten steps, of the first 20 hits |
| answered refused | questions with a right photo in their first ten hits of which none is shown |
| absent refused | questions without any right photo of which none is shown |
| absent doubted | those, and questions of which all hits are marked as unlikely |
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from retrieval import (
    Hit,
    Library,
    Page,
    Searcher,
    default_reranker,
    index_folders,
    load_encoder,
    parse_query,
)
from retrieval.search import RerankChoice, SearchRequest

LIBRARIES = ("captioned", "labelled", "mixed")
MOST = 0.6  # of a photo's captions say what it surely shows
COMMON = 0.02  # of the photos show what is common
FEWEST = 3  # photos that show a word that is asked for
ASKED = 150  # questions of a kind
OTHERS = 5  # instructions to a word
FIRST, SHOWN, TRIED = 10, 20, 50

ALIKE = {
    "people": "people person man woman boy girl child kid baby lady guy crowd player adult couple",
    "person": "people person man woman boy girl child kid baby lady guy crowd player adult couple",
    "child": "child kid boy girl baby toddler infant",
    "animal": "animal dog puppy cat horse bird cow sheep elephant zebra giraffe bear duck",
    "dog": "dog puppy poodle greyhound terrier collie labrador retriever",
    "water": "water ocean sea lake river pool stream wave pond",
    "bicycle": "bicycle bike",
    "woman": "woman lady",
    "man": "man guy",
}
"""Words of captions that say something in other words."""

IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "people"}
EMPTY = frozenset(
    """
the and with are while his her its their for from down another other one two three four five front
side back top out behind off very being has have who there this that several many something which
where all during along against across both under above into through over near around some standing
stand sit sitting look looking holding wearing walking walk running run jumping jump playing play
riding ride smiling large small young old little big black white red blue brown green yellow orange
pink grey gray purple dark light long tall high various middle end way view background area distance
hand arm head face hair piece part set line edge left right camera photo picture image group
""".split()  # noqa: SIM905 - a list of words reads better so
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, and how right each photo is: 1, 0.5 where few captions say so, or 0."""

    text: str
    kind: str
    right: dict[str, float]
    instruct: str = ""


@dataclass
class Told:
    """What the answers to the questions of one kind and condition were."""

    shown: list[float] = field(default_factory=list)
    match: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    answered: list[bool] = field(default_factory=list)
    absent: list[bool] = field(default_factory=list)
    doubted: list[bool] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="ask those that fitted, too")
    parser.add_argument("--curve", type=Path, help="PNG of the reliability of `match`")
    chosen = parser.parse_args()

    captioned, labelled = read(chosen.captions), read(chosen.labels)
    encoder = load_encoder(chosen.model)
    every = {"captioned": captioned, "labelled": labelled}
    every["mixed"] = captioned[::2] + labelled[::2]
    curves = {}
    with tempfile.TemporaryDirectory() as name:
        for library in chosen.libraries:
            rows = every[library]
            folder = Path(name) / library
            linked(rows, folder / "photos")
            with Library.create(folder / "library", encoder) as made:
                index_folders(made, encoder, [folder / "photos"])
                searcher = Searcher(made, encoder, default_reranker(encoder))
                asked = questions(rows, captioned, labelled, chosen.seed, every=chosen.all)
                for told in measured(searcher, asked):
                    print(json.dumps({"library": library, **told}), flush=True)
                    if told["condition"] == "plain":
                        curves[library] = told["reliability"]
    if chosen.curve:
        draw(curves, chosen.curve)


def linked(rows: Sequence[dict], folder: Path) -> None:
    """Link the photos into two folders, by turns; a link's name is the photo's key."""
    for number, row in enumerate(rows):
        target = folder / ("one", "two")[number % 2] / row["key"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(row["path"].resolve())


def questions(
    rows: Sequence[dict],
    captioned: Sequence[dict],
    labelled: Sequence[dict],
    seed: int,
    *,
    every: bool,
) -> list[Question]:
    """The questions that are asked of a library of these photos."""
    rng = np.random.default_rng(seed)
    found = [*of_words(rows, rng), *of_labels(rows), *absent(rows, captioned, labelled)]
    kept = [each for each in found if every or zlib.crc32(each.text.encode()) % 2]
    by_kind = defaultdict(list)
    for number in rng.permutation(len(kept)):
        by_kind[kept[number].kind].append(kept[number])
    return [each for some in by_kind.values() for each in some[:ASKED]]


def of_words(rows: Sequence[dict], rng: np.random.Generator) -> Iterator[Question]:
    """Words that captions say, and instructions to them."""
    told = [row for row in rows if row["captions"]]
    if not told:
        return
    counts = Counter(word for row in told for word, share in row["said"].items() if share >= MOST)
    words = [w for w in (*counts, *ALIKE) if len(w) > 2 and w not in EMPTY]
    right = {word: rightness(rows, word) for word in dict.fromkeys(words)}
    sure = {word: sum(each == 1 for each in some.values()) for word, some in right.items()}
    asked = [word for word in right if sure[word] >= FEWEST]
    for word in asked:
        kind = "common" if sure[word] >= COMMON * len(rows) else "rare"
        yield Question(text=named(word, rng), kind=kind, right=right[word])
    if len(told) < len(rows):
        return  # nobody knows what else is on labelled photos
    for word in np.repeat(asked, OTHERS).tolist():
        other = str(rng.choice(asked))
        wanted = bool(rng.integers(2))
        both = {
            key: min(each, right[other][key] if wanted else 1 - right[other][key])
            for key, each in right[word].items()
        }
        if word == other or sum(each == 1 for each in both.values()) < FEWEST:
            continue
        wish = f"only photos with {article(other)}" if wanted else f"no {other}"
        yield Question(text=named(word, rng), kind="instruct", right=both, instruct=wish)


def rightness(rows: Sequence[dict], word: str) -> dict[str, float]:
    """How right each photo is for a word, of those whose captions or labels tell."""
    alike = ALIKE.get(word, word).split()
    shares = {
        row["key"]: max((row["said"].get(each, 0.0) for each in alike), default=0.0)
        if len(alike) == 1
        else np.mean([bool(caption & set(alike)) for caption in row["captions"]])
        for row in rows
        if row["captions"]
    }
    found = {key: 1.0 if s >= MOST else 0.5 if s else 0.0 for key, s in shares.items()}
    for row in rows:
        if not row["captions"]:
            found[row["key"]] = float(bool(set(row["label"].lower().split()) & set(alike)))
    return found


def of_labels(rows: Sequence[dict]) -> Iterator[Question]:
    """Labels that no caption of the library says."""
    said = set().union(*(row["said"] for row in rows)) if rows else set()
    for label in sorted({row["label"] for row in rows if row["label"]}):
        if lemma(label.split()[-1]) in said:
            continue
        right = {row["key"]: float(row["label"] == label) for row in rows}
        yield Question(text=label, kind="label", right=right)


def absent(
    rows: Sequence[dict], captioned: Sequence[dict], labelled: Sequence[dict]
) -> Iterator[Question]:
    """Questions that nothing in the library answers."""
    none = {row["key"]: 0.0 for row in rows}
    if not any(row["captions"] for row in rows):
        for row in captioned[::5]:
            yield Question(text=row["first"], kind="absent", right=none)
        return
    there = {row["label"] for row in rows}
    said = set().union(*(row["said"] for row in rows), *map(words, there))
    others = sorted({row["label"] for row in labelled} - there)
    for text in dict.fromkeys((*others, *(each.replace("-", " ") for each in RARE))):
        if not words(text) & said:
            yield Question(text=text, kind="absent", right=none)


RARE = tuple(
    """
giraffe volcano submarine helicopter accordion tractor lighthouse penguin cactus windmill chess
violin x-ray igloo jellyfish peacock typewriter parachute telescope scorpion waterfall ambulance
microscope hammock dinosaur pineapple tornado castle rocket spider panda koala rainbow anchor harp
snail mushroom broccoli sewing-machine traffic-light fireworks crocodile hedgehog octopus
bulldozer forklift tram gondola lawnmower washing-machine refrigerator toaster toilet
bookshelf harmonica bagpipes xylophone abacus globe compass hourglass thermometer syringe
stethoscope gravestone mosque stadium greenhouse cathedral skyscraper coral shark whale
walrus polar-bear zebra hippopotamus otter raccoon hamster bat owl parrot toucan ostrich pelican
swan vulture bee ladybug caterpillar cobra iguana chameleon tortoise cucumber cauliflower pumpkin
pomegranate grapes lemon pretzel sushi bagel dumplings avocado pancakes envelope postage-stamp
barcode blackboard crossword jigsaw-puzzle playing-cards dartboard chainsaw screwdriver nail
padlock birdcage beehive spider-web iceberg desert northern-lights lightning
solar-panel satellite space-shuttle oil-rig cable-car escalator wedding-cake christmas-tree
snow-globe teapot wine-glass corkscrew tennis-racket bowling-alley pool-table roulette
""".split()  # noqa: SIM905 - a list of words reads better so
)
"""Things that people ask for; asked where neither a caption nor a label says them.

The photos nearest to each were looked at before it was asked: four that some of them may show after
all (a base of a monument, a fire behind a chair, a tub, ice) are not in the list.
"""


def measured(searcher: Searcher, asked: Sequence[Question]) -> Iterator[dict]:
    """Ask all plainly, under a filter, and those with an instruction under it."""
    for condition, where in (("plain", ""), ("filter", " in:one"), ("instruct", "")):
        told = Told()
        for question in asked:
            if (question.kind == "instruct") == (condition == "instruct"):
                ask(searcher, question, where, told)
            elif condition == "instruct" and question.kind == "absent":
                with_wish = Question(
                    text=question.text, kind="absent", right=question.right, instruct="no people"
                )
                ask(searcher, with_wish, where, told)
        if told.match or told.absent:
            yield {"condition": condition, **figures(told)}


def ask(searcher: Searcher, question: Question, where: str, told: Told) -> None:
    """Ask one question, and note what is shown of it."""
    query = parse_query(question.text + where)
    wish = RerankChoice(instruct=question.instruct)
    request = SearchRequest(query=query, page=Page(top=TRIED), reranking=wish)
    answers = searcher.answer(request)
    if question.kind == "absent":
        told.absent.append(not answers.found)
        told.doubted.append(not any(hit.likely for hit in answers.hits))
        return
    ranked = answers.hits or searcher.search(query, top=TRIED, instruct=question.instruct)
    right = rights(question, ranked)
    if right[:FIRST].max(initial=0) >= 0.5:
        told.answered.append(not answers.found)
    if question.kind != "rare" and (right == 1).any():
        wide = searcher.answer(replace(request, page=Page(top=0)))
        seen = {hit.id for hit in wide.hits}
        sure = [hit for hit, each in zip(ranked, right, strict=True) if each == 1]
        told.shown.append(float(np.mean([hit.id in seen for hit in sure])))
    if answers.found:
        told.match += [hit.match or 0.0 for hit in answers.hits[:SHOWN]]
        told.right += rights(question, answers.hits[:SHOWN]).tolist()


def rights(question: Question, hits: Sequence[Hit]) -> np.ndarray:
    """How right each hit is. Shape (hits,)."""
    return np.array([question.right.get(hit.path.name, 0.0) for hit in hits])


def figures(told: Told) -> dict:
    """The figures of the module's table, and the reliability in ten steps."""
    match, right = np.array(told.match), np.array(told.right)
    steps = np.minimum((match * 10).astype(int), 9)
    reliability = [
        {
            "match": round(float(match[steps == each].mean()), 3),
            "right": round(float(right[steps == each].mean()), 3),
            "most say so": round(float((right[steps == each] == 1).mean()), 3),
            "hits": int((steps == each).sum()),
        }
        for each in np.unique(steps)
    ]
    return {
        "shown": mean(told.shown),
        "calibration error": error(match, right),
        "strictly": error(match, right == 1),
        "answered": len(told.answered),
        "answered refused": mean(told.answered),
        "absent": len(told.absent),
        "absent refused": mean(told.absent),
        "absent doubted": mean(told.doubted),
        "reliability": reliability,
    }


def error(match: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of probability and truth over ten steps, weighed by their hits."""
    steps = np.minimum((match * 10).astype(int), 9)
    gaps = [abs((match - right)[steps == each].sum()) for each in np.unique(steps)]
    return round(float(sum(gaps)) / max(1, len(match)), 3)


def mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if len(values) else None


def draw(curves: dict[str, list[dict]], path: Path) -> None:
    """Draw how often hits are right, by what `match` says."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7")
    for name, steps in curves.items():
        axes.plot([s["match"] for s in steps], [s["right"] for s in steps], "o-", label=name)
    axes.set(xlabel="match", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=120)


def read(source: Path) -> list[dict]:
    """Read photos with what is said of them."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").split("\n") if line]
    return [known(row, source.parent / row["image"]) for row in rows]


def known(row: dict, path: Path) -> dict:
    """Add the words of a photo's captions, each with the share of captions that say it."""
    captions = [words(each) for each in row.get("captions", [])]
    counts = Counter(word for caption in captions for word in caption)
    key = f"{zlib.crc32(str(path).encode()):08x}{path.suffix}"
    return {
        "path": path,
        "key": key,
        "captions": captions,
        "first": row.get("captions", [""])[0].rstrip(" ."),
        "said": {word: count / len(captions) for word, count in counts.items()},
        "label": str(row.get("label", "")),
    }


def words(text: str) -> set[str]:
    return {lemma(word) for word in re.findall(r"[a-z]+", text.lower())}


def lemma(word: str) -> str:
    """Return a word without the ending of a plural."""
    word = word.lower()
    if word in IRREGULAR or word.endswith("ss") or len(word) < 4:
        return IRREGULAR.get(word, word)
    return re.sub(r"ies$", "y", word) if word.endswith("ies") else re.sub(r"s$", "", word)


def named(word: str, rng: np.random.Generator) -> str:
    """Write a word as people do."""
    forms = (word, article(word), f"a photo of {article(word)}")
    return str(rng.choice(forms))


def article(word: str) -> str:
    if word == "people":
        return word
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


if __name__ == "__main__":
    main()
