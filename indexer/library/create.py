"""Create a library: the reference set first, and last the catalog, which makes it a library."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

from indexer.calibration.reference_set import ReferenceSet, banks_of, write_banks
from indexer.catalog.meta import LibraryMeta
from indexer.catalog.reader import catalog_path
from indexer.catalog.writer import CatalogWriter
from indexer.core.atomic_io import replacing
from indexer.core.encoder import Encoder
from indexer.core.errors import TwinlensError, UsageError, explained
from indexer.core.permissions import close_to_others, make_private
from indexer.library.lock import LockTimeout, holding_lock, lock_of

_LONGEST_PATH = 470
"""Bytes. SQLite takes 512, with the names of its own files, in `next/` too."""

_CREATION_SECONDS = 10.0  # another process that makes the same library is done in less

_UNFINISHED = ("lock", LibraryMeta.banks, f"{LibraryMeta.banks}.part", "catalog.sqlite.part*")
"""What a run that was killed while it made a library leaves, SQLite's own files too."""


def create(folder: Path, encoder: Encoder) -> None:
    """Make an empty library for the vectors of one encoder.

    Raises:
        UsageError: the folder holds a library, or other files.
        LibraryLocked: another process is making it.
    """
    _check_free(folder)
    banks = banks_of(encoder)
    _make(folder)
    with holding_lock(lock_of(folder), folder, LockTimeout(seconds=_CREATION_SECONDS)):
        _check_free(folder)
        for path in folder.glob("*"):
            if path.name != "lock":
                path.unlink(missing_ok=True)
        close_to_others(folder)
        write_banks(folder / LibraryMeta.banks, banks)
        with replacing(catalog_path(folder), private=True) as part:
            CatalogWriter.create(part, _facts(encoder, banks))


def _facts(encoder: Encoder, banks: ReferenceSet) -> LibraryMeta:
    """Return what a new library remembers of its encoder."""
    return LibraryMeta(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        dim=encoder.dim,
        hubness_k=encoder.hubness.k,
        photo_bank=len(banks.photos),
        text_bank=len(banks.texts),
    )


def check_path(folder: Path) -> None:
    """Refuse a path at which SQLite or FAISS cannot open their files.

    Raises:
        UsageError: says why, and what to do.
    """
    name = os.fsencode(folder.absolute())
    if len(name) > _LONGEST_PATH:
        raise UsageError(
            f"the path of the library has {len(name)} bytes, more than the {_LONGEST_PATH} with "
            "which SQLite can open its files; name a shorter one with --library"
        )
    try:
        name.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the path of the library, '{folder}', is not UTF-8, and FAISS cannot open files "
            "there; name another folder with --library"
        ) from error


def _check_free(folder: Path) -> None:
    """Refuse to make a library where something else lies, a photo folder named by mistake."""
    check_path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file; a library is a folder")
    if not all(_is_ours(path) for path in folder.glob("*")):
        raise UsageError(f"'{folder}' is not empty; name a new or an empty folder with --library")


def _is_ours(path: Path) -> bool:
    """Return whether a file is one that was being made when a run was killed."""
    is_file = path.is_file() and not path.is_symlink()
    return is_file and any(fnmatchcase(path.name, name) for name in _UNFINISHED)


def _make(folder: Path) -> None:
    """Make the folder of a library, for its owner alone."""
    try:
        make_private(folder)
    except OSError as error:
        raise TwinlensError(f"cannot make '{folder}': {explained(error, folder.parent)}") from error
