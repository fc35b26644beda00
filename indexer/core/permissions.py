"""File permissions of a library: only its owner may read it, unless its folder's mode allows more.

A library contains paths, captions, positions and texts of photos that others may not be allowed to
read. So it is created for its owner only, whatever the umask. Afterwards the mode of its folder
decides: files and folders written later follow it. twinlens never changes that mode.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from indexer.core.errors import TwinlensError, explained

_OWNER = 0o700
_OWN_FILE = 0o600
_NO_EXECUTION = 0o666
_ALL = 0o777


def file_mode(folder: Path) -> int:
    """Return the mode of a new file in a folder: who may enter the folder may read the file."""
    try:
        return stat.S_IMODE(folder.stat().st_mode) & _NO_EXECUTION | _OWN_FILE
    except OSError:
        return _OWN_FILE


def make_file(path: Path) -> None:
    """Make an empty file that follows the mode of its folder.

    Raises:
        OSError: the disk is full or closed to us.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, _OWN_FILE))
    path.chmod(file_mode(path.parent))


def make_folder(path: Path) -> None:
    """Make a folder that follows the mode of the one above it, unless it is there.

    Raises:
        TwinlensError: the disk is full or closed to us.
    """
    try:
        with suppress(FileExistsError):
            path.mkdir(_OWNER)
            path.chmod(stat.S_IMODE(path.parent.stat().st_mode))
    except OSError as error:
        raise TwinlensError(f"cannot make '{path}': {explained(error, path.parent)}") from error


def make_private(path: Path) -> None:
    """Make a folder that only its owner may enter; one that is there stays as it is.

    Raises:
        OSError: the disk is full or closed to us.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(_OWNER)


def close_to_others(folder: Path) -> None:
    """Take the right to read a folder, and all in it, from everybody but its owner.

    What belongs to somebody else stays as it is.
    """
    for path in [folder, *folder.rglob("*")]:
        with suppress(OSError):
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & _ALL & ~_OWNER and not path.is_symlink():
                path.chmod(mode & _OWNER)
