"""A hash of the content of a file, by which it is known again under any name."""

from __future__ import annotations

from hashlib import blake2b
from typing import IO

DIGEST_BYTES = 16

_SAMPLES, _SAMPLE_BYTES = 16, 1 << 18  # of a video, by which it is known again


def content_digest(data: bytes) -> bytes:
    """Hash the content of a file."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def sampled_digest(file: IO[bytes], size: int) -> bytes:
    """Hash the size of a large file, and samples from its start to its end."""
    hashed = blake2b(str(size).encode(), digest_size=DIGEST_BYTES)
    for number in range(_SAMPLES):
        file.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
        hashed.update(file.read(_SAMPLE_BYTES))
    return hashed.digest()
