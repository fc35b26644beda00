"""Find learned names in a query, and encode them with their learned token vectors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
from PIL import Image

from indexer.core.encoder import (
    Encoder,
    MultilingualEncoder,
    TruncatingEncoder,
    Vectors,
    VocabularyEncoder,
)
from indexer.core.types import Hubness, Kind, Skip
from indexer.library.library import Library
from retrieval.concepts.store import Concept, Concepts, TokenVectors
from retrieval.models.phrases import Phrase, PhraseEncoder


class ConceptNames:
    """The learned names of a library, for texts that hold them.

    Case does not matter; a name counts as a whole word; the longest of several wins.
    """

    def __init__(self, concepts: Sequence[Concept]) -> None:
        self._concepts = sorted(concepts, key=lambda concept: len(concept.name), reverse=True)
        ends = accumulate(len(concept.tokens) for concept in self._concepts)
        self._rows = [range(first, end) for first, end in pairwise([0, *ends])]
        names = [unicodedata.normalize("NFKC", concept.name) for concept in self._concepts]
        self._pattern = _pattern(names)

    def __len__(self) -> int:
        return len(self._concepts)

    @property
    def table(self) -> TokenVectors:
        """The vectors of all names, which the phrases refer to. Shape (rows, width)."""
        return np.concatenate([concept.tokens for concept in self._concepts])

    def phrase(self, text: str) -> Phrase | None:
        """Return a text with slots in place of names; None if it holds none."""
        if self._pattern is None:
            return None
        composed = unicodedata.normalize("NFKC", text)
        parts: list[str | range] = []
        end = 0
        for found in self._pattern.finditer(composed):
            which = int(found.lastindex or 1) - 1
            parts += [composed[end : found.start()].strip(), self._rows[which]]
            end = found.end()
        return (*parts, composed[end:].strip()) if parts else None


@dataclass(frozen=True, kw_only=True)
class ConceptEncoder:
    """An encoder that reads learned names. A text without one takes the plain encoder's way."""

    plain: PhraseEncoder
    names: ConceptNames

    @property
    def name(self) -> str:
        """What a person calls the model."""
        return self.plain.name

    @property
    def fingerprint(self) -> str:
        """That of the plain encoder: the vectors lie in one space."""
        return self.plain.fingerprint

    @property
    def dim(self) -> int:
        """Length of every vector."""
        return self.plain.dim

    @property
    def image_size(self) -> int:
        """Pixels a side that the image tower sees."""
        return self.plain.image_size

    @property
    def hubness(self) -> Hubness:
        """That of the plain encoder."""
        return self.plain.hubness

    def bank(self, kind: Kind) -> Vectors:
        """Return the plain encoder's reference vectors. Shape (bank, dim)."""
        return self.plain.bank(kind)

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed RGB photos. Shape (photos, dim)."""
        return self.plain.encode_images(images)

    def knows(self, word: str) -> bool:
        """Return whether a word is read as one."""
        return not isinstance(self.plain, VocabularyEncoder) or self.plain.knows(word)

    @property
    def other_languages(self) -> tuple[str, ...]:
        """The codes of the languages that it reads beside English; empty for none."""
        return self.plain.other_languages if isinstance(self.plain, MultilingualEncoder) else ()

    def is_foreign(self, text: str) -> bool:
        """Return whether a text is read as one in another language than English."""
        return isinstance(self.plain, MultilingualEncoder) and self.plain.is_foreign(text)

    def unread(self, text: str) -> str:
        """Return the end of a text that is too long to be read; empty for none."""
        return self.plain.unread(text) if isinstance(self.plain, TruncatingEncoder) else ""

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts. Shape (texts, dim)."""
        phrases = {row: self.names.phrase(text) for row, text in enumerate(texts)}
        named = {row: phrase for row, phrase in phrases.items() if phrase is not None}
        if not named:
            return self.plain.encode_texts(texts)
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        plain = [row for row in phrases if row not in named]
        vectors[plain] = self.plain.encode_texts([texts[row] for row in plain])
        vectors[list(named)] = self.plain.encode_phrases(list(named.values()), self.names.table)
        return vectors


@dataclass(frozen=True, kw_only=True)
class ConceptReader:
    """Encodes the queries of one library with its learned names.

    Attributes:
        encoder: reads the names that were learned for its model.
        stale: names that were learned for another model.
        skipped: concepts that cannot be read at all.
    """

    encoder: Encoder
    stale: ConceptNames = field(default_factory=lambda: ConceptNames(()))
    skipped: tuple[Skip, ...] = ()

    def reads_name(self, text: str) -> bool:
        """Return whether a text holds a name that the encoder reads."""
        naming = self.encoder
        return isinstance(naming, ConceptEncoder) and naming.names.phrase(text) is not None

    def hint(self, text: str) -> str:
        """Say why a name in a text is read as a plain word; empty as a rule."""
        if self.skipped:
            return f"skipping {self.skipped[0].path}: {self.skipped[0].reason}"
        if self.stale.phrase(text) is None:
            return ""
        return (
            f"'{text}' contains a name that was learned for another model; it is read as a plain "
            "word. Learn it again with: twinlens learn NAME PHOTO..."
        )


def reader_of(library: Library, encoder: Encoder) -> ConceptReader:
    """Return how to encode queries to a library: with the names that it learned."""
    concepts, skipped = Concepts(library.folder).read()
    fits = [concept for concept in concepts if concept.fingerprint == encoder.fingerprint]
    stale = ConceptNames([each for each in concepts if each.fingerprint != encoder.fingerprint])
    naming = encoder
    if fits and isinstance(encoder, PhraseEncoder):
        naming = ConceptEncoder(plain=encoder, names=ConceptNames(fits))
    return ConceptReader(encoder=naming, stale=stale, skipped=tuple(skipped))


def _pattern(names: Sequence[str]) -> re.Pattern[str] | None:
    """Match any of the names as whole words, each in a group of its own, the first that fits."""
    if not names:
        return None
    spelled = [r"\s+".join(re.escape(word) for word in name.split()) for name in names]
    groups = "|".join(f"({each})" for each in spelled)
    return re.compile(rf"(?<!\w)(?:{groups})(?!\w)", re.IGNORECASE)
