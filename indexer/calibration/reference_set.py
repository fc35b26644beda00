"""The reference set of a library: generic vectors that measure the hubness of its items.

The file is written once, before the catalog, and never changes. So all items of a library are
corrected with the same reference set, whenever they are added. A search also uses it to estimate
how likely a hit is a match.

For that, a search scores the cohort: the reference items of the kind that it looks for, in stored
form. Computing their hubness takes 50 ms, so the writer stores the cohort in a file of its own. If
that is missing, broken, or made from another reference set, a search computes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.core.atomic_io import UNREADABLE, read_sealed, replacing, sealed
from indexer.core.encoder import Encoder, Vectors, checked
from indexer.core.errors import LibraryDamaged, way_out
from indexer.core.types import Kind

COHORTS = "cohorts.safetensors"


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """Unit vectors of generic photos (p, dim) and generic texts (t, dim); either may be empty."""

    photos: NDArray[np.float16]
    texts: NDArray[np.float16]

    def of(self, kind: Kind) -> Vectors:
        """Return the reference vectors of a kind. Shape (bank, dim)."""
        return (self.photos if kind == Kind.PHOTO else self.texts).astype(np.float32)

    def facing(self, kind: Kind) -> Vectors:
        """Return the vectors that correct items of a kind: they are of the other kind."""
        return self.of(Kind.TEXT if kind == Kind.PHOTO else Kind.PHOTO)


def banks_of(encoder: Encoder) -> ReferenceSet:
    """Ask an encoder for its reference set.

    Raises:
        TwinlensError: it gave something else than unit vectors.
    """
    photos, texts = (_half(encoder, kind) for kind in (Kind.PHOTO, Kind.TEXT))
    return ReferenceSet(photos=photos, texts=texts)


def write_banks(path: Path, banks: ReferenceSet) -> None:
    """Write the reference set of a library; return once they are on the disk."""
    with replacing(path, private=True) as part:
        part.write_bytes(sealed({"photos": banks.photos, "texts": banks.texts}, {}))


def read_banks(path: Path, *, photos: int, texts: int, dim: int) -> ReferenceSet:
    """Read the reference set of a library.

    Args:
        path: the file.
        photos: vectors of photos that the catalog says are there.
        texts: vectors of texts likewise.
        dim: length of every vector.

    Raises:
        LibraryDamaged: the file is missing, truncated, or not what the catalog says.
    """
    try:
        tensors, _ = read_sealed(path)
        banks = ReferenceSet(photos=tensors["photos"], texts=tensors["texts"])
    except FileNotFoundError as error:
        raise _damage(path, "is missing") from error
    except UNREADABLE as error:
        raise _damage(path, f"is broken ({error})") from error
    for bank, rows, kind in ((banks.photos, photos, Kind.PHOTO), (banks.texts, texts, Kind.TEXT)):
        if bank.dtype != np.float16 or bank.shape != (rows, dim):
            raise _damage(path, f"does not hold {rows} {kind} vectors of length {dim}")
    return banks


def _half(encoder: Encoder, kind: Kind) -> NDArray[np.float16]:
    """Return an encoder's vectors of one kind in the library's precision. Shape (bank, dim)."""
    bank = encoder.bank(kind)
    return checked(bank, encoder=encoder, rows=len(bank)).astype(np.float16)


def _damage(path: Path, fault: str) -> LibraryDamaged:
    """Name the file, what still works, and the way out."""
    remedy = (
        "searches still work; twinlens check --repair or twinlens index rebuilds it with the same "
        "model. If that fails, "
    )
    return LibraryDamaged(path, fault, remedy + way_out(path.parent))


def write_cohorts(path: Path, cohorts: Mapping[Kind, NDArray[np.float16]], *, banks: str) -> None:
    """Keep cohorts by their kind, of shape (n, width), and the name of their reference set."""
    with replacing(path, private=True) as part:
        part.write_bytes(
            sealed({kind.value: rows for kind, rows in cohorts.items()}, {"banks": banks})
        )


def read_cohorts(path: Path, *, banks: str, width: int) -> dict[Kind, NDArray[np.float16]]:
    """Return the cohorts that were kept, nothing where they are not those of the reference set."""
    try:
        tensors, metadata = read_sealed(path)
        cohorts = {Kind(name): rows for name, rows in tensors.items()}
    except UNREADABLE:
        return {}
    fit = all(rows.dtype == np.float16 and rows.shape[1:] == (width,) for rows in cohorts.values())
    fit = fit and set(cohorts) == set(Kind)
    return cohorts if fit and metadata.get("banks") == banks else {}
