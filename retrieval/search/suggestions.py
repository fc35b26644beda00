"""Completions of a query while it is typed: filters and their values, learned names, words.

Each says which part of the text it takes the place of. What the library holds comes with how many
photos have it. After a commit, completions may lag behind for some seconds.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from heapq import nsmallest
from itertools import islice

from indexer.catalog.facets import FacetColumns, FacetGroup
from indexer.core.gazetteer import gazetteer
from indexer.core.text_normalization import plain
from indexer.core.types import Kind
from indexer.library.library import Library
from retrieval.concepts.store import Concepts
from retrieval.search.facets import Pairs, selectable
from retrieval.search.filter_syntax import (
    AS_WRITTEN,
    FILTER_NAMES,
    filters_meant,
    written_filters,
)

MOST_SUGGESTIONS = 10
FRESH_SECONDS = 10.0
"""So long completions are kept although there may be a newer commit."""

_SHORTEST = 2  # letters of a word from which on words and values are offered
_MOST_WORDS = 3  # of a name or a place that are typed with spaces between them
_EACH = 5  # completions of one sort, where there are others
_HIGH = "\U0010ffff"  # behind all letters

_FILTER = re.compile(r'(?<!\S)(-?)([^\W\d_][\w-]*):("(?:[^"]|"")*"?|\S*)')
_WORD = re.compile(r"\S+")


class SuggestionKind(StrEnum):
    """What a completion is."""

    WORD = "word"
    FILTER = "filter"
    PLACE = "place"
    CAMERA = "camera"
    KEYWORD = "keyword"
    FOLDER = "folder"
    NAME = "name"


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A completion.

    Attributes:
        kind: what it is.
        label: what a person reads.
        insert: what is written in place of a part of the text.
        start: where that part begins, in characters.
        end: where it ends.
        count: how many photos have it; None where that says nothing.
    """

    kind: SuggestionKind
    label: str
    insert: str
    start: int = 0
    end: int = 0
    count: int | None = None


_KINDS = {
    FacetGroup.PLACES: SuggestionKind.PLACE,
    FacetGroup.CAMERAS: SuggestionKind.CAMERA,
    FacetGroup.KEYWORDS: SuggestionKind.KEYWORD,
    FacetGroup.FOLDERS: SuggestionKind.FOLDER,
}
"""The groups whose values are offered for a plain word."""

_GROUPS = {
    "near": (FacetGroup.PLACES,),
    "camera": (FacetGroup.CAMERAS,),
    "tag": (FacetGroup.KEYWORDS,),
    "in": (FacetGroup.FOLDERS,),
    "type": (FacetGroup.TYPES,),
    "orientation": (FacetGroup.ORIENTATIONS,),
    "rating": (FacetGroup.RATINGS,),
    "min-rating": (FacetGroup.RATINGS,),
    "after": (FacetGroup.DATES,),
    "before": (FacetGroup.DATES,),
}
"""Whose values complete a filter."""

_HELP = {
    "after": "taken from a day on",
    "before": "taken before a day",
    "near": "taken near a place",
    "camera": "taken with a camera",
    "in": "in a folder",
    "tag": "with a keyword",
    "type": "of a file type",
    "orientation": "landscape, portrait or square",
    "rating": "with so many stars or more",
}


class Suggester:
    """Completes queries to one library. Any thread may ask.

    Args:
        library: whose photos, keywords and names complete them.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._known: dict[Kind, _Vocabulary] = {}
        self._alone = threading.Lock()
        self._named: tuple[object, list[str]] = (None, [])

    def complete(
        self,
        text: str,
        at: int | None = None,
        kind: Kind = Kind.PHOTO,
        limit: int = MOST_SUGGESTIONS,
    ) -> list[Suggestion]:
        """Return completions of what is being typed, the most likely first.

        Args:
            text: the query so far.
            at: where the caret is, in characters; its end without.
            kind: of what is looked for.
            limit: the most completions.
        """
        at = len(text) if at is None else max(0, min(at, len(text)))
        vocabulary = self._vocabulary(kind)
        written = next((f for f in _FILTER.finditer(text) if f.start(3) <= at <= f.end()), None)
        found = (
            _words_of(text, at, vocabulary, self._names)
            if written is None
            else _values_of(written, at, vocabulary)
        )
        return list(islice(_once(found), limit))

    @property
    def _names(self) -> list[str]:
        """The learned names, read when their files have changed."""
        concepts = Concepts(self._library.folder)
        stamp = concepts.stamp()
        if self._named[0] != stamp:
            self._named = stamp, [concept.name for concept in concepts.read()[0]]
        return self._named[1]

    def _vocabulary(self, kind: Kind) -> _Vocabulary:
        """Return what the library holds, at most so many seconds old."""
        with self._alone:
            known = self._known.get(kind)
            if known is None or time.monotonic() - known.read > FRESH_SECONDS:
                columns = self._library.facets.columns(kind)
                if known is None or known.columns.generation != columns.generation:
                    words = self._library.facets.words(kind)
                    known = _Vocabulary(columns=columns, words=dict(words))
                self._known[kind] = replace(known, read=time.monotonic())
            return self._known[kind]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A value that photos have."""

    group: FacetGroup
    key: str
    label: str
    pairs: Pairs
    count: int


