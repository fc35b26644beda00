"""Cached patch tokens of photos: a reranker reads them instead of the photo.

```
LIBRARY/tokens.bin   64 bytes: magic, tokens, width, first id, end (behind the last id), CRC-32 of
                     these; then one record per id, at 64 + (id - first id) * record
record               float16 (tokens) scales, int8 (tokens, width), CRC-32 of both;
                     token = scale * row
```

The file is sparse: ids of texts and of photos without tokens take no space on most disks, and are
read as zeros. It is a cache: if a photo's tokens are missing or have a wrong checksum, they are
computed from the photo. So the file is written before the commit that names its ids. Format 1 of
the file had no checksums; the next write adds them.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import numpy as np

from indexer.core.atomic_io import replacing
from indexer.core.encoder import Tokens, TokenShape
from indexer.core.errors import TwinlensError
from indexer.core.permissions import make_file

TOKENS = "tokens.bin"

_MAGIC, _OLD_MAGIC = b"twinlens tokens2", b"twinlens tokens1"
_HEADER = struct.Struct("<16sIIQQ20sI")
_CRC = struct.Struct("<I")
_HEADER_CRC = _HEADER.size - _CRC.size
_BLOCK = 512  # bytes, in which the system counts what a file takes
_SPARE = 1.25  # a file that takes so many times the room of its records is rewritten
_SPARE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the records lie.

    Attributes:
        shape: of each.
        first: the id of the first one.
        end: behind the id of the last one that was written.
        checked: whether each has a checksum.
    """

    shape: TokenShape
    first: int = 0
    end: int = 0
    checked: bool = True

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return self.content + (_CRC.size if self.checked else 0)

    @property
    def content(self) -> int:
        """Bytes of a record without its checksum."""
        return self.shape.tokens * (2 + self.shape.width)

    def at(self, item: int) -> int:
        """Return where the record of an id begins."""
        return _HEADER.size + (item - self.first) * self.record

    def header(self) -> bytes:
        """Return the beginning of the file."""
        size = (self.shape.tokens, self.shape.width, self.first, self.end)
        head = _HEADER.pack(_MAGIC, *size, b"", 0)[:_HEADER_CRC]
        return head + _CRC.pack(crc32(head))


