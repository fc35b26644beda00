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
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from indexer.errors import TwinlensError

TOKENS = "tokens.bin"

_MAGIC = b"twinlens tokens1"
_HEADER = struct.Struct("<16sII40x")

Tokens = NDArray[np.float32]
"""Image tokens of photos. Shape (photos, tokens, width)."""


@dataclass(frozen=True, kw_only=True)
class TokenShape:
    """Size of what is kept of a photo: so many tokens of so many numbers."""

    tokens: int
    width: int

    @property
    def record(self) -> int:
        """Bytes a photo."""
        return self.tokens * (2 + self.width)


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
                    file.seek(_HEADER.size + item * shape.record)
                    file.write(record)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise TwinlensError(f"cannot write {self._path}: {error.strerror or error}") from error

    def read(self, ids: Sequence[int], shape: TokenShape) -> list[Tokens | None]:
        """Return the tokens of each photo, shape (tokens, width); None where there are none."""
        if self.shape() != shape:
            return [None] * len(ids)
        with self._path.open("rb") as file:
            return [_record(file, item, shape) for item in ids]


def _record(file: BinaryIO, item: int, shape: TokenShape) -> Tokens | None:
    """Read one record; None if it is a hole, or lies beyond the end."""
    file.seek(_HEADER.size + item * shape.record)
    data = file.read(shape.record)
    if len(data) < shape.record:
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