@dataclass(frozen=True, kw_only=True)
class _Vocabulary:
    """What the photos of a library have, to look up by its first letters.

    Attributes:
        columns: what the photos say.
        words: of their captions and keywords, with counts.
        read: when it was read, as `time.monotonic` counts.
    """

    columns: FacetColumns
    words: dict[str, int]
    read: float = field(default_factory=time.monotonic)

    @cached_property
    def entries(self) -> dict[FacetGroup, list[_Entry]]:
        """The values of each group."""
        return {group: list(self._entries(group)) for group in FacetGroup}

    def _entries(self, group: FacetGroup) -> Iterator[_Entry]:
        """Yield the values of a group that photos have, each filter once."""
        tree, seen = self.columns.trees[group], dict[str, int]()
        counts = tree.counts(self.columns.everything).tolist()
        rows = list(selectable(group, tree.keys))
        for row, _, pairs in rows:
            filters = written_filters(pairs)
            seen[filters] = seen.get(filters, 0) + counts[row]
        for row, label, pairs in rows:
            count = seen.pop(written_filters(pairs), 0)
            if count:
                key = tree.keys[row]
                yield _Entry(group=group, key=key, label=label, pairs=pairs, count=count)

    @cached_property
    def _by_word(self) -> list[tuple[str, int, int]]:
        """The labels from each of their words on, in order: the text, which word, which value."""
        return sorted(
            (word, place, row)
            for row, entry in enumerate(self._offered)
            for place, word in enumerate(_starts(entry.label))
        )

    @cached_property
    def _offered(self) -> list[_Entry]:
        """The values of the groups that are offered for a plain word."""
        return [entry for group in _KINDS for entry in self.entries[group]]

    @cached_property
    def _sorted_words(self) -> list[str]:
        """The words in order."""
        return sorted(self.words)

    def beginning(self, typed: str) -> list[_Entry]:
        """Return the values with a word that begins so, the most used first."""
        first = bisect_left(self._by_word, (typed,))
        behind = bisect_left(self._by_word, (typed + _HIGH,))
        rows = {row for _, _, row in self._by_word[first:behind]}
        return nsmallest(_EACH, (self._offered[row] for row in rows), key=_most_used)

    def words_beginning(self, typed: str) -> list[str]:
        """Return the words that begin so, the most used first."""
        first, behind = (bisect_left(self._sorted_words, end) for end in (typed, typed + _HIGH))
        among = self._sorted_words[first:behind]
        return nsmallest(_EACH, among, key=lambda word: (-self.words[word], word))


def _most_used(entry: _Entry) -> tuple[object, ...]:
    """Put what most photos have first."""
    return -entry.count, plain(entry.label), entry.key


def _starts(label: str) -> list[str]:
    """Return a label from each of its words on, in small letters: what is typed begins one."""
    told = plain(label)
    return [told[word.start() :] for word in re.finditer(r"\w+", told)]


def _once(found: Iterable[Suggestion]) -> Iterator[Suggestion]:
    """Leave out what inserts the same as one before."""
    seen: set[str] = set()
    for each in found:
        if each.insert not in seen:
            seen.add(each.insert)
            yield each