class PatchTokenCache:
    """The tokens of a library's photos by id. Made by the first write.

    Args:
        folder: of the library.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / TOKENS

    def shape(self) -> TokenShape | None:
        """Return the size of the records; None where nothing was written, or nothing of ours."""
        layout = self._layout()
        return layout.shape if layout else None

    def write(self, ids: Sequence[int], tokens: Tokens) -> None:
        """Keep the tokens of photos; return once they are on the disk.

        A file of another shape, of another model, is started again.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        shape = TokenShape(tokens=tokens.shape[1], width=tokens.shape[2])
        layout = self._layout()
        if layout is not None and layout.shape == shape and not layout.checked:
            self._rewrite(layout, range(layout.first, self._end(layout)))
            layout = self._layout()
        with self._failing():
            if layout is None or layout.shape != shape:
                layout = _Layout(shape=shape)
                make_file(self._path)
            layout = replace(layout, end=max([layout.end, *(item + 1 for item in ids)]))
            with self._path.open("r+b") as file:
                for item, record in zip(ids, _records(tokens), strict=True):
                    if item >= layout.first:
                        _put(file, layout, item, record)
                file.seek(0)
                file.write(layout.header())
                file.flush()
                os.fsync(file.fileno())

    def forget(self, ids: Sequence[int]) -> None:
        """Overwrite the tokens of photos with zeros.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        layout = self._layout()
        if layout is None or not len(ids):
            return
        with self._failing(), self._path.open("r+b") as file:
            end = self._end(layout)
            for item in ids:
                if layout.first <= item < end:
                    file.seek(layout.at(item))
                    file.write(bytes(layout.record))
            file.flush()
            os.fsync(file.fileno())

    def keep_only(self, ids: Sequence[int]) -> None:
        """Make the file hold the tokens of these photos alone, if it takes much more room now.

        Args:
            ids: of the photos that are there, ascending.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        layout = self._layout()
        if layout is None:
            return
        if not len(ids):
            with self._failing():
                self._path.unlink(missing_ok=True)
        elif not layout.checked or self._is_bloated(layout, len(ids)):
            self._rewrite(layout, ids)

    def fault(self, ids: Sequence[int]) -> str:
        """Say what is wrong with the tokens of these photos, "" for nothing."""
        try:
            if not self._path.exists():
                return ""
            layout = self._layout()
            if layout is None:
                return "is broken (its header cannot be read)"
            if layout.checked and self._path.stat().st_size < layout.at(layout.end):
                return "is truncated"
            with self._path.open("rb") as file:
                count = sum(_is_broken(file, layout, item) for item in ids if item >= layout.first)
        except OSError as error:
            return f"cannot be read ({error.strerror or error})"
        return f"is broken (the checksums of {count:,} photos do not match)" if count else ""

    def mend(self, ids: Sequence[int]) -> None:
        """Drop what is broken or cut off; it is computed again when it is needed.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        if self._layout() is None:
            with self._failing():
                self._path.unlink(missing_ok=True)
        elif self.fault(ids):
            layout = self._layout()
            assert layout is not None
            with self._path.open("rb") as file:
                broken = [
                    item for item in ids if item >= layout.first and _is_broken(file, layout, item)
                ]
            self._rewrite(layout, sorted(set(ids) - set(broken)))

    def copy(self, other: PatchTokenCache, shift: int) -> None:
        """Keep what another store has, under ids that are higher by `shift`, in place of all else.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        layout = other._layout()
        if layout is None:
            self._path.unlink(missing_ok=True)
            return
        end = (layout.end if layout.checked else other._end(layout)) + shift
        moved = _Layout(shape=layout.shape, first=layout.first + shift, end=end)
        with (
            self._failing(),
            replacing(self._path, private=True) as part,
            other._path.open("rb") as old,
            part.open("wb") as new,
        ):
            new.write(moved.header())
            if layout.checked:
                old.seek(_HEADER.size)
                shutil.copyfileobj(old, new)
                return
            for item in range(layout.first, other._end(layout)):
                if content := _content(old, layout, item):
                    _put(new, moved, item + shift, content)

    def read(self, ids: Sequence[int], shape: TokenShape) -> list[Tokens | None]:
        """Return the tokens of each photo, shape (tokens, width); None where there are none."""
        layout = self._layout()
        if layout is None or layout.shape != shape:
            return [None] * len(ids)
        try:
            with self._path.open("rb") as file:
                return [_tokens(_content(file, layout, item), shape) for item in ids]
        except OSError:
            return [None] * len(ids)

    def _layout(self) -> _Layout | None:
        """Read the header; None where nothing was written, or nothing of ours."""
        try:
            with self._path.open("rb") as file:
                head = file.read(_HEADER.size)
            magic, tokens, width, first, end, _, crc = _HEADER.unpack(head)
        except (OSError, struct.error):
            return None
        if magic == _OLD_MAGIC:
            return _Layout(shape=TokenShape(tokens=tokens, width=width), checked=False)
        if magic != _MAGIC or crc != crc32(head[:_HEADER_CRC]):
            return None
        return _Layout(shape=TokenShape(tokens=tokens, width=width), first=first, end=end)

    def _end(self, layout: _Layout) -> int:
        """Return the id behind the last one of which there is a whole record."""
        records = (self._path.stat().st_size - _HEADER.size) // max(1, layout.record)
        return layout.first + max(0, records)

    def _is_bloated(self, layout: _Layout, photos: int) -> bool:
        """Return whether the file takes much more room than so many photos need."""
        status = self._path.stat()
        taken = getattr(status, "st_blocks", -(-status.st_size // _BLOCK)) * _BLOCK
        return taken > _SPARE * photos * layout.record + _SPARE_BYTES

    def _rewrite(self, layout: _Layout, ids: Sequence[int]) -> None:
        """Rewrite the file with the records of some ids."""
        fresh = _Layout(shape=layout.shape, first=int(ids[0]) if len(ids) else 0)
        with (
            self._failing(),
            replacing(self._path, private=True) as part,
            self._path.open("rb") as old,
            part.open("wb") as new,
        ):
            for item in ids:
                if content := _content(old, layout, item):
                    _put(new, fresh, item, content)
                    fresh = replace(fresh, end=item + 1)
            new.seek(0)
            new.write(fresh.header())

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Say which file could not be written."""
        try:
            yield
        except OSError as error:
            raise TwinlensError(f"cannot write {self._path}: {error.strerror or error}") from error


def _put(file: BinaryIO, layout: _Layout, item: int, content: bytes) -> None:
    """Write one record."""
    file.seek(layout.at(item))
    file.write(content + _CRC.pack(crc32(content)))


def _read(file: BinaryIO, layout: _Layout, item: int) -> bytes:
    """Read one record as it lies; nothing where none can lie."""
    if item < layout.first:
        return b""
    file.seek(layout.at(item))
    return file.read(layout.record)


def _content(file: BinaryIO, layout: _Layout, item: int) -> bytes:
    """Read what one record holds; nothing if it is a hole, broken, or beyond the end."""
    data = _read(file, layout, item)
    content = data[: layout.content]
    if len(data) < layout.record or not any(content):
        return b""
    if layout.checked and data[layout.content :] != _CRC.pack(crc32(content)):
        return b""
    return content


def _is_broken(file: BinaryIO, layout: _Layout, item: int) -> bool:
    """Return whether a record is neither whole nor a hole."""
    return any(_read(file, layout, item)) and not _content(file, layout, item)


def _tokens(content: bytes, shape: TokenShape) -> Tokens | None:
    """Turn what a record holds into tokens."""
    if not content:
        return None
    scales = np.frombuffer(content, dtype=np.float16, count=shape.tokens)
    if not (np.isfinite(scales).all() and scales.all()):
        return None
    rows = np.frombuffer(content, dtype=np.int8, offset=2 * shape.tokens)
    whole = rows.reshape(shape.tokens, shape.width).astype(np.float32)
    tokens: Tokens = whole * scales.astype(np.float32)[:, None]
    return tokens


def _records(tokens: Tokens) -> list[bytes]:
    """Lay out each photo's tokens: int8 rows, each with the scale that makes it whole."""
    scales = np.maximum(np.abs(tokens).max(axis=2) / 127.0, 1e-6).astype(np.float16)  # (p, t)
    rows = np.rint(tokens / scales.astype(np.float32)[:, :, None]).clip(-127, 127).astype(np.int8)
    return [scale.tobytes() + row.tobytes() for scale, row in zip(scales, rows, strict=True)]
