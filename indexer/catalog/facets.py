"""What the photos of a library say, in columns: to count how many have which value.

A column is a tree of values: a year and its months, a country and its towns, a folder and those in
it. Each photo stands at one value of a column at most (at several keywords), and counts for those
above it, too. A video counts once, by its first frame; a text counts by each passage.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.catalog.meta import REWRITTEN
from indexer.catalog.snapshot import CatalogSnapshot
from indexer.core.text_normalization import STOP_WORDS, same
from indexer.core.types import Kind, Orientation

Mask: TypeAlias = NDArray[np.bool_]
"""Which photos are meant. Shape (photos,)."""

Rows: TypeAlias = NDArray[np.int64]
"""Rows of photos in the columns. Shape (n,)."""

MOST_STARS = 5

_FILES = 16_384  # that are read at once: more take more memory, and hardly less time
_MASKS = 64  # that are kept: 100 KB each where there are 100,000 photos
_MONTH = 7  # letters of "2019-07"
_SEPARATOR = os.fsencode(os.sep)


class FacetGroup(StrEnum):
    """What photos are told apart by."""

    DATES = "dates"
    PLACES = "places"
    CAMERAS = "cameras"
    FOLDERS = "folders"
    KEYWORDS = "keywords"
    TYPES = "types"
    RATINGS = "ratings"
    ORIENTATIONS = "orientations"


@dataclass(frozen=True, kw_only=True)
class FacetTree:
    """The values of one column, and which photos have them.

    Attributes:
        keys: what the values are, each different: "2019" and "2019-07", "Rome, Italy".
        parents: the row of the value above each; -1 for none. Shape (values,).
        rows: of the photos that stand at a value. Shape (n,).
        codes: at which value they stand. Shape (n,).
        steps: pairs of a value and one that it counts for: itself, and those above it.
            Shape (m, 2).
    """

    keys: tuple[str, ...]
    parents: NDArray[np.int64]
    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    steps: NDArray[np.int64]

    def joined(self, other: FacetTree, offset: int, alike: Callable[[str], str]) -> FacetTree:
        """Return a tree that has the values of another, too.

        Args:
            other: of further photos.
            offset: the row of the first of these.
            alike: what is equal for two writings of one key.
        """
        keys, parents = list(self.keys), self.parents.tolist()
        row_of = {alike(key): row for row, key in enumerate(keys)}
        moved: list[int] = []  # where each value of the other one stands here
        for key, parent in zip(other.keys, other.parents.tolist(), strict=True):
            row = row_of.setdefault(alike(key), len(keys))
            if row == len(keys):
                keys.append(key)
                parents.append(moved[parent] if parent >= 0 else -1)
            moved.append(row)
        new = [step for row in range(len(self.keys), len(keys)) for step in _steps(row, parents)]
        return FacetTree(
            keys=tuple(keys),
            parents=np.array(parents, dtype=np.int64),
            rows=np.concatenate([self.rows, other.rows + offset]),
            codes=np.concatenate([self.codes, np.array(moved, dtype=np.int64)[other.codes]]),
            steps=np.concatenate([self.steps, np.array(new, dtype=np.int64).reshape(-1, 2)]),
        )

    def counts(self, mask: Mask) -> NDArray[np.int64]:
        """Count the photos of each value among some. Shape (values,)."""
        values = len(self.keys)
        here = np.bincount(self.codes[mask[self.rows]], minlength=values)
        above = np.bincount(self.steps[:, 1], here[self.steps[:, 0]], minlength=values)
        return above.astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class FacetColumns:
    """What all photos, or all texts, of one commit say.

    Attributes:
        generation: which commit it is.
        last: the highest number of a file; files that are added have higher ones.
        ids: of the first item of each file of photos, or of each passage. Shape (photos,).
        trees: the values by group.
    """

    generation: int
    last: int
    ids: NDArray[np.int64]
    trees: dict[FacetGroup, FacetTree]
    masks: OrderedDict[Hashable, Mask] = field(default_factory=OrderedDict, compare=False)

    def mask(self, key: Hashable, find: Callable[[], Mask]) -> Mask:
        """Return which photos are meant by a key, found once and kept for a while."""
        if key not in self.masks:
            self.masks[key] = find()
        self.masks.move_to_end(key)
        while len(self.masks) > _MASKS:
            self.masks.popitem(last=False)
        return self.masks[key]

    def followed_by(self, more: FacetColumns) -> FacetColumns:
        """Return what these say, and what files say that were added since."""
        if not len(more.ids):
            return replace(self, generation=more.generation)
        offset = len(self.ids)
        return FacetColumns(
            generation=more.generation,
            last=max(self.last, more.last),
            ids=np.concatenate([self.ids, more.ids]),
            trees={
                group: tree.joined(more.trees[group], offset, _ALIKE.get(group, str))
                for group, tree in self.trees.items()
            },
        )

    @property
    def everything(self) -> Mask:
        """All photos. Shape (photos,)."""
        return np.ones(len(self.ids), dtype=np.bool_)


def read_columns(
    snapshot: CatalogSnapshot, kind: Kind, before: FacetColumns | None = None
) -> FacetColumns:
    """Read what all photos, or all texts, of a commit say.

    Args:
        snapshot: the commit.
        kind: of the items.
        before: what they said in an earlier commit; where files were only added since, only those
            are read.
    """
    if before is not None and not only_added(snapshot, before.generation):
        before = None
    last = before.last if before is not None else 0
    (end,) = snapshot.connection.execute("SELECT coalesce(max(id), 0) FROM files").fetchone()
    for start in range(last, max(end, last + 1), _FILES):
        part = _read(snapshot, kind, _Span(after=start, until=start + _FILES))
        before = part if before is None else before.followed_by(part)
    assert before is not None
    return replace(before, last=max(end, last))


def only_added(snapshot: CatalogSnapshot, since: int) -> bool:
    """Return whether files were only added since a commit: none was changed, moved or removed."""
    changed = snapshot.meta.get(REWRITTEN, "")
    return changed.isdecimal() and int(changed) <= since


@dataclass(frozen=True, kw_only=True)
class _Span:
    """Files that are read at once: their numbers lie above `after`, up to `until`."""

    after: int
    until: int

    @property
    def ends(self) -> tuple[int, int]:
        """Both numbers."""
        return self.after, self.until


def _read(snapshot: CatalogSnapshot, kind: Kind, span: _Span) -> FacetColumns:
    """Read what some files say."""
    files, ids = _items(snapshot, kind, span)
    told = snapshot.facts.format >= 3 and kind == Kind.PHOTO
    photos = _photos(snapshot, files, span) if told else _Photos()
    folders, types = _paths(snapshot, kind, files, span)
    columns: dict[FacetGroup, _Column] = {
        FacetGroup.DATES: (photos.rows, photos.month, _years),
        FacetGroup.PLACES: (photos.rows, photos.place, _regions),
        FacetGroup.CAMERAS: (photos.rows, photos.camera, _alone),
        FacetGroup.FOLDERS: folders,
        FacetGroup.KEYWORDS: _keywords(snapshot, files, span) if told else _NOTHING,
        FacetGroup.TYPES: types,
        FacetGroup.RATINGS: (photos.rows, photos.rating, _stars),
        FacetGroup.ORIENTATIONS: (photos.rows, photos.held, _alone),
    }
    return FacetColumns(
        generation=int(snapshot.generation),
        last=span.until,
        ids=ids,
        trees={group: _tree(*each, _ALIKE.get(group, str)) for group, each in columns.items()},
    )


@dataclass(frozen=True, kw_only=True)
class CaptionWords:
    """The words of captions, keywords and passages.

    Attributes:
        generation: of the commit in which they were read.
        last: the highest id of an item.
        counts: how many photos, or passages, have each word.
    """

    generation: int
    last: int
    counts: Mapping[str, int]


def read_words(
    snapshot: CatalogSnapshot, kind: Kind, before: CaptionWords | None = None
) -> CaptionWords:
    """Count how many photos, or passages, have each word in captions and keywords.

    Args:
        snapshot: the commit.
        kind: of the items.
        before: what was counted in an earlier commit; where files were only added since, only those
            are read.
    """
    counted: Counter[str] = Counter()
    after = 0
    if before is not None and only_added(snapshot, before.generation):
        after = before.last
        counted.update(before.counts)
    for text in _texts(snapshot, kind, after) if snapshot.facts.format >= 3 else ():
        counted.update(word for word in set(text.split()) if _is_telling(word))
    last = snapshot.facts.next_id - 1
    return CaptionWords(generation=int(snapshot.generation), last=last, counts=counted)


def _texts(snapshot: CatalogSnapshot, kind: Kind, after: int) -> Iterator[str]:
    """Yield the texts of the items behind an id; the frames of a video have one."""
    video = "AND (time IS NULL OR items.id = (SELECT min(id) FROM items x WHERE x.file_id = f.id))"
    rows = snapshot.connection.execute(
        "SELECT words.text FROM words JOIN items ON items.id = words.rowid "
        "JOIN files f ON f.id = items.file_id WHERE words.rowid > ? AND words.text != '' "
        f"AND f.kind = ? {video if snapshot.facts.format >= 4 else ''}",
        (after, kind),
    )
    yield from (text for (text,) in rows)


def _is_telling(word: str) -> bool:
    """Tell a word from a letter, a number, and what stands in most captions."""
    return len(word) > 1 and word not in STOP_WORDS and not word.isdecimal()


_NO_ROWS: Rows = np.empty(0, dtype=np.int64)

_Column: TypeAlias = tuple[Rows, Sequence[Any], Callable[[Any], tuple[str, ...]]]
"""Rows of photos, the value of each, and what returns the keys that a value counts for."""

_NOTHING: _Column = (_NO_ROWS, (), lambda _: ())


@dataclass(frozen=True, kw_only=True)
class _Photos:
    """What the rows of `photos` say, a list each."""

    rows: Rows = field(default_factory=lambda: _NO_ROWS)
    month: Sequence[str | None] = ()
    place: Sequence[str] = ()
    camera: Sequence[str] = ()
    rating: Sequence[int | None] = ()
    held: Sequence[str | None] = ()


def _items(snapshot: CatalogSnapshot, kind: Kind, span: _Span) -> tuple[Rows, Rows]:
    """Return the files of a kind, ascending, and the first item of each; of texts each passage."""
    once = "min(items.id)", "GROUP BY file_id"
    item, grouped = once if kind == Kind.PHOTO else ("items.id", "")
    found = snapshot.connection.execute(
        f"SELECT file_id, {item} FROM items JOIN files ON files.id = file_id "
        f"WHERE kind = ? AND files.id > ? AND files.id <= ? {grouped} ORDER BY file_id, items.id",
        (kind, *span.ends),
    )
    files, ids = _columns(found.fetchall(), 2)
    return np.array(files, dtype=np.int64), np.array(ids, dtype=np.int64)


_HELD = f"""
    CASE WHEN width > height THEN '{Orientation.LANDSCAPE}'
    WHEN width < height THEN '{Orientation.PORTRAIT}'
    WHEN width > 0 THEN '{Orientation.SQUARE}' END"""


def _photos(snapshot: CatalogSnapshot, files: Rows, span: _Span) -> _Photos:
    """Read what photos say about themselves."""
    said = snapshot.connection.execute(
        f"SELECT file_id, substr(taken, 1, {_MONTH}), place, camera, rating, {_HELD} "
        "FROM photos WHERE file_id > ? AND file_id <= ? ORDER BY file_id",
        span.ends,
    )
    of, *columns = _columns(said.fetchall(), 6)
    rows, known = _rows_of(files, of)
    if not known.all():  # of files without items
        columns = [list(compress(column, known)) for column in columns]
    names = ("month", "place", "camera", "rating", "held")
    return _Photos(rows=rows, **dict(zip(names, columns, strict=True)))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Turn rows into columns."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _rows_of(files: Rows, some: Sequence[int]) -> tuple[Rows, Mask]:
    """Return the rows of some files, and which of them have any. Shapes (known,), (some,)."""
    wanted = np.array(some, dtype=np.int64)
    rows = np.searchsorted(files, wanted)
    known = np.zeros(len(wanted), dtype=np.bool_)
    inside = rows < len(files)
    known[inside] = files[rows[inside]] == wanted[inside]
    return rows[known], known


def _paths(
    snapshot: CatalogSnapshot, kind: Kind, files: Rows, span: _Span
) -> tuple[_Column, _Column]:
    """Read in which folders files lie, and of which types they are by their suffix."""
    found = snapshot.connection.execute(
        "SELECT id, path FROM files WHERE kind = ? AND id > ? AND id <= ?", (kind, *span.ends)
    )
    paths: dict[int, bytes] = dict(found.fetchall())
    roots = {path for (path,) in snapshot.connection.execute("SELECT path FROM roots")}
    parted = [paths[file].rpartition(_SEPARATOR) for file in files.tolist()]
    rows, ends = np.arange(len(files)), [name.rpartition(b".")[1:] for _, _, name in parted]
    folders = [folder or _SEPARATOR for folder, _, _ in parted]
    return (rows, folders, partial(_folders, roots=roots)), (rows, ends, _suffix)


def _suffix(end: tuple[bytes, bytes]) -> tuple[str, ...]:
    """Return a suffix in small letters, as `type:` compares it."""
    dot, letters = end
    return ((dot + letters).lower().decode("ascii", "replace"),) if dot else ()


def _keywords(snapshot: CatalogSnapshot, files: Rows, span: _Span) -> _Column:
    """Read the keywords, spelt as most of these photos spell them."""
    tagged = "SELECT tag, file_id FROM tags WHERE file_id > ? AND file_id <= ?"
    found = snapshot.connection.execute(tagged, span.ends).fetchall()
    tags, of = _columns(found, 2)
    rows, known = _rows_of(files, of)
    spelt = _spelt(snapshot, span) if len(rows) else {}
    return rows, [spelt.get(tag, tag) for tag in compress(tags, known)], _alone


def _spelt(snapshot: CatalogSnapshot, span: _Span) -> dict[str, str]:
    """Return how each keyword is spelt most."""
    lists = snapshot.connection.execute(
        "SELECT keywords, count(*) FROM photos WHERE keywords != '[]' "
        "AND file_id > ? AND file_id <= ? GROUP BY keywords",
        span.ends,
    )
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for keywords, count in lists:
        for word in json.loads(keywords):
            counted[same(word)][word] += count
    return {tag: words.most_common(1)[0][0] for tag, words in counted.items()}


def _tree(
    rows: Rows,
    values: Sequence[Any],
    path: Callable[[Any], tuple[str, ...]],
    alike: Callable[[str], str],
) -> FacetTree:
    """Lay out the values of photos as a tree.

    Args:
        rows: of photos.
        values: of each of these; an empty one counts for nothing.
        path: returns the keys that a value counts for, the outermost first.
        alike: what is equal for two writings of one key.
    """
    building = _TreeBuilder(alike)
    code_of = {
        value: building.code(path(value)) if value else -1 for value in dict.fromkeys(values)
    }
    codes = np.fromiter(map(code_of.__getitem__, values), np.int64, len(values))
    there = codes >= 0
    return FacetTree(
        keys=tuple(building.keys),
        parents=np.array(building.parents, dtype=np.int64),
        rows=rows[there],
        codes=codes[there],
        steps=np.array(building.steps, dtype=np.int64).reshape(-1, 2),
    )


class _TreeBuilder:
    """Numbers the values of a tree as they come."""

    def __init__(self, alike: Callable[[str], str]) -> None:
        self._alike = alike
        self._rows: dict[str, int] = {}
        self.keys: list[str] = []
        self.parents: list[int] = []
        self.steps: list[tuple[int, int]] = []

    def code(self, path: Sequence[str]) -> int:
        """Return the row of the innermost of some keys; -1 where there is none."""
        row = -1
        for key in path:
            row = self._row(key, row)
        return row

    def _row(self, key: str, parent: int) -> int:
        """Return the row of a key; make one where there is none."""
        name = self._alike(key)
        if name in self._rows:
            return self._rows[name]
        row = self._rows[name] = len(self.keys)
        self.keys.append(key)
        self.parents.append(parent)
        self.steps += _steps(row, self.parents)
        return row


def _steps(row: int, parents: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield a value with each that it counts for: itself, and those above it."""
    above = row
    while above >= 0:
        yield row, above
        above = parents[above]


