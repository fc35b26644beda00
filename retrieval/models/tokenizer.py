"""Turn words into token ids, without torch."""

from __future__ import annotations

import re
import string
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import Regex, normalizers

from retrieval.models.languages import ENGLISH

PAD = 0
_FLORES = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
WHOLE = 3  # ids of a text of one word: its beginning, the word, its end
Ids: TypeAlias = NDArray[np.int64]

_PIECE = re.compile(r"\s*(?:[^\s\u3000-\U0003ffff]+|\S)")
"""A word with the space before it; one letter of a script that puts no space between words."""


def is_whole(ids: Ids) -> bool:
    """Return whether the ids of a word are its own, its text's beginning and end, and no more."""
    return int(np.count_nonzero(ids != PAD)) <= WHOLE


def unread(text: str, ids: Callable[[Sequence[str]], Ids]) -> str:
    """Return the end of a text that a tower does not read, since it is too long; empty for none.

    Args:
        text: the whole of it.
        ids: gives the ids of texts, cut where the tower ends.
    """
    whole = _row(ids([text]))
    if _row(ids([f"{text} and {text}"])) != whole:
        return ""
    pieces = _PIECE.findall(text)
    prefixes = ["".join(pieces[:count]) for count in range(1, len(pieces) + 1)]
    first = bisect_left(prefixes, True, key=lambda prefix: _row(ids([prefix])) == whole)
    return text[len(prefixes[first]) :].strip() if first < len(prefixes) else ""


def behind(text: str, cuts: Callable[[str], bool]) -> str:
    """Return the end of a text that a model does not read.

    Args:
        text: the whole of it.
        cuts: tells whether a text is too long.
    """
    pieces = _PIECE.findall(text)
    prefixes = ["".join(pieces[:count]) for count in range(len(pieces) + 1)]
    first = bisect_left(prefixes, True, key=cuts)
    return text[len(prefixes[max(0, first - 1)]) :].strip()


def _row(ids: Ids) -> list[int]:
    """Return the ids of the one text, without padding."""
    (row,) = ids.tolist()
    return [id_ for id_ in row if id_ != PAD]


class Tokenizer(Protocol):
    """Turns texts into token ids."""

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return ids, shape (texts, longest), padded with 0."""
        ...


class WordPieceTokenizer:
    """The words of the built-in text tower: a `tokenizers` file, cut at `context` tokens."""

    def __init__(self, file: Path, context: int) -> None:
        self.file = file
        self._tokenizer = _cut(tokenizers.Tokenizer.from_file(str(file)), context)

        self._unknown = _unknown(self._tokenizer)

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return ids, shape (texts, longest). A closing full stop is dropped, and what is unknown.

        Captions end in a full stop and queries do not: it must not tell them apart. No caption
        taught what an unknown sign means, an emoji say: it would be near to anything.
        """
        found = _encoded(self._tokenizer, [text.strip().rstrip(". ") for text in texts])
        if not (found == self._unknown).any():
            return found
        rows = [self._known(row) for row in found.tolist()]
        longest = max(map(len, rows))
        return np.array([row + [PAD] * (longest - len(row)) for row in rows], dtype=np.int64)

    def _known(self, row: Sequence[int]) -> list[int]:
        """Return the ids that say something; where none does, one that does not."""
        known = [id_ for id_ in row if id_ not in (PAD, self._unknown)]
        return known or [self._unknown]


class FileTokenizer:
    """A file of the package `tokenizers` that `write_file_tokenizer` made complete.

    Attributes:
        languages: ids of the tokens that say which language a text is in, by FLORES code; only
            NLLB has such tokens.
    """

    def __init__(self, file: Path) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
        added = self._tokenizer.get_added_tokens_decoder()
        self.languages = {
            token.content: id_ for id_, token in added.items() if _FLORES.fullmatch(token.content)
        }

    def ids(self, texts: Sequence[str], language: str = ENGLISH) -> Ids:
        """Return ids, shape (texts, longest).

        Args:
            texts: in one language.
            language: a key of `languages`, if there are any.
        """
        mended_texts = list(map(mended, texts))
        found = _encoded(self._tokenizer, mended_texts)
        if not self.languages:
            return found
        says = np.isin(found, list(self.languages.values()))
        if not says.any(axis=1).all():  # the file leaves the token to its user
            return _encoded(self._tokenizer, [language + text for text in mended_texts])
        return np.where(says, self.languages[language], found)


def write_file_tokenizer(
    source: Path, file: Path, *, context: int, pad: int, canonical: bool
) -> None:
    """Write a tokenizer's file with all that its texts need.

    Args:
        source: a `tokenizer.json`.
        file: where to write.
        context: tokens of a text at most.
        pad: the id that fills texts up.
        canonical: whether texts lose punctuation and capitals first, as those of SigLIP do.
    """
    tokenizer = tokenizers.Tokenizer.from_file(str(source))
    tokenizer.enable_truncation(max_length=context)
    tokenizer.enable_padding(pad_id=pad, pad_token=tokenizer.id_to_token(pad) or "")
    if canonical:
        steps = normalizers.Sequence(
            [
                normalizers.Replace("_", " "),
                normalizers.Replace(Regex(f"[{re.escape(string.punctuation)}]"), ""),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"\s+"), " "),
                normalizers.Strip(),
            ]
        )
        own = tokenizer.normalizer
        tokenizer.normalizer = normalizers.Sequence([steps, own] if own else [steps])
    tokenizer.save(str(file))


def padded(ids: NDArray[np.int64], context: int, pad: int) -> NDArray[np.int64]:
    """Fill texts up to `context` tokens. (b, n) → (b, context)."""
    full = np.full((len(ids), context), pad, dtype=np.int64)
    full[:, : ids.shape[1]] = ids[:, :context]
    return full


def _cut(tokenizer: tokenizers.Tokenizer, context: int) -> tokenizers.Tokenizer:
    """Cut at `context` tokens, and pad with 0."""
    tokenizer.enable_truncation(max_length=context)
    tokenizer.enable_padding(pad_id=PAD)
    return tokenizer


def _unknown(tokenizer: tokenizers.Tokenizer) -> int:
    """Return the id of words that the tokenizer does not know; -1 where there is none."""
    token = getattr(tokenizer.model, "unk_token", None)
    found = tokenizer.token_to_id(token) if token else None
    return -1 if found is None else found


def _encoded(tokenizer: tokenizers.Tokenizer, texts: Sequence[str]) -> Ids:
    """Return ids, shape (texts, longest)."""
    encoded = tokenizer.encode_batch(list(texts))
    return np.array([entry.ids for entry in encoded], dtype=np.int64).reshape(len(texts), -1)


def mended(text: str) -> str:
    """Mend letters, resolve entities, and put one space where there are many."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return " ".join(text.split())  # nothing to mend, and ftfy takes 50 ms to import
    import html

    from ftfy import fix_text

    return " ".join(html.unescape(html.unescape(fix_text(text))).split())
