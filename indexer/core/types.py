"""The plain records that the packages of the indexer exchange."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from indexer.core.errors import UsageError

State: TypeAlias = tuple[bytes, int, int, int | None, int | None, str | None]
"""Path, size, both times of change, inode and stamp, as in `indexer.catalog.changes.FileState`.

A file without a stamp is looked at again.
"""


class Kind(StrEnum):
    """What an item of the library is."""

    PHOTO = "photo"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Hubness:
    """How far the score of a hub is lowered; see `indexer.calibration.hubness`.

    An alpha of 0.25 improved results with every reference set measured. A larger one improves them
    more if the reference set resembles the library, and worsens them if not; so a model may set its
    own.

    Attributes:
        k: neighbours in the reference set whose mean cosine is an item's hubness.
        text_to_image: alpha, the share of a photo's hubness that leaves its score for words.
        image_to_text: alpha of a text's hubness, where a photo looks for texts.
    """

    k: int = 16
    text_to_image: float = 0.25
    image_to_text: float = 0.25

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"hubness: k must be above 0, not {self.k}")
        for alpha in (self.text_to_image, self.image_to_text):
            if not (math.isfinite(alpha) and alpha >= 0):
                raise UsageError(f"hubness: an alpha must be 0 or above, not {alpha}")

    def alpha(self, *, query: Kind, item: Kind) -> float:
        """Return the alpha of a direction: 0 within one kind, which has no hubs to correct."""
        if query == item:
            return 0.0
        return self.text_to_image if item == Kind.PHOTO else self.image_to_text


class Orientation(StrEnum):
    """The orientation of a photo when it is seen upright."""

    LANDSCAPE = "landscape"
    PORTRAIT = "portrait"
    SQUARE = "square"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata of a photo, from its file and its sidecar. Missing values are None or empty.

    Attributes:
        taken: when, by the camera's own clock: local time, of no time zone.
        latitude: in degrees, north positive.
        longitude: in degrees, east positive.
        place: the town nearest to that position, "Rome, Italy".
        camera: make and model, "Canon EOS R5".
        lens: its model.
        rating: 1 to 5 stars, or -1 for rejected.
        keywords: in the order of the file, each once.
        title: one line.
        caption: what is seen.
        width: pixels of the upright photo.
        height: pixels of the upright photo.
        also: names of the files of the same shot beside it: its RAW, the film of a Live Photo.
    """

    taken: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    place: str = ""
    camera: str = ""
    lens: str = ""
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    title: str = ""
    caption: str = ""
    width: int = 0
    height: int = 0
    also: tuple[str, ...] = ()

    @property
    def orientation(self) -> Orientation:
        """Return how the upright photo is held."""
        if self.width == self.height:
            return Orientation.SQUARE
        return Orientation.LANDSCAPE if self.width > self.height else Orientation.PORTRAIT


@dataclass(frozen=True, kw_only=True)
class TextLine:
    """One line of text that a picture shows.

    Attributes:
        text: what is written there.
        confidence: the mean probability of its letters, from 0 to 1.
        box: left, top, width and height, as shares of the upright picture's width and height.
    """

    text: str
    confidence: float
    box: tuple[float, float, float, float]

    @property
    def share(self) -> float:
        """Which part of the picture the line covers, from 0 to 1."""
        return self.box[2] * self.box[3]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One item of the library: a photo, a frame of a video, or one passage of a text file.

    `id` is issued by the catalog and never reused. `text` is the passage (empty for a photo),
    `about` the metadata of a photo (empty for a text), `time` the position of a frame in its video
    in seconds (None for other items), `digest` a hash of the content of its file.
    """

    id: int
    kind: Kind
    path: Path
    text: str
    about: Metadata = field(default_factory=Metadata)
    time: float | None = None
    digest: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class ItemFile:
    """The file of an item, as it was indexed.

    Attributes:
        path: where it lies, absolute.
        kind: photo or text.
        time: of the frame that the item is, in seconds; None for other items.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds since 1970.
        digest: a hash of the content.
        roots: the folders and single files that were indexed; the file lies below one of them.
    """

    path: Path
    kind: Kind
    time: float | None
    size: int
    mtime_ns: int
    digest: bytes
    roots: tuple[Path, ...]


def readable(text: str) -> str:
    """Return a name or a query as valid UTF-8; an invalid byte becomes "�"."""
    return os.fsencode(text).decode("utf-8", "replace")


def printable(text: str) -> str:
    """Escape what could break a line or steer a terminal; other bytes that are no UTF-8 stay.

    Control characters are escaped, and single bytes from 0x80 to 0x9f, which some terminals read as
    control characters.
    """
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    """Return a character as it may be printed."""
    if "\udc80" <= char <= "\udc9f":
        return f"\\x{ord(char) - 0xDC00:02x}"
    if char.isprintable() or "\udca0" <= char <= "\udcff":
        return char
    return ascii(char)[1:-1]


def spot(name: str, time: float | None) -> str:
    """Name a file and, for a video, the time: "clip.mp4 @ 0:12"."""
    return name if time is None else f"{name} @ {clock(time)}"


def clock(seconds: float) -> str:
    """Write seconds as players do: "0:12", "1:02:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One result of the vector search: an item's id and its inner product with the query."""

    id: int
    score: float


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A file (or one row of it) that could not be indexed, and why.

    `wants` is the extra of this package that would read it, if only that is missing; see
    `indexer.core.file_types.EXTRAS`.
    """

    path: Path
    reason: str
    wants: str = ""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A folder whose files were not found and are kept: their number, and the reason."""

    folder: Path
    reason: str
    files: int = 0


@dataclass(frozen=True, kw_only=True)
class SegmentRow:
    """A segment that the catalog names: `rows` vectors of a kind in the file of that number."""

    number: int
    kind: Kind
    rows: int


@dataclass(frozen=True, kw_only=True)
class MetadataSummary:
    """A summary of the metadata of all photos.

    Attributes:
        first: date of the oldest photo.
        last: date of the newest.
        dated: photos with a date.
        placed: photos with a position.
        cameras: photos of each camera, the most used first.
    """

    first: datetime | None = None
    last: datetime | None = None
    dated: int = 0
    placed: int = 0
    cameras: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LibraryInfo:
    """What a library contains.

    Attributes:
        photos: how many.
        videos: how many.
        frames: of these videos.
        texts: how many passages.
        skipped: files that could not be read, whole or in part.
        folders: that were indexed.
        model: the name of the encoder.
        fingerprint: of the encoder.
        dim: length of every vector.
        hubness: the kinds whose items are corrected for hubness.
        described: dates, positions and cameras of the photos, summed up.
        format: of the files on disk.
        bytes: that they take.
    """

    photos: int
    videos: int
    frames: int
    texts: int
    skipped: int
    folders: tuple[Path, ...]
    model: str
    fingerprint: str
    dim: int
    hubness: tuple[Kind, ...]
    described: MetadataSummary
    format: int
    bytes: int
