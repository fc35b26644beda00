"""Captions in several languages beside English ones, read for `train_languages.py`."""

from __future__ import annotations

import json
import lzma
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LANGUAGES = ("de", "fr", "pt", "es", "zh", "ar", "cs", "hi", "uk", "it", "nl")
"""Codes of the languages that the tower learns, beside English."""

ALL = -1
"""Stands for all English captions of a photo: nobody knows which one was translated."""

_COUPLED = 0.35  # share of the short queries that join two words

_ENGLISH = 3  # captions of a Flickr8k photo that are its target
_WORDS, _PHRASES = (Path(__file__).with_name(name) for name in ("words.tsv", "phrases.toml"))


class Row(NamedTuple):
    """A caption, and whose translation it is: a photo's, by all its English captions or one."""

    photo: str
    language: str
    nth: int
    text: str


@dataclass(kw_only=True)
class Texts:
    """All texts.

    Attributes:
        english: captions of each photo.
        rows: captions in all languages, English among them.
        photos: files of the photos that are here.
    """

    english: dict[str, list[str]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    photos: dict[str, Path] = field(default_factory=dict)


def read_texts(datasets: Path) -> Texts:
    """Read the captions of flickr8k, flickr8k_languages, flickr30k_text and coco_text."""
    texts = Texts()
    _read_flickr8k(datasets, texts)
    _read_flickr30k(datasets / "flickr30k_text" / "captions.jsonl.xz", texts)
    _read_coco(datasets / "coco_text" / "captions.jsonl", texts)
    for photo, captions in texts.english.items():
        texts.rows += [Row(photo, "en", nth, text) for nth, text in enumerate(captions)]
    return texts


def read_words() -> list[dict[str, str]]:
    """Read the words that were translated by hand: for each, its language codes."""
    head, *rows = _WORDS.read_text(encoding="utf-8").splitlines()
    return [dict(zip(head.split("\t"), row.split("\t"), strict=True)) for row in rows]


class ShortQueries:
    """Short queries in all languages, made of words that were translated by hand.

    Attributes:
        english: what they mean: the words, then couples of words ("a and b").
    """

    def __init__(self, couples: int, seed: int) -> None:
        self._words = read_words()
        self._around = tomllib.loads(_PHRASES.read_text(encoding="utf-8"))
        rng = np.random.default_rng(seed)
        self._couples = rng.integers(0, len(self._words), (couples, 2)).tolist()
        joined = [f"{self._words[a]['en']} and {self._words[b]['en']}" for a, b in self._couples]
        self.english = [word["en"] for word in self._words] + joined
        self.words = len(self._words)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[list[str], list[int]]:
        """Return queries, and the place of each one's meaning in `english`."""
        drawn = [self._one(rng) for _ in range(count)]
        return [text for text, _ in drawn], [place for _, place in drawn]

    def _one(self, rng: np.random.Generator) -> tuple[str, int]:
        """Return a query and the place of its meaning."""
        language, around = list(self._around.items())[rng.integers(len(self._around))]
        if rng.random() < _COUPLED:
            place = int(rng.integers(len(self._couples)))
            a, b = (self._words[word][language] for word in self._couples[place])
            return f"{a} {around['and']} {b}", self.words + place
        word = int(rng.integers(self.words))
        form = around["around"][rng.integers(len(around["around"]))]
        return form.replace("{}", self._words[word][language]), word


def _read_flickr8k(datasets: Path, texts: Texts) -> None:
    """Read photos with captions of many languages; which was translated is not known."""
    for row in _lines(datasets / "flickr8k" / "train.jsonl"):
        texts.english[row["image"]] = row["captions"][:_ENGLISH]
        texts.photos[row["image"]] = datasets / "flickr8k" / row["image"]
    for row in _lines(datasets / "flickr8k_languages" / "train.jsonl"):
        texts.rows += [Row(row["image"], row["lang"], ALL, text) for text in row["captions"]]


def _read_flickr30k(file: Path, texts: Texts) -> None:
    """Read captions without photos: the first of each language translates the first English one."""
    with lzma.open(file, "rt", encoding="utf-8") as opened:
        rows = [json.loads(line) for line in opened]
    for row in rows:
        if not row.get("en"):
            continue
        photo = f"flickr30k/{row['id']}"
        texts.english[photo] = row["en"][:1]
        for name in ("de", "fr", "cs", "pt", "nl", "es_mt", "uk_mt"):
            said = row.get(name) or []
            captions = [said] if isinstance(said, str) else said
            texts.rows += [
                Row(photo, name[:2], ALL if nth or name == "nl" else 0, text)
                for nth, text in enumerate(captions)
            ]


def _read_coco(file: Path, texts: Texts) -> None:
    """Read English and Italian captions without photos, but those of the photos in coco_small."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in _lines(file):
        if row.get("photo_in"):
            found[str(row["id"])]["left out"].append(row["photo_in"])
        for name in ("en", "en_fine", "it", "it_mt"):
            found[str(row["id"])][name] += row.get(name) or []
    for id_, said in found.items():
        english = said["en"] or said["en_fine"]
        if said["left out"] or not english or not (said["it"] or said["it_mt"]):
            continue
        photo = f"coco/{id_}"
        texts.english[photo] = english[:5]
        paired = len(said["en"]) == len(said["it_mt"])
        texts.rows += [
            Row(photo, "it", nth if paired and nth < 5 else ALL, text)
            for nth, text in enumerate(said["it_mt"])
        ]
        texts.rows += [Row(photo, "it", ALL, text) for text in said["it"]]


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Read a JSONL."""
    with file.open(encoding="utf-8") as opened:
        yield from map(json.loads, opened)
