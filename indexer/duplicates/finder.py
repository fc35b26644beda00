"""Find exact and near copies among the photos of a library.

    photos -> one per file -> near by vectors -> contents -> exact -> every tile alike -> near

A file with several names (links, a folder mounted twice) is one file, not a copy of itself. Exact
copies have the same contents: see `indexer.duplicates.contents`. Vectors alone cannot distinguish a
near copy from the next shot of a burst, so the pictures are compared: see
`indexer.duplicates.similarity`. Copies that were resized, recompressed, brightened or slightly
cropped around their middle are found. Pictures with other words, or in which something moved, are
not copies: see benchmarks/README.md.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, TypeVar

import faiss
import numpy as np
from PIL import Image

from indexer.catalog.changes import CatalogPhoto
from indexer.core.errors import FileUnreadable
from indexer.core.types import Kind, Metadata
from indexer.duplicates.contents import (
    FileContents,
    all_it_shows,
    contents,
    grey_detail,
    telling_pages,
)
from indexer.duplicates.originals import OriginalTraits, lacking, rank, why
from indexer.duplicates.similarity import AGREE, ALIKE, SIDES, agreement, likeness
from indexer.library.library import Library

NEAR = 0.9
"""Cosine from which photos are compared as pictures; nineteen copies in twenty lie above it."""

_BLOCK = 512  # photos looked up at once
_NEIGHBOURS = 64  # of each photo, at most; larger groups still join through each other
_SAME_LEVELS = 4.0  # mean difference of small pictures; how a file was decoded makes less
_LARGER = 1.25  # times a side at which pictures are compared, so that fitting loses nothing
_KEPT = {SIDES[0]: 2048, SIDES[1]: 32}  # grey pictures in memory: 100 MB in all

Pair: TypeAlias = tuple[int, int]

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class DuplicateFile:
    """One of several copies.

    Attributes:
        path: where it is.
        width: of the upright picture in pixels.
        height: likewise.
        bytes: of the file.
        id: of its item in the library.
        links: other names of the same file, which goes with them.
        alone: what it has and the kept copy lacks; dropping it would lose that.
    """

    path: Path
    width: int
    height: int
    bytes: int
    id: int = 0
    links: tuple[Path, ...] = ()
    alone: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DuplicateGroup:
    """Copies of one picture, the original first; see `indexer.duplicates.originals`.

    `exact` copies hold the same. `alike` is the correlation of the pictures with the first one, of
    the least alike. `why` says why the first one is the one to keep.
    """

    copies: tuple[DuplicateFile, ...]
    exact: bool
    alike: float
    why: str = ""

    @property
    def keep(self) -> Path:
        """The copy to keep."""
        return self.copies[0].path

    @property
    def spare(self) -> tuple[Path, ...]:
        """The copies that can be deleted without losing anything."""
        return tuple(copy.path for copy in self.copies[1:] if not copy.alone)


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file of the library, by the name that it is known by here, and its other names."""

    photo: CatalogPhoto
    links: tuple[Path, ...]
    is_link: bool
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A photo that was looked at."""

    file: _File
    holds: FileContents

    @property
    def traits(self) -> OriginalTraits:
        """What tells whether it is the original."""
        photo, holds = self.file.photo, self.holds
        return OriginalTraits(
            path=photo.path,
            is_link=self.file.is_link,
            about=replace(holds.about, also=self.file.also),
            depth=holds.depth,
            pixels=holds.width * holds.height,
            bytes=photo.size,
            mtime_ns=photo.mtime_ns,
            links=len(self.file.links),
            is_damaged=holds.is_damaged,
        )


def find_duplicates(
    library: Library,
    folders: Sequence[Path] = (),
    *,
    alike: float = ALIKE,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[DuplicateGroup]:
    """Return the groups of copies in a library, or of what lies below some folders.

    Exact copies first, large groups first. A picture that is there several times stands in a
    group of near copies once, as its original. Files that are gone or cannot be read any more
    are left out. Nothing is changed.

    Args:
        library: is only read.
        folders: look no further than these.
        alike: correlation from which two pictures may be near copies.
        progress: called with the photos looked at, and those to look at.
    """
    files = {file.photo.id: file for file in _real_files(library.catalog.photo_files(folders))}
    same = _groups({id_: file.photo.digest for id_, file in files.items()})
    repeated = {id_ for ids in same for id_ in ids[1:]}
    near = _near(library, [id_ for id_ in files if id_ not in repeated])
    wanted = repeated | {ids[0] for ids in same} | {id_ for pair in near for id_ in pair}
    seen = _look(library, [files[id_] for id_ in sorted(wanted)], progress)
    exact = [_ordered(ids, seen, exact=True) for ids in _same(same, near, seen)]
    best = {id_: ids[0] for ids in exact for id_ in ids}
    groups = [_group(ids, seen, exact=True, alike=1.0) for ids in exact]
    groups += _near_groups({_pair(best.get(a, a), best.get(b, b)) for a, b in near}, seen, alike)
    return sorted(groups, key=lambda group: (not group.exact, -len(group.copies)))


def _real_files(photos: Sequence[CatalogPhoto]) -> list[_File]:
    """Return each file that is there once, however many names lead to it."""
    names: dict[int, CatalogPhoto] = {}
    marks: defaultdict[Hashable, list[int]] = defaultdict(list)
    for photo in photos:
        try:
            status, real = photo.path.stat(), photo.path.resolve(strict=True)
        except (OSError, RuntimeError):
            continue
        names[photo.id] = replace(photo, size=status.st_size, mtime_ns=status.st_mtime_ns)
        for mark in _marks(status, real):
            marks[mark].append(photo.id)
    several = _components((ids[0], id_) for ids in marks.values() for id_ in ids[1:])
    joined = {id_ for ids in several for id_ in ids}
    alone = [[id_] for id_ in names if id_ not in joined]
    return [_file([names[id_] for id_ in ids]) for ids in (*alone, *several)]


def _marks(status: os.stat_result, real: Path) -> list[Hashable]:
    """Return what is equal for two names of one file.

    A share that is mounted twice has two devices; its files have the same inode and the same
    times, also that of the last change of its state, which no copy can set.
    """
    times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if not status.st_ino:
        return [real]
    return [real, (status.st_dev, status.st_ino), (status.st_ino, *times)]


def _file(names: Sequence[CatalogPhoto]) -> _File:
    """Choose the name by which a file is known: its own before a link, then as originals are."""

    def order(photo: CatalogPhoto) -> tuple[object, ...]:
        traits = OriginalTraits(
            path=photo.path,
            is_link=_is_link(photo.path),
            about=Metadata(),
            depth=0,
            pixels=0,
            bytes=0,
            mtime_ns=0,
        )
        return rank(traits, exact=True)

    first, *others = sorted(names, key=order)
    links = tuple(each.path for each in others)
    return _File(photo=first, links=links, is_link=_is_link(first.path))


def _is_link(path: Path) -> bool:
    """Return whether a path leads through a link."""
    return path.resolve() != path.absolute()


def _near(library: Library, ids: Sequence[int]) -> list[Pair]:
    """Return the pairs of photos whose vectors lie near each other, by id."""
    if len(ids) < 2:
        return []
    vectors = library.fetch(ids, Kind.PHOTO)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    pairs: set[Pair] = set()
    for start in range(0, len(ids), _BLOCK):
        cosines, found = index.search(vectors[start : start + _BLOCK], min(_NEIGHBOURS, len(ids)))
        rows, columns = np.nonzero(cosines >= NEAR)
        for one, other in zip((rows + start).tolist(), found[rows, columns].tolist(), strict=True):
            if one != other:
                pairs.add(_pair(ids[one], ids[other]))
    return sorted(pairs)


def _pair(one: int, other: int) -> Pair:
    """Return a pair in the order of ids."""
    return min(one, other), max(one, other)


def _look(
    library: Library, files: Sequence[_File], progress: Callable[[int, int], None]
) -> dict[int, _Seen]:
    """Look at files; those that cannot be read are left out."""
    records = library.records([file.photo.id for file in files])
    also = {record.id: record.about.also for record in records}
    seen = {}
    for done, file in enumerate(files, start=1):
        try:
            holds = contents(file.photo.path)
        except FileUnreadable:
            continue
        finally:
            progress(done, len(files))
        id_ = file.photo.id
        seen[id_] = _Seen(file=replace(file, also=also.get(id_, ())), holds=holds)
    return seen


def _same(
    groups: Iterable[Sequence[int]], near: Iterable[Pair], seen: Mapping[int, _Seen]
) -> list[list[int]]:
    """Group the photos that hold the same; where their bytes differ, all they show is compared."""
    pairs = [(ids[0], id_) for ids in groups for id_ in ids[1:]]
    pairs += [pair for pair in near if _may_be_same(pair, seen)]
    found = []
    for ids in _components(pairs):
        there = [id_ for id_ in ids if id_ in seen]
        digests = {id_: seen[id_].holds.digest for id_ in there}
        one_only = len(set(digests.values())) == 1
        found += _groups(digests if one_only else {id_: _shown(seen[id_]) for id_ in there})
    return found


def _may_be_same(pair: Pair, seen: Mapping[int, _Seen]) -> bool:
    """Tell by size, number of pages and small picture whether two photos may hold the same."""
    if not (pair[0] in seen and pair[1] in seen):
        return False
    one, other = (seen[id_].holds for id_ in pair)
    if (one.width, one.height, one.pages) != (other.width, other.height, other.pages):
        return False
    apart = np.abs(one.picture[0].astype(np.float32) - other.picture[0].astype(np.float32))
    return float(apart.mean()) < _SAME_LEVELS


def _shown(seen: _Seen) -> bytes:
    """Hash all that a file shows; one that has gone meanwhile is like none but its bytes."""
    try:
        return all_it_shows(seen.file.photo.path)
    except FileUnreadable:
        return seen.holds.digest


def _near_groups(
    pairs: Iterable[Pair], seen: Mapping[int, _Seen], alike: float
) -> list[DuplicateGroup]:
    """Return the groups of near copies: each of them is alike to the first one."""
    likeness_of = _Likeness(seen, alike)
    joined = [pair for pair in sorted(pairs) if likeness_of(*pair) is not None]
    groups = []
    for ids in _components(joined):
        left = _ordered(ids, seen, exact=False)
        while len(left) > 1:
            values = {id_: likeness_of(left[0], id_) for id_ in left[1:]}
            copies = {id_: value for id_, value in values.items() if value is not None}
            if copies:
                members = [left[0], *copies]
                groups.append(_group(members, seen, exact=False, alike=min(copies.values())))
            left = [id_ for id_ in left[1:] if id_ not in copies]
    return groups


class _Likeness:
    """Tells how alike two photos are, or that they are no copies of one shot.

    Args:
        seen: the photos.
        alike: correlation from which their pictures are looked at in detail.
    """

    def __init__(self, seen: Mapping[int, _Seen], alike: float) -> None:
        self._seen = seen
        self._alike = alike
        self._known: dict[Pair, float | None] = {}
        self._details = {side: lru_cache(most)(self._detail) for side, most in _KEPT.items()}

    def __call__(self, one: int, other: int) -> float | None:
        """Return the correlation of two pictures; None where they are no copies."""
        pair = _pair(one, other)
        if pair not in self._known:
            self._known[pair] = self._compared(pair)
        return self._known[pair]

    def _compared(self, pair: Pair) -> float | None:
        """Compare two photos: small first, then each page in detail."""
        one, other = pair
        if one == other or one not in self._seen or other not in self._seen:
            return None
        first, second = self._seen[one].holds, self._seen[other].holds
        if first.pages != second.pages:
            return None
        value = likeness(first.picture, second.picture)
        if value < self._alike:
            return None
        try:
            agrees = all(self._agree(pair, page) for page in telling_pages(first.pages))
        except FileUnreadable:
            return None
        return value if agrees else None

    def _agree(self, pair: Pair, page: int | None) -> bool:
        """Return whether two photos agree in each tile of a page."""
        one, other = pair

        def details(side: int) -> tuple[Image.Image, Image.Image]:
            detail = self._details[side]
            return detail(one, page, side), detail(other, page, side)

        first, second = (self._seen[id_].holds.picture for id_ in pair)
        return agreement(first, second, details) >= AGREE

    def _detail(self, id_: int, page: int | None, side: int) -> Image.Image:
        """Read a page in grey."""
        return grey_detail(self._seen[id_].file.photo.path, page, int(_LARGER * side))


def _components(pairs: Iterable[Pair]) -> list[list[int]]:
    """Return the sets of ids that pairs join, however many steps apart."""
    group_of: dict[int, list[int]] = {}
    for one, other in pairs:
        left, right = (group_of.setdefault(id_, [id_]) for id_ in (one, other))
        if left is right:
            continue
        large, small = sorted((left, right), key=len, reverse=True)
        large += small
        group_of.update(dict.fromkeys(small, large))
    return list({id(group): group for group in group_of.values()}.values())


def _groups(keys: Mapping[int, K]) -> list[list[int]]:
    """Return the ids that share a key with another."""
    groups: defaultdict[K, list[int]] = defaultdict(list)
    for id_, key in keys.items():
        groups[key].append(id_)
    return [ids for ids in groups.values() if len(ids) > 1]


def _ordered(ids: Iterable[int], seen: Mapping[int, _Seen], *, exact: bool) -> list[int]:
    """Put the original first."""
    return sorted(ids, key=lambda id_: rank(seen[id_].traits, exact=exact))


def _group(
    ids: Sequence[int], seen: Mapping[int, _Seen], *, exact: bool, alike: float
) -> DuplicateGroup:
    """Make the group of these photos, which are in order."""
    traits = [seen[id_].traits for id_ in ids]
    copies = tuple(
        DuplicateFile(
            path=each.path,
            width=seen[id_].holds.width,
            height=seen[id_].holds.height,
            bytes=each.bytes,
            id=id_,
            links=seen[id_].file.links,
            alone=lacking(traits[0], each),
        )
        for id_, each in zip(ids, traits, strict=True)
    )
    return DuplicateGroup(copies=copies, exact=exact, alike=alike, why=why(traits, exact=exact))
