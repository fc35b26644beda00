"""The cache of an exported model: one folder for each fingerprint.

```
CACHE/engines-FORMAT/FINGERPRINT/
  engine.json        name, dim, image, tokens, hubness, words; written last
  images.xml, .bin   pixels uint8 (b, s, s, 3) → vectors (b, dim), and patch tokens if it has any
  texts.xml, .bin    vectors of words (b, n, w), ids (b, n) → vectors (b, dim)
  words.npy          float16 (vocabulary, w): the vectors of words, of which a query reads a few
  pairs.npy          words → ids, of CLIP's
  PART.none          why a tower stays with torch
  speed.json         photos a second that it embeds on this CPU, if that was measured
  compiled/          what OpenVINO compiled the graphs to on this CPU
CACHE/engines-FORMAT/known.json   size and date of weights → fingerprint: they are hashed once
```

The words and the tokenizer of the built-in architecture are read from the model's own folder.
Everything may be deleted at any time; it is made again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from indexer.core.atomic_io import replacing
from indexer.core.encoder import TokenShape
from indexer.core.errors import TwinlensError
from indexer.core.permissions import make_private
from indexer.core.types import Hubness
from retrieval.models.preprocess import ImageSpec, image_spec

FORMAT = 4
"""Raise it when these files change: models of another format are made again."""

CACHE_VARIABLE = "TWINLENS_CACHE"


class Tower(StrEnum):
    """The towers of an exported model."""

    IMAGES = "images"
    TEXTS = "texts"


class TokenizerKind(StrEnum):
    """How texts are cut into tokens."""

    PIECES = "pieces"  # the built-in text tower's
    CLIP = "clip"  # those of OpenAI's CLIP
    FILE = "file"  # a file of the package tokenizers, complete in itself


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The description of a model, without its weights.

    Attributes:
        name: the spec that it was loaded by.
        fingerprint: hash of architecture, weights and preprocessing.
        dim: length of the vectors.
        image: how photos are prepared.
        tokens: size of its image tokens; None if it gives none.
        hubness: how search corrects for hubs.
        words: how texts are cut; None if only torch can.
        context: tokens of a text at most.
        pad: the id that fills texts up, for a text tower that is given ids; None for one that is
            given the vectors of words.
    """

    name: str
    fingerprint: str
    dim: int
    image: ImageSpec
    tokens: TokenShape | None
    hubness: Hubness
    words: TokenizerKind | None
    context: int
    pad: int | None = None


@dataclass(frozen=True)
class GraphCache:
    """The files of one exported model."""

    path: Path

    @property
    def about(self) -> Path:
        """The file that describes the model."""
        return self.path / "engine.json"

    @property
    def words(self) -> Path:
        """The vectors of words."""
        return self.path / "words.npy"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer of a pair of ONNX files."""
        return self.path / "tokenizer.json"

    @property
    def pairs(self) -> Path:
        """CLIP's tokenizer."""
        return self.path / "pairs.npy"

    @property
    def compiled(self) -> Path:
        """The folder of the graphs that OpenVINO compiled."""
        return self.path / "compiled"

    @property
    def speed(self) -> Path:
        """How fast it is here."""
        return self.path / "speed.json"

    def graph(self, part: Tower) -> Path:
        """The graph of a tower; it is there if the tower is."""
        return self.path / f"{part}.xml"

    def refusal(self, part: Tower) -> Path:
        """The file that says why a tower stays with torch, if it does."""
        return self.path / f"{part}.none"

    def read(self) -> ModelInfo | None:
        """Return the description of the model; None if it is not exported."""
        try:
            plain = json.loads(self.about.read_text(encoding="utf-8"))
            return _about(plain)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def make(self) -> None:
        """Make the folder; the cache is closed to other users.

        Raises:
            OSError: the disk is full or closed to us.
        """
        _make_root()
        self.path.mkdir(exist_ok=True)

    def write(self, about: ModelInfo) -> None:
        """Write the description of the model."""
        with replacing(self.about) as part:
            part.write_text(json.dumps(asdict(about)), encoding="utf-8")


def engine_folder(fingerprint: str) -> GraphCache:
    """Return where an exported model is kept."""
    return GraphCache(_root() / fingerprint)


def cache_folder() -> Path:
    """Return the folder of all that is kept and may be deleted at any time."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("twinlens")


def known_models() -> set[str]:
    """Return the names of the models that were used here."""
    engines = (GraphCache(file.parent).read() for file in _root().glob("*/engine.json"))
    return {about.name for about in engines if about is not None}


def known_fingerprint(key: str, files: list[Path]) -> str | None:
    """Return the fingerprint of weights that were seen before and have not changed since."""
    entry = _known().get(key)
    return str(entry[0]) if entry and entry[1:] == _stamps(files) else None


def remember_fingerprint(key: str, files: list[Path], fingerprint: str) -> None:
    """Keep a fingerprint for the next time; where nothing can be kept, it is hashed again."""
    known = _known() | {key: [fingerprint, *_stamps(files)]}
    try:
        _make_root()
        with replacing(_root() / "known.json") as part:
            part.write_text(json.dumps(known), encoding="utf-8")
    except (OSError, TwinlensError):
        return


def _root() -> Path:
    """Return the folder of all exported models."""
    return cache_folder() / f"engines-{FORMAT}"


def _make_root() -> None:
    """Make the folder of all exported models, for its owner only; a chosen one stays as it is."""
    root = _root()
    make_private(root)
    if not os.environ.get(CACHE_VARIABLE):
        with suppress(OSError):
            root.chmod(0o700)


def _known() -> dict[str, list[Any]]:
    """Read the fingerprints that are known."""
    try:
        known: dict[str, list[Any]] = json.loads((_root() / "known.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _stamps(files: list[Path]) -> list[Any]:
    """Return size and date of each file."""
    return [[status.st_size, status.st_mtime_ns] for status in (file.stat() for file in files)]


def _about(plain: dict[str, Any]) -> ModelInfo:
    """Rebuild what a model is from its JSON form."""
    return ModelInfo(
        **{
            **plain,
            "image": image_spec(plain["image"]),
            "tokens": TokenShape(**plain["tokens"]) if plain["tokens"] else None,
            "hubness": Hubness(**plain["hubness"]),
            "words": TokenizerKind(plain["words"]) if plain["words"] else None,
        }
    )
