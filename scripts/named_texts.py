"""Texts that name a kind of thing, and texts that do not: what keys of names are fitted to.

| texts | what they should be taken for |
|---|---|
| WordNet's names of each kind, and labels, in "a photo of a {}" and the like | kinds of that name |
| the same names with something beside them ("{} in the snow") | for the most part, none |
| names below a kind that is no class ("seagull") | half that kind, half none |
| other common nouns, words and phrases of captions, captions | none |

What captions often say is found by captions' dimensions, so the more photos are said to show a
name, the less it is taken for its kinds. A name of several kinds ("crane") stands for each, its
usual meanings most. Classes below "person" keep their names, the kinds between are none: a few
professions are not people at large.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from label_pairs import TOO_GENERAL, Taxonomy, ancestors, depth

from retrieval._resources import resource
from retrieval.search.prompt_ensemble import prompts

MORE = 4  # further sentences for a name, beside all those of search
ASIDE = 2  # sentences in which a name is one thing among others
SHARE = 0.2  # of such a sentence that its name should be taken for
PLURALS = ("{}", "a photo of {}", "some {}", "photos of {}", "many {}", "two {}")
KNOWN, RARE = 1.0, 0.3  # weight in the fit: a name of a kind, and any other noun
LABELLED = 2.0  # and a label of photos
SAID = 60  # photos said to show a name that make it half none
HEARD = 4.0  # weight in the fit of a word of captions that names no kind
SPOKEN = 5  # photos that make a word of captions worth texts of its own
PHRASES = 8000  # of captions, two or three words each

Targets = dict[int, float]
"""Shares of the kinds, and of none, that a text should be taken for; they add up to 1."""


@dataclass(frozen=True)
class Named:
    """A text, the name in it, what it should be taken for and its weight in the fit."""

    text: str
    name: str
    target: Targets
    weight: float


class Meanings:
    """What names stand for: columns of kinds, then of labels, then one for none.

    Args:
        taxonomy: the kinds.
        labels: further names, of photos.
        wordnet: folder of WordNet 3.0.
    """

    def __init__(self, taxonomy: Taxonomy, labels: list[str], wordnet: Path) -> None:
        self.taxonomy = taxonomy
        self.kind = {kind: column for column, kind in enumerate(taxonomy.kinds)}
        self.label = {label: len(self.kind) + row for row, label in enumerate(labels)}
        self.none = len(self.kind) + len(self.label)
        self._senses = read_senses(wordnet)
        self._official = defaultdict(list)
        for one in taxonomy.classes:
            self._official[taxonomy.names(one)[0].lower()].append(one)
        people = next(k for k in taxonomy.kinds if taxonomy.nouns[k].names[0] == "person")
        classes = set(taxonomy.classes)
        self.people = {
            kind
            for kind in taxonomy.kinds
            if kind not in classes and people in ancestors(kind, taxonomy.nouns)
        }

    def of_name(self, name: str, kind: str) -> Targets:
        """Return what a name stands for; `kind` if WordNet's index does not say."""
        found: Counter[int] = Counter()
        official = self._official.get(name.lower(), [])
        for rank, sense in enumerate(self._senses.get(name.lower(), ()), start=1):
            if sense in self.kind and sense not in self.people:
                found[self.kind[sense]] += 1.0 / rank
            elif not official and not found.keys() - {self.none}:  # a more usual meaning
                found[self.none] += 0.5 / rank
        for one in official:
            found[self.kind[one]] = max(found[self.kind[one]], 1.0)
        if name in self.label:
            found[self.label[name]] += LABELLED
        return shares(found or {self.kind[kind]: 1.0})

    def below(self, kind: str) -> Targets:
        """Return what a name of something below a kind stands for."""
        if kind in self.people:
            return {self.none: 1.0}
        share = 1.0 if kind in self.taxonomy.classes else 0.5
        return shares({self.kind[kind]: share, self.none: 1.0 - share})


class Spoken:
    """How many photos each word and short phrase was said of.

    Args:
        captions: those of each photo.
    """

    def __init__(self, captions: Iterable[list[str]]) -> None:
        self._photos: Counter[str] = Counter()
        for each in captions:
            words = [re.findall(r"[a-z]+", caption.lower()) for caption in each]
            runs = {" ".join(w[i : i + n]) for w in words for n in (1, 2, 3) for i in range(len(w))}
            self._photos.update(runs)

    def unsaid(self, name: str) -> float:
        """Return 1 for a name that captions do not say, and near 0 for one that they say often."""
        said = self._photos[name.lower()] + self._photos[plural(name.lower())]
        return 1.0 / (1.0 + said / SAID)

    def words(self) -> list[str]:
        """Return the words that are said of some photos."""
        return sorted(w for w, n in self._photos.items() if " " not in w and n >= SPOKEN)

    def phrases(self, rng: random.Random) -> list[str]:
        """Draw phrases that are said of more than one photo."""
        usual = sorted(w for w, n in self._photos.items() if " " in w and n > 1)
        return rng.sample(usual, min(PHRASES, len(usual)))


