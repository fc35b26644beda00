"""Image tokens of photos, kept for a second look: what a reranker reads instead of the photo.

```
LIBRARY/tokens.bin   64 bytes: magic, tokens, width; then one record an id, at 64 + id * record
record               float16 (tokens) scales, int8 (tokens, width): token = scale * row
```

The file is sparse: ids of texts and of photos without tokens take no room on most disks, and are
read as zeros. It is a cache: whoever misses a photo's tokens computes them from the photo. So it
is written before the commit that names its ids, and needs no repair.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from indexer.encoder import Tokens, TokenShape
from indexer.errors import TwinlensError
from indexer.segments import replacing

TOKENS = "tokens.bin"

_MAGIC = b"twinlens tokens1"
_HEADER = struct.Struct("<16sII40x")


class TokenStore:
    """The tokens of a library's photos by id. Made by the first write.

    Args:
        folder: of the library.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / TOKENS

    def shape(self) -> TokenShape | None:
        """Return the size of the records; None where nothing was written, or nothing of ours."""
        try:
            with self._path.open("rb") as file:
                magic, tokens, width = _HEADER.unpack(file.read(_HEADER.size))
        except (FileNotFoundError, struct.error):
            return None
        return TokenShape(tokens=tokens, width=width) if magic == _MAGIC else None

    def write(self, ids: Sequence[int], tokens: Tokens) -> None:
        """Keep the tokens of photos; return once they are on the disk.

        A file of another shape, of another model, is begun anew.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        shape = TokenShape(tokens=tokens.shape[1], width=tokens.shape[2])
        fresh = self.shape() != shape
        try:
            with self._path.open("wb" if fresh else "r+b") as file:
                file.write(_HEADER.pack(_MAGIC, shape.tokens, shape.width))
                for item, record in zip(ids, _records(tokens), strict=True):
                    file.seek(_HEADER.size + item * _record_bytes(shape))
                    file.write(record)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise TwinlensError(f"cannot write {self._path}: {error.strerror or error}") from error

    def copy(self, other: TokenStore, shift: int) -> None:
        """Keep what another store has, under ids that are higher by `shift`, in place of all else.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        shape = other.shape()
        if shape is None:
            self._path.unlink(missing_ok=True)
            return
        try:
            with (
                replacing(self._path) as part,
                other._path.open("rb") as old,
                part.open("wb") as new,
            ):
                new.write(old.read(_HEADER.size))
                new.seek(shift * _record_bytes(shape), os.SEEK_CUR)
                shutil.copyfileobj(old, new)
        except OSError as error:
            raise TwinlensError(f"cannot write {self._path}: {error.strerror or error}") from error

    def read(self, ids: Sequence[int], shape: TokenShape) -> list[Tokens | None]:
        """Return the tokens of each photo, shape (tokens, width); None where there are none."""
        if self.shape() != shape:
            return [None] * len(ids)
        with self._path.open("rb") as file:
            return [_record(file, item, shape) for item in ids]


def _record_bytes(shape: TokenShape) -> int:
    """Return the length of a record."""
    return shape.tokens * (2 + shape.width)


def _record(file: BinaryIO, item: int, shape: TokenShape) -> Tokens | None:
    """Read one record; None if it is a hole, or lies beyond the end."""
    file.seek(_HEADER.size + item * _record_bytes(shape))
    data = file.read(_record_bytes(shape))
    if len(data) < _record_bytes(shape):
        return None
    scales = np.frombuffer(data, dtype=np.float16, count=shape.tokens)
    if not (np.isfinite(scales).all() and scales.all()):
        return None
    rows = np.frombuffer(data, dtype=np.int8, offset=2 * shape.tokens)
    whole = rows.reshape(shape.tokens, shape.width).astype(np.float32)
    tokens: Tokens = whole * scales.astype(np.float32)[:, None]
    return tokens


def _records(tokens: Tokens) -> list[bytes]:
    """Lay out each photo's tokens: int8 rows, each with the scale that makes it whole."""
    scales = np.maximum(np.abs(tokens).max(axis=2) / 127.0, 1e-6).astype(np.float16)  # (p, t)
    rows = np.rint(tokens / scales.astype(np.float32)[:, :, None]).clip(-127, 127).astype(np.int8)
    return [scale.tobytes() + row.tobytes() for scale, row in zip(scales, rows, strict=True)]
