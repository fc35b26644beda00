"""Pictures of a library's items for people: thumbnails, and the files themselves.

Files are named by the ids of their items, and opened only below the folders that were indexed.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import IO, TypeAlias

from indexer.catalog.reader import CatalogReader, catalog_path
from indexer.core.contained_files import open_below
from indexer.core.content_digest import content_digest, sampled_digest
from indexer.core.errors import FileUnreadable
from indexer.core.file_access import NOT_REACHABLE, date, too_large, unreachable
from indexer.core.file_types import MediaType, form_of
from indexer.core.types import ItemFile, Kind
from indexer.library.shared_work import SharedWork
from indexer.library.thumbnail_cache import DEFAULT_BYTES, ThumbnailCache, thumbnail_version
from indexer.library.thumbnail_maker import ThumbnailMaker
from indexer.media.file_signature import HEAD, sniffed
from indexer.media.image import MAX_PHOTO_BYTES

PIXELS = (256, 1024)
"""The longer side of a thumbnail: one of these."""

_MOST_REFUSED, _REFUSED_SECONDS = 1_000, 30.0

_Made: TypeAlias = tuple[bytes, bytes]
"""A thumbnail, and the digest of the content that it shows."""


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture of an item.

    Attributes:
        webp: a WebP file; empty where the caller has this version already.
        version: changes with the content of the file that is shown.
        is_indexed: whether that is the content that the library knows.
    """

    webp: bytes
    version: str
    is_indexed: bool


@dataclass(frozen=True, kw_only=True)
class Original:
    """An open file of the library.

    Attributes:
        file: open for reading, at its start. Whoever has it closes it.
        path: where it lies.
        size: bytes.
        mtime: time of the last change, seconds since 1970.
        version: changes whenever the file does.
    """

    file: IO[bytes]
    path: Path
    size: int
    mtime: float
    version: str


class ItemFiles:
    """Thumbnails and files of a library. Any thread may ask; close it.

    Args:
        folder: of the library.
        limit: bytes of the disk that thumbnails may take; none are kept for 0.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_BYTES) -> None:
        self._view = CatalogReader(catalog_path(folder))
        self._cache = ThumbnailCache(folder, limit)
        self._maker = ThumbnailMaker()
        self._making: SharedWork[tuple[Path, str], _Made] = SharedWork()
        self._refused = _Refusals()

    def close(self) -> None:
        """Let go of files and processes."""
        self._maker.close()
        self._cache.close()
        self._view.close()

    def thumbnail(
        self, item: int, pixels: int, *, wanted: str = "", known: str = ""
    ) -> Thumbnail | None:
        """Return a thumbnail of an item; None if there is no such photo.

        Args:
            item: its id.
            pixels: one of `PIXELS`.
            wanted: the version that is asked for. If the library knows that content and its
                thumbnail is kept, the file need not be reachable, and is not looked at.
            known: the version that the caller has.

        Raises:
            FileUnreadable: it cannot be shown; the reason.
        """
        file = self._view.file_of(item)
        if file is None or file.kind != Kind.PHOTO:
            return None
        indexed, name = thumbnail_version(file.digest), _name(file, pixels)
        if wanted == indexed or _is_as_indexed(file):
            if known == indexed:
                return Thumbnail(webp=b"", version=indexed, is_indexed=True)
            kept = self._cache.get(file.digest, name)
            if kept:
                return Thumbnail(webp=kept, version=indexed, is_indexed=True)
        webp, digest = self._making.once((file.path, name), lambda: self._made(item, file, pixels))
        version = thumbnail_version(digest)
        is_known = known == version
        return Thumbnail(
            webp=b"" if is_known else webp, version=version, is_indexed=version == indexed
        )

    def original(self, item: int) -> Original | None:
        """Open the file of an item; None if there is no such item.

        Raises:
            FileUnreadable: it is not reachable, no regular file, or outside the indexed folders.
        """
        found = self._view.file_of(item)
        if found is None:
            return None
        file = _opened(found)
        status = os.fstat(file.fileno())
        version = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
        return Original(
            file=file,
            path=found.path,
            size=status.st_size,
            mtime=status.st_mtime,
            version=version,
        )

    def _made(self, item: int, file: ItemFile, pixels: int) -> _Made:
        """Make a thumbnail of what the file holds now, and keep it."""
        name = _name(file, pixels)
        with _opened(file) as opened:
            form, body, digest = _content(file, opened)
        kept = self._cache.get(digest, name)
        if kept:
            return kept, digest
        with self._refused.remembering((digest, name)):
            webp = self._maker.made(form, body, pixels, file.time)
        self._cache.put(digest, name, webp)
        if self._view.file_of(item) is None:  # forgotten meanwhile
            self._cache.drop(digest)
        return webp, digest


def _name(file: ItemFile, pixels: int) -> str:
    """Name one of the thumbnails of a file."""
    return str(pixels) if file.time is None else f"{pixels} at {file.time}"


def _is_as_indexed(file: ItemFile) -> bool:
    """Tell whether a file seems to be what the library knows; one out of reach counts as such."""
    if unreachable([file.path]):
        return True
    try:
        status = file.path.stat()
    except OSError:
        return True
    return (status.st_size, date(status.st_mtime_ns)) == (file.size, file.mtime_ns)


def _opened(file: ItemFile) -> IO[bytes]:
    """Open a file below the folders that were indexed.

    Raises:
        FileUnreadable: it cannot be.
    """
    if unreachable([file.path]):
        raise FileUnreadable(NOT_REACHABLE)
    try:
        return open_below(file.path, file.roots)
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error


def _content(file: ItemFile, opened: IO[bytes]) -> tuple[MediaType, bytes, bytes]:
    """Return how a file is read, what a decoder is sent of it, and the digest of its content."""
    form = form_of(file.path) or sniffed(opened.read(HEAD)) or MediaType.PICTURE
    size = os.fstat(opened.fileno()).st_size
    if form == MediaType.VIDEO:
        return form, os.fsencode(file.path), sampled_digest(opened, size)
    if size > MAX_PHOTO_BYTES:
        raise FileUnreadable(too_large(MAX_PHOTO_BYTES))
    opened.seek(0)
    body = opened.read(size)
    return form, body, content_digest(body)


class _Refusals:
    """What could not be shown a moment ago, so that a page does not break decoders all the time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reasons: OrderedDict[tuple[bytes, str], tuple[str, float]] = OrderedDict()

    @contextmanager
    def remembering(self, thumbnail: tuple[bytes, str]) -> Iterator[None]:
        """Make a thumbnail, unless that failed a moment ago; remember it if it fails.

        Raises:
            FileUnreadable: it failed.
        """
        with self._lock:
            reason, until = self._reasons.get(thumbnail, ("", 0.0))
        if monotonic() < until:
            raise FileUnreadable(reason)
        try:
            yield
        except FileUnreadable as error:
            with self._lock:
                self._reasons[thumbnail] = (str(error), monotonic() + _REFUSED_SECONDS)
                if len(self._reasons) > _MOST_REFUSED:
                    self._reasons.popitem(last=False)
            raise
