"""Checksums of a saved index file, which are compared before FAISS reads it.

FAISS trusts the numbers in a file: one flipped bit in a length makes it allocate all memory. So the
catalog stores the length of the file, a checksum of everything but the vectors, which each search
compares in a millisecond, and a checksum of all bytes, which `twinlens check` compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

from indexer.core.atomic_io import checksum_of

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class IndexSeal:
    """What a file was.

    Attributes:
        bytes: its length.
        head: CRC-32 of all before the vectors, and of all behind them.
        start: where the vectors begin.
        stop: where they end.
        checksum: of all bytes.
    """

    bytes: int
    head: int
    start: int
    stop: int
    checksum: str

    def dumps(self) -> str:
        """Return the seal as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, noted: str) -> IndexSeal:
        """Read what `dumps` wrote.

        Raises:
            ValueError: it is something else.
            TypeError: likewise.
        """
        return cls(**json.loads(noted))

    def fault(self, path: Path) -> str:
        """Say what a search would stumble over in a file, "" for nothing.

        Raises:
            OSError: it is missing, or cannot be read.
        """
        if path.stat().st_size != self.bytes:
            return "fails its checksum"
        if _head(path, self.start, self.stop) != self.head:
            return "fails its checksum"
        return ""

    def is_whole(self, path: Path) -> bool:
        """Compare all bytes.

        Raises:
            OSError: it is missing, or cannot be read.
        """
        return checksum_of(path) == self.checksum


def sealed_file(path: Path, vectors: range) -> IndexSeal:
    """Return what a file is now; its vectors lie at the bytes of `vectors`."""
    return IndexSeal(
        bytes=path.stat().st_size,
        head=_head(path, vectors.start, vectors.stop),
        start=vectors.start,
        stop=vectors.stop,
        checksum=checksum_of(path),
    )


def _head(path: Path, start: int, stop: int) -> int:
    """Return the CRC-32 of what lies before and behind the vectors."""
    crc = 0
    for chunk in _chunks(path, 0, start):
        crc = crc32(chunk, crc)
    for chunk in _chunks(path, stop, path.stat().st_size):
        crc = crc32(chunk, crc)
    return crc


def _chunks(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """Read a part of a file."""
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (chunk := file.read(min(_CHUNK, stop - start))):
            start += len(chunk)
            yield chunk
