"""The questions that `fit_matching.py` learns from: words, and how right each photo is for them.

| question | answers; those that count half are right by half |
|---|---|
| label | the photos of the label |
| everyday | with `--wordnet` and ImageNet's `"wnid"`: the photos of all classes of the word |
| concept: a word of captions | photos of which three in five captions say it; half: of fewer |
| pair: two such words | photos that both are right for |
| caption | its photo; half: those whose captions say all its words; unknown: most of them |
| absent: a label, concept, caption | none: no word of the library names it |

A photo that is right by half is a match as often as not. What is unknown is NaN.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors
from retrieval.instructions.templates import words_of as all_words_of
from retrieval.search import match_probability

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from objects import by_everyday_word

FORMS = ("{0}", "{1}", "a photo of {0}")  # of a concept: the word, the word with its article
PAIRS = ("{1} and {3}", "{0} with {2}", "{1} near {3}", "{0} {2}")

KINDS = {
    "people": "man men woman women boy girl kid baby lady guy player crowd adult person toddler "
    "group worker rider biker skier surfer climber runner snowboarder people child children",
    "man": "man men guy gentleman",
    "woman": "woman women lady ladies",
    "child": "child children kid boy girl baby toddler",
    "animal": "animal dog puppy puppies cat kitten horse bird cow sheep elephant zebra giraffe "
    "bear duck goat goose geese seagull deer pony camel monkey fish poodle greyhound terrier",
    "dog": "dog puppy puppies poodle greyhound dalmatian terrier collie labrador retriever",
    "vehicle": "vehicle car truck bus buses train motorcycle bike bicycle boat van airplane plane",
    "food": "food pizza sandwich cake fruit banana apple orange broccoli meal donut bread salad",
    "water": "water ocean sea lake river pool stream wave pond",
    "bicycle": "bicycle bike",
}
"""What a photo shows, too, whose captions say something narrower."""

BROAD = {"people", "man", "woman", "child", "animal", "vehicle", "food", "water"}
EMPTY_WORDS = all_words_of(" ".join(match_probability._EMPTY_WORDS))
SAYS_LITTLE = EMPTY_WORDS | all_words_of("""
    from up down another he she they as into through over around other one two three four front side
    back top out behind off very being has have who there this that several many while all during
    along against across under what not him them onto like between together stand standing sit look
    sitting looking hold holding wear wearing walk walking run running jump jumping play playing
    ride riding smile smiling large small young old little big black white red blue brown green
    yellow orange pink grey gray dark light wooden long high various middle way view background area
    hand arm head face hair part set left right mouth camera group couple
    """)

Floats = NDArray[np.float64]
Question = tuple[str, str, Floats]  # its kind, its text, how right each photo is


@dataclass(frozen=True, eq=False)
class Photos:
    """A library: rows of JSONLs, vectors as stored (n, dim + 1), and tokens (n, m, d)."""

    name: str
    rows: list[dict[str, Any]]
    vectors: Vectors
    tokens: NDArray[np.float16]
    scenes: bool = False

    @cached_property
    def captions(self) -> list[list[str]]:
        """Of each photo."""
        return [[text.rstrip(" .") for text in row.get("captions", [])] for row in self.rows]

    @cached_property
    def said(self) -> list[list[set[str]]]:
        """The words of each caption of each photo."""
        return [[words_of(text) for text in captions] for captions in self.captions]

    @cached_property
    def text(self) -> str:
        """All captions."""
        return " ".join(text for captions in self.captions for text in captions).lower()

    @cached_property
    def labels(self) -> list[str]:
        """Each once; what people do as a phrase."""
        found = sorted({row["label"] for row in self.rows if "label" in row})
        return [f"a person {each}" for each in found] if self.deeds else found

    @property
    def deeds(self) -> bool:
        """Tell whether the labels name what people do."""
        return all(row.get("label", "").split(" ")[0].endswith("ing") for row in self.rows)

    @cached_property
    def concepts(self) -> dict[str, Floats]:
        """Words that captions of several photos say, and how right each photo is for them."""
        counts = (Counter(word for each in captions for word in each) for captions in self.said)
        often = Counter(word for each in counts for word, count in each.items() if count >= 3)
        written = sorted(set(re.findall("[a-z]{3,}", self.text)), key=len, reverse=True)
        spelt = {each: word for word in written for each in words_of(word)}  # the shortest
        least = max(3, len(self.rows) // 250)
        found = {spelt[word] for word, count in often.items() if count >= least and word in spelt}
        words = sorted(found | KINDS.keys()) if often else []
        right = {word: right_for(self, word) for word in words if not words_of(word) <= SAYS_LITTLE}
        return {word: each for word, each in right.items() if (each == 1).any()}


def mixed(sources: Sequence[Photos]) -> Photos:
    """Every other photo of the captioned libraries and of the first labelled one."""
    labelled = [each for each in sources if each.labels]
    parts = [*(each for each in sources if each.text), *labelled[:1]]
    rows = [row for each in parts for row in each.rows[::2]]
    vectors, tokens = (
        np.concatenate([getattr(each, name)[::2] for each in parts])
        for name in ("vectors", "tokens")
    )
    return Photos("mixed", rows, vectors, tokens)


def words_of(text: str) -> set[str]:
    return all_words_of(text) - EMPTY_WORDS


def right_for(photos: Photos, concept: str) -> Floats:
    """How right each photo is for a word; NaN where there is only a label, and it cannot tell."""
    words = words_of(KINDS.get(concept, concept))
    right = []
    for row, captions in zip(photos.rows, photos.said, strict=True):
        if captions:
            told = sum(not words.isdisjoint(each) for each in captions)
            right.append(1.0 if told >= 0.6 * len(captions) else 0.5 if told else 0.0)
        else:
            labelled = not words.isdisjoint(words_of(row["label"]))
            right.append(np.nan if concept in BROAD else float(labelled))
    return np.array(right)


def right_for_caption(photos: Photos, caption: str, photo: int) -> Floats:
    words = words_of(caption)
    said = [set[str]().union(*captions) for captions in photos.said]
    covered = np.array([len(words & each) / max(1, len(words)) for each in said])
    right = np.where(covered >= 0.999, 0.5, np.where(covered >= 0.7, np.nan, 0.0))
    right[photo] = 1.0
    return right


def questions(
    photos: Photos,
    sources: Sequence[Photos],
    wordnet: Path | None,
    rng: np.random.Generator,
    most: int,
) -> Iterator[Question]:
    """Yield what is asked of a library, `most` of each kind."""
    some = partial(drawn, rng=rng, most=most)
    owned = np.array([row.get("label", "") for row in photos.rows])
    for label in some([each for each in photos.labels if not says(photos, each)]):
        yield "label", label, (owned == label.removeprefix("a person ")).astype(float)
    if wordnet and all("wnid" in row for row in photos.rows):
        for word, found in some(list(by_everyday_word(photos.rows, wordnet).items())):
            yield "everyday", word, found.astype(float)
    for word in some(list(photos.concepts)):
        form = FORMS[zlib.crc32(word.encode()) % len(FORMS)]
        yield "concept", form.format(word, with_article(word)), photos.concepts[word]
    yield from islice(pairs(photos.concepts, rng), most)
    captions = [(text, at) for at, texts in enumerate(photos.captions) for text in texts]
    for text, at in some(captions):
        yield "caption", text, right_for_caption(photos, text, at)
    for text in some(absent(photos, sources)):
        yield "absent", text, np.zeros(len(photos.rows))


def pairs(concepts: dict[str, Floats], rng: np.random.Generator) -> Iterator[Question]:
    """Yield pairs of concepts that one photo is right for."""
    couples = list(permutations(concepts, 2))
    for at in rng.permutation(len(couples)):
        a, b = couples[at]
        right = np.minimum(concepts[a], concepts[b])
        if (right == 1).any():
            form = PAIRS[at % len(PAIRS)]
            yield "pair", form.format(a, with_article(a), b, with_article(b)), right


def absent(photos: Photos, sources: Sequence[Photos]) -> list[str]:
    """What other libraries hold, and this one does not as far as its captions and labels tell."""
    deeds = [label for each in sources if each.deeds for label in each.labels]
    others = [each for each in sources if not (each.deeds or each.scenes)]
    texts = [label for each in others for label in each.labels]
    if photos.text:
        texts += [word for each in others for word in each.concepts]
    elif not photos.deeds:
        texts = deeds + [texts[0] for each in others for texts in each.captions if texts]
    named = words_of(" ".join(photos.labels))
    unnamed = (text for text in sorted(set(texts)) if named.isdisjoint(words_of(text)))
    return [text for text in unnamed if not says(photos, text)]


def says(photos: Photos, text: str) -> bool:
    """Tell whether a caption has the last word of a text."""
    return bool(re.search(rf"\b{re.escape(stem(text))}", photos.text))


def with_article(word: str) -> str:
    return word if word == "people" else f"an {word}" if word[0] in "aeiou" else f"a {word}"


def drawn(values: Sequence[Any], rng: np.random.Generator, most: int) -> list[Any]:
    return [values[at] for at in rng.permutation(len(values))[:most]]


def stem(label: str) -> str:
    """Return the last word of a label without the ending of a plural."""
    return label.lower().split()[-1].rstrip("s")
