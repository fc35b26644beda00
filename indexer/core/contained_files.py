"""Open files that lie below given folders, whatever links lead to them.

A server hands out files by their ids. Somebody may put a link in the place of a photo, or in the
place of a folder above it, while a request is answered. So the path is resolved once, and every
step of the resolved path is then opened without following a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import NOT_REGULAR, is_regular, open_regular

OUTSIDE = "a link in its path leads out of the indexed folders"

_STEPS = {os.open, os.stat} <= os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_COMMON = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_FOLDER = _COMMON | getattr(os, "O_DIRECTORY", 0)
_STAY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def open_below(path: Path, roots: Iterable[Path]) -> IO[bytes]:
    """Open a file for reading, if it lies below one of some folders or is one of them.

    Args:
        path: of the file, absolute.
        roots: folders or single files, resolved.

    Raises:
        FileUnreadable: a link leads elsewhere, or it is no regular file.
        OSError: the system does not let us open it.
    """
    real = path.resolve(strict=True)
    root = next((root for root in roots if real.is_relative_to(root)), None)
    if root is None:
        raise FileUnreadable(OUTSIDE)
    if not _STEPS:
        return _checked(real)
    start = root if real != root else root.parent
    return _walked(start, real.relative_to(start).parts)


def _walked(start: Path, names: tuple[str, ...]) -> IO[bytes]:
    """Open a file step by step from a folder on; a link on the way is an error."""
    folder = os.open(start, _FOLDER)
    try:
        for name in names[:-1]:
            below = os.open(name, _FOLDER | _STAY, dir_fd=folder)
            os.close(folder)
            folder = below
        return _regular(names[-1], folder)
    except NotADirectoryError as error:  # what O_NOFOLLOW with O_DIRECTORY says of a link
        raise FileUnreadable(OUTSIDE) from error
    finally:
        with suppress(OSError):
            os.close(folder)


def _regular(name: str, folder: int) -> IO[bytes]:
    """Open a regular file of an open folder."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not is_regular(status):  # opening a device may have effects
        raise FileUnreadable(NOT_REGULAR)
    file = os.fdopen(os.open(name, _COMMON | _STAY, dir_fd=folder), "rb")
    if not is_regular(os.fstat(file.fileno())):
        file.close()
        raise FileUnreadable(NOT_REGULAR)
    return file


def _checked(real: Path) -> IO[bytes]:
    """Open a resolved path where the system has no steps, and see that it is still the same."""
    file = open_regular(real)
    try:
        if real.resolve(strict=True) != real or not os.path.samestat(
            os.fstat(file.fileno()), real.stat(follow_symlinks=False)
        ):
            raise FileUnreadable(OUTSIDE)
    except BaseException:
        file.close()
        raise
    return file
