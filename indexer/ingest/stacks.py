"""Stacks: files of one shot that count as one item, such as RAW beside JPEG and Live Photos.

They are in one folder under one name: `IMG_1.JPG`, `IMG_1.CR2`, `IMG_1.MOV`. The picture leads: it
is embedded and shown. Without a picture, the RAW file leads. The other files are listed with the
leader (`Metadata.also`), and become items of their own when the leader is gone. A video belongs to
the stack only if it is that of a Live Photo (see `indexer.media.live_photo`): an hour of video
beside its preview is an item of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from indexer.core.file_types import RAW_SUFFIXES, VIDEO_SUFFIXES
from indexer.media.live_photo import is_live

_LEADING = frozenset({"jpg", "jpeg", "jpe", "heic", "heif", "hif"})  # what cameras write
_LIVE = frozenset({"mov", "mp4"})
_RAW = frozenset(suffix[1:] for suffix in RAW_SUFFIXES)
_FOLLOWING = _RAW | {suffix[1:] for suffix in VIDEO_SUFFIXES}

Pairs = Mapping[str, tuple[str, ...]]
"""What follows each leader of one folder, by name."""


def companions(names: Iterable[str], folder: Path) -> Pairs:
    """Return, for each leader among the files of a folder, the other files of its stack.

    A folder of pictures alone costs one look at each suffix, a pair of picture and film a look into
    the heads of both.
    """
    suffixed = [(name.rpartition(".")[2].lower(), name) for name in names]
    if not any(suffix in _FOLLOWING for suffix, _ in suffixed):
        return {}
    shots: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for suffix, name in suffixed:
        if suffix in _LEADING or suffix in _FOLLOWING:
            shots[name.rpartition(".")[0].lower()].append((suffix, name))
    return dict(pair for shot in shots.values() if len(shot) > 1 for pair in _paired(shot, folder))


def followers(pairs: Pairs) -> frozenset[str]:
    """Return all files that belong to a leader, and so are no items of their own."""
    return frozenset(name for names in pairs.values() for name in names)


def _paired(shot: Sequence[tuple[str, str]], folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the leader of one shot and what follows it, if there are both."""
    pictures = [name for suffix, name in shot if suffix in _LEADING]
    raws = [name for suffix, name in shot if suffix in _RAW]
    leader = next(iter([*pictures, *raws]), None)
    if leader is None:
        return
    films = [
        name for suffix, name in shot if suffix in _LIVE and is_live(folder / leader, folder / name)
    ]
    also = tuple(name for name in (*raws, *films) if name != leader)
    if also:
        yield leader, also
