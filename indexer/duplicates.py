"""Photos that a library holds more than once: the same picture, and copies of one shot.

    photos -> same content -> near by vectors -> same pixels -> alike as pictures -> groups

Vectors alone cannot tell a copy from the next shot of a burst; the pictures can. What lies near is
compared as a picture: the steps of brightness from pixel to pixel, 32 a side, and their
correlation. A copy that was resized, recompressed, brightened or slightly cropped about its middle
correlates nearly fully, another shot hardly: see benchmarks/README.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.changes import PhotoFile
from indexer.errors import FileUnreadable
from indexer.library import Library
from indexer.pictures import picture_size, read_picture
from indexer.types import Kind

NEAR = 0.9
"""Cosine from which photos are compared as pictures; nineteen copies in twenty lie above it."""

ALIKE = 0.9
"""Correlation from which pictures are copies of one shot."""

_BLOCK = 512  # photos looked up at once
_NEIGHBOURS = 64  # of each photo, at most; larger groups still join through each other
_SIDE = 32  # pixels a side of a picture that is compared
_CROPS = tuple(1 - 0.02 * step for step in range(9))  # of a side, about the middle
_WHOLE = 1_000_000  # a size hint that makes no photo smaller

Picture: TypeAlias = NDArray[np.uint8]
"""A photo to compare, grey, in several crops. Shape (crops, 32, 32)."""

Pair: TypeAlias = tuple[int, int]

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One of several copies: where it is, and how large in pixels and bytes."""

    path: Path
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Copies of one picture, the best first: most pixels, most bytes, the oldest file, by path.

    `exact` copies show the same pixels. `alike` is the correlation of the pictures; of several
    pairs that join a group, that of the least alike.
    """

    copies: tuple[Copy, ...]
    exact: bool
    alike: float


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A photo that was looked at; `pixels` are equal for equal pictures."""

    file: PhotoFile
    copy: Copy
    pixels: bytes
    picture: Picture


def find_duplicates(
    library: Library,
    folders: Sequence[Path] = (),
    *,
    alike: float = ALIKE,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Group]:
    """Return the groups of copies in a library, or of what lies below some folders.

    Exact copies first, large groups first. A picture that is there several times stands in a
    group of near copies once, as its best copy. Files that are gone or cannot be read any more
    are left out. Nothing is changed.

    Args:
        library: is only read.
        folders: look no further than these.
        alike: correlation from which two pictures are near copies.
        progress: called with the photos looked at, and those to look at.
    """
    photos = library.catalog.photo_files(folders)
    same = _groups({photo.id: photo.digest for photo in photos})
    firsts = {ids[0] for ids in same}
    repeated = {id_ for ids in same for id_ in ids} - firsts
    near = _near(library, [photo for photo in photos if photo.id not in repeated])
    wanted = firsts | repeated | {id_ for pair in near for id_ in pair}
    seen = _look([photo for photo in photos if photo.id in wanted], progress)
    exact = [_ordered(ids, seen) for ids in _same_pixels(seen)]
    best = {id_: ids[0] for ids in exact for id_ in ids}
    joined = _joined(((best.get(a, a), best.get(b, b)) for a, b in near), seen, alike)
    groups = [_group(ids, seen, exact=True, alike=1.0) for ids in exact]
    for ids in _components(joined):
        least = min(value for pair, value in joined.items() if pair[0] in ids)
        groups.append(_group(_ordered(ids, seen), seen, exact=False, alike=least))
    return sorted(groups, key=lambda group: (not group.exact, -len(group.copies)))


def picture(photo: Image.Image) -> Picture:
    """Return a photo as it is compared: grey and small, whole and cropped about the middle."""
    crops = [_cropped(photo, share).convert("L") for share in _CROPS]
    small = [crop.resize((_SIDE, _SIDE), Image.Resampling.BOX) for crop in crops]
    return np.stack([np.asarray(each) for each in small])


def likeness(one: Picture, other: Picture) -> float:
    """Return the correlation of two pictures, either of them as a crop of the other: -1 to 1."""
    a, b = _steps(one), _steps(other)
    return float(max((b @ a[0]).max(), (a @ b[0]).max()))


