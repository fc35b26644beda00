"""What a commit changes: files that come, move and go, and the segments of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.facts import Ids
from indexer.types import Kind, Metadata, SegmentRow


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What a file was when it was read.

    Attributes:
        path: where it lies, absolute.
        kind: photo or text.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds since 1970.
        digest: a hash of the content.
        reader: what read it (versions, limits); a broken file is tried again with another.
        reasons: why it, or rows of it, could not be read.
        stamp: what read a photo's metadata, and the date of its sidecar; empty for none.
    """

    path: Path
    kind: Kind
    size: int
    mtime_ns: int
    digest: bytes
    reader: str
    reasons: tuple[str, ...] = ()
    stamp: str = ""


@dataclass(frozen=True, kw_only=True)
class KnownFile(FileState):
    """A file that the catalog holds."""

    id: int


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """A photo of the library: the id of its item, and its file as it was indexed."""

    id: int
    path: Path
    size: int
    mtime_ns: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file to add, in place of any other at its path. One text an item; "" for a photo.

    `times` are those of the frames of a video, in seconds; empty for all else. `about` is what a
    photo says about itself.
    """

    state: FileState
    ids: range
    texts: tuple[str, ...]
    times: tuple[float, ...] = ()
    about: Metadata | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """A known file with the same content at another path, of another date, or described anew.

    `about` takes the place of what was known of a photo; None leaves it.
    """

    file_id: int
    path: Path
    mtime_ns: int
    stamp: str = ""
    about: Metadata | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """All that one transaction adds, moves and removes.

    Attributes:
        files: to add.
        moves: of known files.
        removed: ids of files to remove.
        roots: folders that are indexed from now on.
        forgotten: folders that no longer are.
        segments: that hold the vectors of `files`.
    """

    files: Sequence[NewFile] = ()
    moves: Sequence[Move] = ()
    removed: Sequence[int] = ()
    roots: Sequence[Path] = ()
    forgotten: Sequence[Path] = ()
    segments: Sequence[SegmentRow] = ()


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Segments that take the place of others.

    Attributes:
        kind: of all these segments.
        old: numbers of the segments that go.
        new: the segments that come.
        purged: deleted ids that no segment holds any longer. Shape (n,).
        base: as in `Snapshot`, from now on.
    """

    kind: Kind
    old: Sequence[int]
    new: Sequence[SegmentRow]
    purged: Ids
    base: int
