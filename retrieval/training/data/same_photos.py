"""Find the same photo under several names by its content, so that it is not its own negative."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from indexer.core.errors import FileUnreadable
from retrieval.pairs import Pair, PhotoFile

END = 4096  # bytes at either end that tell nearly all photos apart

_Key: TypeAlias = "tuple[object, ...] | None"


def find_twins(photos: Sequence[PhotoFile], workers: int) -> dict[int, int]:
    """Return for each row whose photo has the bytes of an earlier row's the first such row.

    Sizes are compared first, then both ends of the files of equal size, then whole files whose
    ends agree. So a million photos cost a million small reads, not a decoding. Rows that name
    the same file are no twins; a file that cannot be read has none.

    Args:
        photos: one a row.
        workers: threads that read.
    """
    with ThreadPoolExecutor(workers) as pool:
        rows = list({photo: row for row, photo in reversed(list(enumerate(photos)))}.values())
        groups = [sorted(rows)]
        for key in (_size, _ends, _digest):
            groups = [
                part for group in groups for part in _divide(photos, group, key, pool) if part[1:]
            ]
    return {row: group[0] for group in groups for row in group[1:]}


def _divide(
    photos: Sequence[PhotoFile],
    rows: Sequence[int],
    key: Callable[[PhotoFile], _Key],
    pool: ThreadPoolExecutor,
) -> Iterable[list[int]]:
    """Part rows by a property of their photos; drop those that have none."""
    parts: dict[_Key, list[int]] = {}
    for row, value in zip(rows, pool.map(key, (photos[row] for row in rows)), strict=True):
        if value is not None:
            parts.setdefault(value, []).append(row)
    return parts.values()


def _size(photo: PhotoFile) -> _Key:
    """Bytes of the encoded photo."""
    try:
        return (photo.path.stat().st_size if photo.size is None else photo.size,)
    except (OSError, FileUnreadable):
        return None


def _ends(photo: PhotoFile) -> _Key:
    """The first and last bytes."""
    try:
        return photo.ends(END)
    except (OSError, FileUnreadable):
        return None


def _digest(photo: PhotoFile) -> _Key:
    """Hash of all bytes."""
    try:
        return (hashlib.blake2b(photo.read(), digest_size=16).digest(),)
    except (OSError, FileUnreadable):
        return None


def twins_line(twins: Mapping[int, int], pairs: Sequence[Pair]) -> str:
    """Say in a line how many photos repeat another one; at least one does."""
    row, first = next(iter(twins.items()))
    return (
        f"{len(twins):,} photos are copies of another one under a different name, and are not used "
        f"as its negatives; the first: {pairs[row].name} is {pairs[first].name}"
    )