def _steps(crops: Picture) -> NDArray[np.float32]:
    """Return the steps between neighbouring pixels as unit rows. Shape (crops, 1984)."""
    grey = crops.astype(np.float32)
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    steps = np.concatenate([each.reshape(len(crops), -1) for each in (across, down)], axis=1)
    steps -= steps.mean(axis=1, keepdims=True)
    unit: NDArray[np.float32] = steps / (np.linalg.norm(steps, axis=1, keepdims=True) + 1e-6)
    return unit


def _cropped(photo: Image.Image, share: float) -> Image.Image:
    """Cut the middle out of a photo: a share of its width and height."""
    width, height = max(1, int(photo.width * share)), max(1, int(photo.height * share))
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))


def _near(library: Library, photos: Sequence[PhotoFile]) -> list[Pair]:
    """Return the pairs of photos whose vectors lie near each other, by id."""
    if len(photos) < 2:
        return []
    ids = [photo.id for photo in photos]
    vectors = library.fetch(ids, Kind.PHOTO)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    pairs: set[Pair] = set()
    for start in range(0, len(ids), _BLOCK):
        cosines, found = index.search(vectors[start : start + _BLOCK], min(_NEIGHBOURS, len(ids)))
        rows, columns = np.nonzero(cosines >= NEAR)
        for one, other in zip((rows + start).tolist(), found[rows, columns].tolist(), strict=True):
            if one != other:
                pairs.add((ids[min(one, other)], ids[max(one, other)]))
    return sorted(pairs)


def _look(photos: Sequence[PhotoFile], progress: Callable[[int, int], None]) -> dict[int, _Seen]:
    """Look at photos; those that cannot be read are left out."""
    seen = {}
    for done, photo in enumerate(photos, start=1):
        try:
            width, height = picture_size(photo.path)
            image = read_picture(photo.path, size_hint=2 * _SIDE)
        except FileUnreadable:
            continue
        finally:
            progress(done, len(photos))
        seen[photo.id] = _Seen(
            file=photo,
            copy=Copy(path=photo.path, width=width, height=height, bytes=photo.size),
            pixels=_hash(image),
            picture=picture(image),
        )
    return seen


def _hash(image: Image.Image) -> bytes:
    """Hash the size and the pixels of a decoded photo."""
    return blake2b(repr(image.size).encode() + image.tobytes(), digest_size=16).digest()


def _same_pixels(seen: Mapping[int, _Seen]) -> list[list[int]]:
    """Group the photos that show the same pixels; where contents differ, at full size."""
    likely = _groups({id_: (each.copy.width, each.pixels) for id_, each in seen.items()})
    exact = []
    for ids in likely:
        if len({seen[id_].file.digest for id_ in ids}) == 1:
            exact.append(ids)
        else:
            exact += _groups({id_: _whole(seen[id_]) for id_ in ids})
    return exact


def _whole(seen: _Seen) -> bytes:
    """Hash a photo at its full size; one that has gone meanwhile is like none but its content."""
    try:
        return _hash(read_picture(seen.copy.path, size_hint=_WHOLE))
    except FileUnreadable:
        return seen.file.digest


def _joined(pairs: Iterable[Pair], seen: Mapping[int, _Seen], alike: float) -> dict[Pair, float]:
    """Return the pairs that are copies of one shot, and how alike they are."""
    joined = {}
    for one, other in pairs:
        if one != other and one in seen and other in seen and (one, other) not in joined:
            value = likeness(seen[one].picture, seen[other].picture)
            if value >= alike:
                joined[one, other] = value
    return joined


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


def _ordered(ids: Iterable[int], seen: Mapping[int, _Seen]) -> list[int]:
    """Put the best copy first."""

    def worth(id_: int) -> tuple[int, int, int, Path]:
        copy, file = seen[id_].copy, seen[id_].file
        return -copy.width * copy.height, -copy.bytes, file.mtime_ns, copy.path

    return sorted(ids, key=worth)


def _group(ids: Sequence[int], seen: Mapping[int, _Seen], *, exact: bool, alike: float) -> Group:
    """Make the group of these photos, which are in order."""
    return Group(copies=tuple(seen[id_].copy for id_ in ids), exact=exact, alike=alike)
