"""Store learned names on disk: one file per name, in the library whose model they were learned for.

```
LIBRARY/concepts/SLUG-HASH.safetensors
    tokens    float32 (n, width): vectors that replace the name in a text
    metadata  format, name, like, model, fingerprint, photos, steps, seed
```
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.core.atomic_io import UNREADABLE, read_sealed, replacing, sealed
from indexer.core.errors import TwinlensError, is_open, permit
from indexer.core.permissions import make_folder
from indexer.core.text_normalization import STOP_WORDS, same
from indexer.core.types import Skip
from retrieval.errors import ConceptInvalid

FORMAT = "1"
LONGEST_NAME = 60  # characters; a name is a word or a few

TokenVectors: TypeAlias = NDArray[np.float32]
"""Vectors in the space of a text tower's tokens. Shape (tokens, width)."""


@dataclass(frozen=True, kw_only=True)
class Concept:
    """A name that was learned from photos.

    Attributes:
        name: as it was written; case does not matter in a query.
        tokens: what the text tower reads in its place. Shape (tokens, width).
        like: the plain words from which it was learned.
        model: the name of the model.
        fingerprint: of that model; tokens mean nothing to another.
        photos: how many it was learned from.
        steps: of learning.
        seed: of learning.
    """

    name: str
    tokens: TokenVectors
    like: str
    model: str
    fingerprint: str
    photos: int
    steps: int
    seed: int


class Concepts:
    """The learned names of one library.

    Args:
        library: its folder.
    """

    def __init__(self, library: Path) -> None:
        self._folder = library / "concepts"

    def read(self) -> tuple[list[Concept], list[Skip]]:
        """Return every concept by name, and the files that cannot be read as one."""
        concepts, skipped = [], []
        for path in sorted(self._folder.glob("*.safetensors")):
            try:
                concepts.append(_read(path))
            except UNREADABLE as error:
                skipped.append(Skip(path=path, reason=f"broken concept ({error}); learn it again"))
        return sorted(concepts, key=lambda concept: same_name(concept.name)), skipped

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Return what changes with the files: their names and dates."""
        try:
            with os.scandir(self._folder) as found:
                return tuple(sorted((each.name, each.stat().st_mtime_ns) for each in found))
        except OSError:
            return ()

    def save(self, concept: Concept) -> bool:
        """Write a learned name; return whether it replaced one of the same name.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        path = self._path(concept.name)
        replaced = path.exists()
        make_folder(self._folder)
        data = sealed({"tokens": concept.tokens}, _metadata(concept))
        with replacing(path, private=True) as part:
            part.write_bytes(data)
        return replaced

    def check_writable(self) -> None:
        """Check before the work that its result can be stored.

        Raises:
            TwinlensError: the folder is closed to us.
        """
        folder = self._folder if self._folder.exists() else self._folder.parent
        if not is_open(folder, os.W_OK | os.X_OK):
            raise TwinlensError(f"cannot write to '{folder}': {permit(folder)}")

    def forget(self, name: str) -> None:
        """Delete a learned name.

        Raises:
            ConceptInvalid: the library has not learned that name.
        """
        try:
            self._path(clean_name(name)).unlink()
        except FileNotFoundError as error:
            known = ", ".join(concept.name for concept in self.read()[0]) or "none"
            raise ConceptInvalid(
                f"no name '{name}' has been learned; learned names: {known}"
            ) from error

    def _path(self, name: str) -> Path:
        """Return where the concept of a name lies; a hash keeps names apart that read alike."""
        key = same_name(name)
        slug = re.sub(r"[^a-z0-9]+", "-", key).strip("-")[:40]
        digest = hashlib.blake2b(key.encode(), digest_size=6).hexdigest()
        return self._folder / f"{slug or 'name'}-{digest}.safetensors"


def clean_name(written: str) -> str:
    """Return a name as it is kept: composed Unicode of usual width, single spaces.

    Raises:
        ConceptInvalid: it is empty, too long, or no word.
    """
    name = " ".join(unicodedata.normalize("NFKC", written).split())
    if not name:
        raise ConceptInvalid('the name is empty; give one, e.g. twinlens learn "Rex" rex/*.jpg')
    if len(name) > LONGEST_NAME:
        raise ConceptInvalid(
            f"the name '{name[:20]}…' has {len(name)} characters; use at most {LONGEST_NAME}"
        )
    if not name.isprintable() or not any(char.isalnum() for char in name):
        raise ConceptInvalid(f"the name {name!r} is not a word; a name needs a letter or a digit")
    return name


def new_name(written: str) -> str:
    """Return a name to learn as it is kept.

    Raises:
        ConceptInvalid: it is empty, too long, no word, or one that stands in most queries.
    """
    name = clean_name(written)
    if name.casefold() in STOP_WORDS:
        raise ConceptInvalid(f"'{name}' is a common word in queries; choose another name")
    return name


def same_name(name: str) -> str:
    """Return what is equal for two writings of one name."""
    return same(name)


def _metadata(concept: Concept) -> dict[str, str]:
    """Write all but the vectors as texts."""
    return {
        "format": FORMAT,
        "name": concept.name,
        "like": concept.like,
        "model": concept.model,
        "fingerprint": concept.fingerprint,
        "photos": str(concept.photos),
        "steps": str(concept.steps),
        "seed": str(concept.seed),
    }


def _read(path: Path) -> Concept:
    """Read one file, the inverse of `save`."""
    tensors, facts = read_sealed(path)
    if facts.get("format") != FORMAT:
        raise ValueError(f"format {facts.get('format')}, this twinlens reads {FORMAT}")
    tokens = tensors["tokens"]
    if tokens.dtype != np.float32 or tokens.ndim != 2 or not np.isfinite(tokens).all():
        raise ValueError("its vectors are not a finite matrix of float32")
    return Concept(
        name=facts["name"],
        tokens=tokens,
        like=facts["like"],
        model=facts["model"],
        fingerprint=facts["fingerprint"],
        photos=int(facts["photos"]),
        steps=int(facts["steps"]),
        seed=int(facts["seed"]),
    )