def _values_of(written: re.Match[str], at: int, vocabulary: _Vocabulary) -> Iterator[Suggestion]:
    """Yield the values that complete a filter, or filters that may be meant by its name."""
    minus, name, _ = written.groups()
    typed = written[0][written.start(3) - written.start() : at - written.start()]
    typed = typed.lstrip('"').replace('""', '"').removeprefix(AS_WRITTEN)
    place = {"start": written.start(), "end": written.end()}
    if name.lower() not in _GROUPS:
        for meant in filters_meant(name):
            insert = f"{minus}{meant}:{written[3]}"
            yield Suggestion(kind=SuggestionKind.FILTER, label=insert, insert=insert, **place)
        return
    for value, count, kind, label in _completing(name.lower(), typed, vocabulary):
        insert = written_filters([(f"{minus}{name.lower()}", value)])
        yield Suggestion(kind=kind, label=label, insert=insert, count=count, **place)


def _completing(
    name: str, typed: str, vocabulary: _Vocabulary
) -> Iterator[tuple[str, int | None, SuggestionKind, str]]:
    """Yield the values of a filter that begin as is typed: value, count, kind and label."""
    told = plain(typed)
    for group in _GROUPS[name]:
        kind = _KINDS.get(group, SuggestionKind.FILTER)
        entries = [each for each in vocabulary.entries[group] if _begins(each, told)]
        ordered = sorted(entries, key=_most_used)
        if group == FacetGroup.DATES:
            ordered = sorted(entries, key=lambda each: each.key, reverse=True)
        for entry in ordered:
            value = entry.key if group == FacetGroup.DATES else entry.pairs[0][1]
            label = entry.key if group in _TELLING else entry.label
            yield value, entry.count, kind, label
    if name == "near" and len(told) >= _SHORTEST:
        for label in gazetteer().labels_beginning(told, MOST_SUGGESTIONS):
            yield label, None, SuggestionKind.PLACE, label


_TELLING = (FacetGroup.PLACES, FacetGroup.DATES)
"""Groups whose keys say more than their labels."""


def _begins(entry: _Entry, typed: str) -> bool:
    """Return whether a value begins as is typed: with one of its words, or as a path."""
    if not typed or plain(entry.key).startswith(typed):
        return True
    return any(start.startswith(typed) for start in _starts(entry.label))


def _words_of(
    text: str, at: int, vocabulary: _Vocabulary, names: Sequence[str]
) -> Iterator[Suggestion]:
    """Yield what completes the word at the caret, and the one or two words before it."""
    before = [word for word in _WORD.finditer(text) if word.start() < at]
    if not before or before[-1].end() < at:
        if not text.strip():
            yield from _filters("", at, at)
        return
    word = before[-1]
    typed = plain(text[word.start() : at])
    for first in before[-_MOST_WORDS:]:
        said = plain(" ".join(text[first.start() : at].split()))
        yield from _learned(said, names, first.start(), word.end())
    yield from _filters(typed, word.start(), word.end())
    if len(typed.lstrip("-")) < _SHORTEST:
        return
    for first in before[-_MOST_WORDS:]:
        said = plain(" ".join(text[first.start() : at].split()))
        yield from _valued(said, vocabulary, first.start(), word.end())
    for each in vocabulary.words_beginning(typed):
        yield Suggestion(
            kind=SuggestionKind.WORD,
            label=each,
            insert=each,
            start=word.start(),
            end=word.end(),
            count=vocabulary.words[each],
        )


def _learned(said: str, names: Sequence[str], start: int, end: int) -> Iterator[Suggestion]:
    """Yield the learned names that begin as is said."""
    for name in names:
        if plain(name).startswith(said):
            yield Suggestion(
                kind=SuggestionKind.NAME, label=name, insert=name, start=start, end=end
            )


def _filters(typed: str, start: int, end: int) -> Iterator[Suggestion]:
    """Yield the filters whose names begin as is typed."""
    minus = "-" if typed.startswith("-") else ""
    for name in FILTER_NAMES:
        if name in _HELP and name.startswith(typed.removeprefix("-")):
            yield Suggestion(
                kind=SuggestionKind.FILTER,
                label=f"{minus}{name}: {_HELP[name]}",
                insert=f"{minus}{name}:",
                start=start,
                end=end,
            )


def _valued(said: str, vocabulary: _Vocabulary, start: int, end: int) -> Iterator[Suggestion]:
    """Yield the filters by values with a word that begins as is said."""
    minus = "-" if said.startswith("-") else ""
    for entry in vocabulary.beginning(said.removeprefix("-")):
        yield Suggestion(
            kind=_KINDS[entry.group],
            label=entry.key if entry.group == FacetGroup.PLACES else entry.label,
            insert=f"{minus}{written_filters(entry.pairs)}",
            start=start,
            end=end,
            count=entry.count,
        )