def read_senses(wordnet: Path) -> dict[str, list[str]]:
    """Read which nouns a name has in WordNet, the usual first."""
    senses = {}
    for line in (wordnet / "index.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            senses[fields[0].replace("_", " ")] = fields[-int(fields[2]) :]
    return senses


def shares(weights: dict[int, float]) -> Targets:
    """Scale weights to add up to 1; leave out those of zero."""
    total = sum(weights.values())
    return {column: weight / total for column, weight in weights.items() if weight > 0.0}


def texts_with_names(meanings: Meanings, spoken: Spoken, seed: int = 0) -> list[Named]:
    """Write sentences for all names, each sentence once."""
    rng = random.Random(seed)
    found: dict[str, Named] = {}
    sources = (
        _of_kinds(meanings, spoken, rng),
        _of_captions(meanings, spoken, rng),
        _of_nouns(meanings, rng),
    )
    for named in chain(*sources):
        found.setdefault(named.text.lower(), named)
    return list(found.values())


def _of_kinds(meanings: Meanings, spoken: Spoken, rng: random.Random) -> Iterator[Named]:
    """Write sentences for the names of kinds and for labels."""
    taxonomy = meanings.taxonomy
    for kind in taxonomy.kinds:
        general = depth(kind, taxonomy.nouns) < TOO_GENERAL and kind not in taxonomy.classes
        further = () if general else taxonomy.nouns[kind].names
        for name in dict.fromkeys((*taxonomy.names(kind), *further)):
            target = {meanings.none: 1.0} if kind in meanings.people else None
            target = target or meanings.of_name(name, kind)
            target = _partly(target, spoken.unsaid(name), meanings.none)
            yield from _sentences(name, target, meanings.none, rng)
    for label, column in meanings.label.items():
        target = meanings.of_name(label, taxonomy.kinds[0])
        target = _partly(target, spoken.unsaid(label), meanings.none)
        for named in _sentences(label, target, meanings.none, rng):
            yield Named(named.text, label, named.target, named.weight * LABELLED)
        assert target[column] > 0.0


def _sentences(name: str, target: Targets, none: int, rng: random.Random) -> Iterator[Named]:
    """Write sentences about one name, and some in which it is one thing among others."""
    usual = prompts()
    more = [line for line in _templates("templates.txt") if line not in usual]
    for template in (*usual, *rng.sample(more, MORE)):
        yield Named(_fill(template, name, rng), name, target, KNOWN)
    for template in rng.sample(PLURALS, 2):
        yield Named(template.replace("{}", plural(name)), name, target, KNOWN)
    less = _partly(target, SHARE, none)
    for template in rng.sample(_templates("contexts.txt"), ASIDE):
        article = rng.choice(("", "a ", "a "))
        yield Named(template.replace("{}", article + name), name, less, KNOWN / 2)


def _partly(target: Targets, share: float, none: int) -> Targets:
    """Take a text for so much of what it says, and for none else."""
    less = {column: share * part for column, part in target.items()}
    less[none] = less.get(none, 0.0) + 1.0 - share
    return less


def _of_captions(meanings: Meanings, spoken: Spoken, rng: random.Random) -> Iterator[Named]:
    """Write sentences for the words of captions that name no kind, and take phrases as they are."""
    taken, none = _taken(meanings), {meanings.none: 1.0}
    for word in spoken.words():
        if word not in taken:
            for template in prompts():
                yield Named(template.replace("{}", word), word, none, HEARD)
    for phrase in spoken.phrases(rng):
        if phrase not in taken:
            yield Named(phrase, phrase, none, HEARD / 2)


def _taken(meanings: Meanings) -> set[str]:
    """Return the names of kinds and the labels, in lower case."""
    taxonomy = meanings.taxonomy
    taken = {n.lower() for kind in taxonomy.kinds for n in taxonomy.nouns[kind].names}
    return taken | {label.lower() for label in meanings.label}


def _of_nouns(meanings: Meanings, rng: random.Random) -> Iterator[Named]:
    """Write sentences for WordNet's other nouns: those below a kind, and common ones."""
    taxonomy = meanings.taxonomy
    templates = list(dict.fromkeys((*prompts(), *_templates("templates.txt"))))
    taken = _taken(meanings)
    for noun, synset in taxonomy.nouns.items():
        name = synset.names[0]
        if noun in meanings.kind or name.lower() in taken:
            continue
        kind = _nearest([noun], meanings)
        near = kind is not None and depth(kind, taxonomy.nouns) >= TOO_GENERAL
        usual = any(taxonomy.is_known(each) for each in synset.names)
        if near and kind is not None and (usual or rng.random() < 0.5):
            yield Named(_fill(rng.choice(templates), name, rng), name, meanings.below(kind), RARE)
        elif usual:
            none = {meanings.none: 1.0}
            yield Named(_fill(rng.choice(templates), name, rng), name, none, RARE)


def _nearest(nouns: Iterable[str], meanings: Meanings) -> str | None:
    """Return the first kind above some nouns, step by step."""
    waiting = list(nouns)
    while waiting:
        for noun in waiting:
            if noun in meanings.kind:
                return noun
        waiting = [above for noun in waiting for above in meanings.taxonomy.nouns[noun].above]
    return None


def plural(name: str) -> str:
    """Return the regular plural of a name."""
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + ("es" if re.search(r"(s|x|z|ch|sh)$", name) else "s")


def _fill(template: str, name: str, rng: random.Random) -> str:
    """Put a name into a sentence; before a vowel, half of the time with "an"."""
    if name[0].lower() in "aeiou" and rng.random() < 0.5:
        template = re.sub(r"\ba \{\}", "an {}", template)
    return template.replace("{}", name)


def _templates(name: str) -> list[str]:
    """Read the sentences of a file that ships with twinlens, each once."""
    lines = resource(name).read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(line.strip() for line in lines if "{}" in line))
