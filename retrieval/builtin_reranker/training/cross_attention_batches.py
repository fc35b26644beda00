"""Lessons for a reranker: a few texts, a few photos, and for each couple whether they match.

| lesson | texts | photos | teaches |
|---|---|---|---|
| `Retrieval` | captions | their photos, near to one of them | to tell like photos apart |
| `Steering` | a query under four instructions | with what they ask for, and without | to obey |

The four instructions of a `Steering` lesson are: with something, without it, none at all, and one
that asks for nothing in particular. So the same photo is right under one and wrong under another,
and each instruction stands beside its opposite.

Source: Weller et al. 2024, Promptriever (arXiv 2409.11136), for negatives that answer the query
and break the instruction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.builtin_reranker.training.features import Material
from retrieval.instructions.templates import LOOK, Ask, Grammar, asks_of
from retrieval.reranking.protocol import Asked

SIDE = 8  # photos of a lesson

_QUERIES = ("{}", "{}", "a photo of {}", "{} in a photo", "a picture with {}")
_PHRASES = ("{}", "a {}", "a photo of a {}", "a photo of {}", "a picture of the {}")
_NAME = 3  # words of a name at most
_RIGHT, _BROKEN, _OTHER = 3, 3, 2  # photos that obey, that answer the query alone, that do not
_BY_CAPTION = 0.4  # share of the steering lessons whose query is a caption
_PREFER = 0.15  # share of the wishes that say "rather"
_TRIES = 50
_LONGEST = 80  # characters: a batch is as long as its longest text


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Texts and photos; `labels` say 1 for yes, -1 for no, 0 for open. Shape (texts, photos)."""

    texts: tuple[Asked, ...]
    photos: NDArray[np.int64]
    labels: NDArray[np.int8]


class Retrieval:
    """Makes lessons of captions and photos that the dual encoder takes for one another.

    Args:
        material: to learn from.
        reach: photos are drawn from so many that lie nearest to a caption.
    """

    def __init__(self, material: Material, reach: int = 60) -> None:
        self._material = material
        self._near = _nearest(material, reach)  # (captions, reach)
        short = [number for number, text in enumerate(material.captions) if len(text) <= _LONGEST]
        self._short = np.array(short, dtype=np.int64)
        self._of_photo: list[list[int]] = [[] for _ in material.vectors]
        for number in short:
            self._of_photo[material.owner[number]].append(number)
        self._said: list[set[str]] = [set() for _ in material.vectors]
        for photo, text in zip(material.owner, material.captions, strict=True):
            self._said[photo].add(text)

    def draw(self, rng: np.random.Generator) -> Lesson:
        """Draw a caption and its photo, photos near to it, and a caption of each."""
        caption = int(rng.choice(self._short))
        near = rng.permutation(self._near[caption])
        others = [photo for photo in near if self._of_photo[photo]][: SIDE - 1]
        captions = [caption, *(int(rng.choice(self._of_photo[photo])) for photo in others)]
        photos = np.array([self._material.owner[caption], *others], dtype=np.int64)
        texts = [self._material.captions[number] for number in captions]
        said = np.array([[text in self._said[photo] for photo in photos] for text in texts])
        labels = np.where(np.eye(len(texts), dtype=bool), 1, np.where(said, 0, -1))
        return Lesson(
            texts=tuple((_in_words(text, rng), "") for text in texts),
            photos=photos,
            labels=labels.astype(np.int8),
        )


