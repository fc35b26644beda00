"""Return memory to the system once the work of a request is done (Linux with glibc)."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # names in glibc's malloc.h
_LARGE = 4 << 20
"""Bytes from which an array lies in pages of its own, which are given back with it."""

_SPARE = 32 << 20
"""Free bytes that are kept: one search asks for about as many as the one before, and fresh pages
cost as much as what is computed in them."""

_ARENAS = 2


def keep_little_memory() -> None:
    """Let threads share their free memory, and give large arrays back at once.

    Each thread would keep an arena of its own, as large as the largest work that it ever did.

    Source: mallopt(3).
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # a libc without mallopt
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, _ARENAS)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_TRIM_THRESHOLD, _SPARE)
