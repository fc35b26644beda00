"""The records of one commit: files added, moved and removed, and the segments of their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.catalog.meta import Ids
from indexer.core.types import Kind, Metadata, SegmentRow, TextLine


@dataclass(frozen=True, kw_only=True)
class FileState:
    """The state of a file when it was read.

    Attributes:
        path: where it lies, absolute.
        kind: photo or text.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds since 1970.
        digest: a hash of the content.
        reader: what read it (versions, limits); a broken file is tried again with another.
        reasons: why it, or rows of it, could not be read.
        stamp: what read a photo's metadata, and the date of its sidecar; empty for none.
        ctime_ns: time of the last change of content or of the entry itself, which no program can
            set; None where an older format wrote the row.
        inode: number of the file in its file system; None as above.
        sample: a hash of parts of the content, for a quick comparison; None as above.
        missing: when a run first did not find the file and kept it, seconds since 1970.
    """

    path: Path
    kind: Kind
    size: int
    mtime_ns: int
    digest: bytes
    reader: str
    reasons: tuple[str, ...] = ()
    stamp: str = ""
    ctime_ns: int | None = None
    inode: int | None = None
    sample: bytes | None = None
    missing: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileRecord(FileState):
    """A file that the catalog holds."""

    id: int


@dataclass(frozen=True, kw_only=True)
class CatalogPhoto:
    """A photo of the library: the id of its item, and its file as it was indexed."""

    id: int
    path: Path
    size: int
    mtime_ns: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class UnreadPhoto:
    """A photo whose text was not read yet: the ids of its file and item, and its state."""

    file: int
    item: int
    path: Path
    size: int
    mtime_ns: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The text that was read in a photo, and what read it; no lines where it shows none."""

    reader: str
    lines: tuple[TextLine, ...] = ()

    @property
    def share(self) -> float:
        """Which part of the picture is text, from 0 to 1."""
        return min(1.0, sum(line.share for line in self.lines))


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file to add, in place of any other at its path. One text an item; "" for a photo.

    `times` are those of the frames of a video, in seconds; empty for all else. `about` is what a
    photo says about itself, `reading` the text that it shows, where that was read.
    """

    state: FileState
    ids: range
    texts: tuple[str, ...]
    times: tuple[float, ...] = ()
    about: Metadata | None = None
    reading: Reading | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """A known file with the same content at another path, of another date, or with other metadata.

    `about` takes the place of what was known of a photo; None leaves it.
    """

    file_id: int
    path: Path
    mtime_ns: int
    stamp: str = ""
    about: Metadata | None = None
    ctime_ns: int | None = None
    inode: int | None = None


@dataclass(frozen=True, kw_only=True)
class Touch:
    """A known file that was found as it was known, but for these; it is not missing any more.

    `sample` takes the place of what was known; None leaves it.
    """

    file_id: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sample: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class FolderState:
    """The properties that distinguish a folder from an empty mount point at its path.

    Attributes:
        inode: its number in its file system.
        mounted: whether it lies on another device than the folder above it.
    """

    inode: int
    mounted: bool


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """All that one transaction adds, moves and removes.

    Attributes:
        files: to add.
        moves: of known files.
        removed: ids of files to remove.
        touches: of known files.
        missing: ids of files that were not found and are kept.
        folders: that were entered, as they are now; None for one that has gone.
        roots: folders that are indexed from now on.
        forgotten: folders that no longer are.
        segments: that hold the vectors of `files`.
        readings: the text in photos, by the ids of their files, in place of what was read before.
    """

    files: Sequence[NewFile] = ()
    moves: Sequence[Move] = ()
    removed: Sequence[int] = ()
    touches: Sequence[Touch] = ()
    missing: Sequence[int] = ()
    folders: Mapping[Path, FolderState | None] = field(default_factory=dict)
    roots: Sequence[Path] = ()
    forgotten: Sequence[Path] = ()
    segments: Sequence[SegmentRow] = ()
    readings: Mapping[int, Reading] = field(default_factory=dict)

    @property
    def rewrites(self) -> bool:
        """Whether it changes or removes what is known of files; new roots name other folders."""
        return bool(self.moves or self.removed or self.roots or self.forgotten)


@dataclass(frozen=True, kw_only=True)
class Merge:
    """New segments that replace others.

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