class Steering:
    """Makes lessons of one query under different instructions.

    Args:
        material: to learn from.
        grammar: what to ask for; its held-back parts are left out.
    """

    def __init__(self, material: Material, grammar: Grammar) -> None:
        self._material, self._grammar = material, grammar
        self._attributes = grammar.attributes
        self._asked = [n for n, each in enumerate(self._attributes) if each.family != LOOK]
        self._wanted = [n for n, each in enumerate(self._attributes) if not grammar.is_held(each)]
        self._near = _nearest(material, 60)

    def draw(self, rng: np.random.Generator) -> Lesson:
        """Draw a query, something to wish for, and photos on which they meet or do not."""
        for _ in range(_TRIES):
            wish = int(rng.choice(self._wanted))
            make = self._by_caption if rng.random() < _BY_CAPTION else self._by_attribute
            lesson = make(wish, rng)
            if lesson is not None:
                return lesson
        raise ValueError("no photos with different attributes to make lessons of")

    def _by_attribute(self, wish: int, rng: np.random.Generator) -> Lesson | None:
        """Ask for a thing: photos that have it and the wish, have it alone, or lack it."""
        asked = int(rng.choice(self._asked))
        if self._attributes[asked].overlaps(self._attributes[wish]):
            return None
        of_query, of_wish = self._material.labels[asked], self._material.labels[wish]
        right = np.flatnonzero((of_query == 1) & (of_wish == 1))
        broken = np.flatnonzero((of_query == 1) & (of_wish == -1))
        other = np.flatnonzero((of_query == -1) & (of_wish != 0))
        if not (len(right) and len(broken) and len(other)):
            return None
        draws = ((right, _RIGHT), (broken, _BROKEN), (other, _OTHER))
        photos = np.concatenate([rng.choice(some, count) for some, count in draws])
        query = str(rng.choice(_QUERIES)).format(self._attributes[asked].phrase)
        return self._lesson(query, photos, (asked, wish), rng)

    def _by_caption(self, wish: int, rng: np.random.Generator) -> Lesson | None:
        """Ask with a caption: its photo among those near to it, half of which have the wish."""
        caption = int(rng.integers(len(self._material.captions)))
        photo, of_wish = self._material.owner[caption], self._material.labels[wish]
        near = rng.permutation(self._near[caption])
        having, lacking = near[of_wish[near] == 1], near[of_wish[near] == -1]
        half = SIDE // 2
        if of_wish[photo] == 0 or len(having) < half or len(lacking) < half:
            return None
        photos = np.array([photo, *having[: half - 1], *lacking[:half]], dtype=np.int64)
        return self._lesson(self._material.captions[caption], photos, (None, wish), rng)

    def _lesson(
        self,
        query: str,
        photos: NDArray[np.int64],
        numbers: tuple[int | None, int],
        rng: np.random.Generator,
    ) -> Lesson:
        """Put a query under its four instructions. `numbers` name the thing and the wish."""
        asked, wish = numbers
        answers = (
            self._material.labels[asked][photos] == 1 if asked is not None else photos == photos[0]
        )
        has = self._material.labels[wish][photos] == 1
        attribute = self._attributes[wish]
        prefer = attribute.family != LOOK and rng.random() < _PREFER
        first = Ask.PREFER if prefer else asks_of(attribute, wanted=True)
        wordings = [
            self._grammar.draw(first, attribute.phrase, rng),
            self._grammar.draw(asks_of(attribute, wanted=False), attribute.phrase, rng),
            "",
            self._grammar.draw(Ask.ANYTHING, "", rng),
        ]
        right = np.stack([answers & has, answers & ~has, answers, answers])
        return Lesson(
            texts=tuple((query, wording) for wording in wordings),
            photos=photos,
            labels=np.where(right, 1, -1).astype(np.int8),
        )


def _in_words(text: str, rng: np.random.Generator) -> str:
    """Ask for a mere name by a phrase, as people do."""
    if len(text.split()) > _NAME:
        return text
    return str(rng.choice(_PHRASES)).format(text)


def _nearest(material: Material, reach: int) -> NDArray[np.int64]:
    """Return the photos nearest to each caption, but for its own. Shape (captions, reach)."""
    reach = min(reach, len(material.vectors) - 1)
    found = []
    for start in range(0, len(material.texts), 2_000):
        cosines = material.texts[start : start + 2_000] @ material.vectors.T
        owner = material.owner[start : start + 2_000]
        cosines[np.arange(len(owner)), owner] = -np.inf
        found.append(np.argpartition(-cosines, reach - 1, axis=1)[:, :reach])
    return np.concatenate(found).astype(np.int64)
