"""Words in photos, as a search finds them: exact ones, and those that were misread."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from indexer.core.filters import AllOf, AnyOf, Filter, Not, ShowsText
from indexer.core.text_normalization import STOP_WORDS, sought, tokens

FULL_SHARE = 0.1
"""A picture of which so much is text, as a document, counts as what the text is about."""

LEAST_WEIGHT = 0.35
"""Of words that are a small part of a picture: a sign is found, and outranks no picture that is
likely to show the thing."""

_ALIKE = (
    "il1tj",
    "o0dcq",
    "s5",
    "z2",
    "b86",
    "g9q",
    "ec",
    "ao",
    "uv",
    "nh",
    "yv",
    "fte",
    "3e",
    "4a",
)
"""Letters and digits that look alike; case and accents make no difference here."""

_RUNS = (("rn", "m"), ("cl", "d"), ("vv", "w"), ("li", "h"), ("nn", "m"), ("ii", "u"))
"""Runs that look like one letter."""

SHORTEST = 4
"""Letters of a word that is looked for misread: a shorter one has too many neighbours."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

Phrases = tuple[str, ...]
"""One word of a query as phrases of which one is enough; see `text_normalization.sought`."""


def matches(
    connection: sqlite3.Connection, words: Sequence[Phrases], items: int, *, every: bool
) -> dict[int, float]:
    """Return the scores of photos, by id, that show words.

        score = weight(share of text) * sum over words of log(items / photos with it) / log(items)

    So a word counts about 1 if one photo of the library shows it, as in `words`.

    Args:
        connection: to a catalog of format 6 or later.
        words: of the query.
        items: that the library holds.
        every: only photos that show all the words.
    """
    shares: dict[int, float] = {}
    scores: defaultdict[int, float] = defaultdict(float)
    seen: Counter[int] = Counter()
    for word in words:
        found = dict(connection.execute(_SHOWING, (_expression(connection, word),)).fetchall())
        rarity = math.log((items + 1) / max(1, len(found))) / math.log(items + 1)
        shares |= found
        for id_ in found:
            scores[id_] += rarity
            seen[id_] += 1
    asked = len(words) if every else 1
    return {id_: score * weight(shares[id_]) for id_, score in scores.items() if seen[id_] >= asked}


def weight(share: float) -> float:
    """Return what words count in a photo of which so much is text, from `LEAST_WEIGHT` to 1."""
    return LEAST_WEIGHT + (1 - LEAST_WEIGHT) * min(1.0, share / FULL_SHARE)


_SHOWING = """
    SELECT items.id, readings.share
    FROM words JOIN items ON items.id = words.rowid + 0
    JOIN readings ON readings.file_id = items.file_id
    WHERE words MATCH ?"""


def _expression(connection: sqlite3.Connection, word: Phrases) -> str:
    """Return an expression of FTS5 for a word, and what it may have been misread as."""
    forms = [form for phrase in word for form in (phrase, *misreadings(phrase))]
    if not _is_shown(connection, word):
        forms += [form for phrase in word for form in one_edit_away(phrase)]
    return in_pictures(forms)


def _is_shown(connection: sqlite3.Connection, phrases: Phrases) -> bool:
    """Tell whether any photo shows one of some phrases."""
    shown = "SELECT rowid FROM words WHERE words MATCH ? LIMIT 1"
    return connection.execute(shown, (in_pictures(phrases),)).fetchone() is not None


def in_pictures(phrases: Sequence[str]) -> str:
    """Return an expression of FTS5 that matches any of some phrases in pictures."""
    either = " OR ".join(f'"{phrase}"' for phrase in dict.fromkeys(phrases))
    return f"seen : ({either})"


def shown_words(text: str, where: Filter | None) -> frozenset[str]:
    """Return the tokens that a search looks for in pictures: of its words, and of its filters.

    Args:
        text: the words of the query; those that tell nothing are left out.
        where: its filters, of which `ShowsText` names words.
    """
    asked = {token for phrases in sought(text) for phrase in phrases for token in phrase.split()}
    asked -= STOP_WORDS
    asked |= {token for each in text_filters(where) for token in tokens(each.text)}
    return frozenset(
        form for token in asked for form in (token, token.removesuffix("s"), *misreadings(token))
    )


def text_filters(where: Filter | None) -> Iterator[ShowsText]:
    """Yield the filters of text in photos that a filter consists of."""
    match where:
        case ShowsText():
            yield where
        case AllOf(filters=filters) | AnyOf(filters=filters):
            for each in filters:
                yield from text_filters(each)
        case Not(filter=each):
            yield from text_filters(each)


def phrase_expression(tokens: Sequence[str]) -> str:
    """Return an expression of FTS5 for words side by side, of which one may be misread."""
    phrases = [" ".join(tokens)]
    for at, token in enumerate(tokens):
        phrases += [
            " ".join((*tokens[:at], form, *tokens[at + 1 :])) for form in misreadings(token)
        ]
    return in_pictures(phrases)


@cache
def misreadings(word: str) -> tuple[str, ...]:
    """Return a word's forms in which one letter, or a run, was taken for another like it.

    Args:
        word: one token of `text_normalization.tokens`; one of other letters has no forms.
    """
    if len(word) < SHORTEST or not word.isascii():
        return ()
    return tuple(dict.fromkeys(form for form in _forms(word) if form != word))


def _forms(word: str) -> Iterator[str]:
    """Yield the forms of a word."""
    for at, letter in enumerate(word):
        others = {other for group in _ALIKE if letter in group for other in group}
        yield from (word[:at] + other + word[at + 1 :] for other in sorted(others - {letter}))
    for pair in _RUNS:
        for old, new in (pair, pair[::-1]):
            at = word.find(old)
            while at >= 0:
                yield word[:at] + new + word[at + len(old) :]
                at = word.find(old, at + 1)


def one_edit_away(word: str) -> tuple[str, ...]:
    """Return the forms of a word with one letter more, less, or another: edit distance 1."""
    if len(word) <= SHORTEST or not word.isascii():
        return ()
    parts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    less = [head + tail[1:] for head, tail in parts if tail]
    other = [head + letter + tail[1:] for head, tail in parts if tail for letter in _LETTERS]
    more = [head + letter + tail for head, tail in parts for letter in _LETTERS]
    return tuple(dict.fromkeys(form for form in (*less, *other, *more) if form != word))