def _alone(value: str) -> tuple[str, ...]:
    """Return a value without any above it."""
    return (value,)


def _years(month: str) -> tuple[str, ...]:
    """Return year and month."""
    return month.partition("-")[0], month


def _regions(place: str) -> tuple[str, ...]:
    """Return the names that end a place: "Italy", "Rome, Italy", "Trastevere, Rome, Italy"."""
    parts = place.split(", ")
    return tuple(", ".join(parts[at:]) for at in reversed(range(len(parts))))


def _stars(rating: int) -> tuple[str, ...]:
    """Return each number of stars that a photo has at least; a rejected one has none."""
    return tuple(str(stars) for stars in range(1, min(rating, MOST_STARS) + 1))


def _folders(folder: bytes, roots: Collection[bytes]) -> tuple[str, ...]:
    """Return a folder and those above it, from the one that was indexed on."""
    path = Path(os.fsdecode(folder))
    chain = [path]
    while os.fsencode(chain[-1]) not in roots and chain[-1].parent != chain[-1]:
        chain.append(chain[-1].parent)
    inside = chain if os.fsencode(chain[-1]) in roots else [path]
    return tuple(map(str, reversed(inside)))


def _composed(text: str) -> str:
    """Return what is equal for two ways to compose the letters of a path."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _ascii_lower(text: str) -> str:
    """Return a text as SQLite compares it: A to Z as small letters, and no others."""
    return text.encode(errors="surrogatepass").lower().decode(errors="surrogatepass")


_ALIKE: dict[FacetGroup, Callable[[str], str]] = {
    FacetGroup.PLACES: _ascii_lower,
    FacetGroup.CAMERAS: same,
    FacetGroup.FOLDERS: _composed,
    FacetGroup.KEYWORDS: same,
}
"""What is equal for two writings of one value, where that is not the value itself."""
