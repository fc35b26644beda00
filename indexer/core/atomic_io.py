"""Write files completely or not at all, and detect flipped bits by checksums."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.core.errors import TwinlensError, explained
from indexer.core.permissions import make_file

UNREADABLE = (SafetensorError, OSError, KeyError, TypeError, ValueError)
"""What reading a safetensors file raises if it is missing, cut or changed."""

_UNFIT = "its checksum does not match: the disk has changed some bits"


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a name to write to; on leaving, that file takes the place of `path` for good.

    A process killed at any moment leaves the old file, or none, or the whole new one.

    Args:
        path: of the file.
        private: whether its mode follows that of its folder, as all in a library does, and not
            the umask.

    Raises:
        TwinlensError: the disk is full or closed to us.
    """
    part = path.with_name(path.name + ".part")
    try:
        if private:
            make_file(part)
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise TwinlensError(f"cannot write {path}: {explained(error, path.parent)}") from error
    finally:  # FAISS, OpenVINO and safetensors have errors of their own for a full disk
        with suppress(OSError):
            part.unlink(missing_ok=True)


def sealed(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Lay out tensors as a safetensors file whose header holds checksums of all it says."""
    solid = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    told = {**metadata, "checksum": _checksum(solid)}
    data: bytes = save(solid, metadata={**told, "seal": _seal(told)})
    return data


def read_sealed(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the tensors and the metadata of a file that `sealed` laid out.

    Raises:
        FileNotFoundError: there is no such file.
        Exception: one of `UNREADABLE`; it is broken, or its checksum is that of other tensors.
    """
    with safe_open(path, framework="numpy") as file:
        metadata: dict[str, str] = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    if "checksum" in metadata and metadata["checksum"] != _checksum(tensors):
        raise ValueError(_UNFIT)
    if "seal" in metadata and metadata["seal"] != _seal(metadata):
        raise ValueError(_UNFIT)
    return tensors, metadata


def _seal(metadata: Mapping[str, str]) -> str:
    """Hash what a header says beside the tensors."""
    told = sorted((key, value) for key, value in metadata.items() if key != "seal")
    return blake2b(repr(told).encode(), digest_size=16).hexdigest()


def _checksum(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Hash the content of tensors in the order of their names."""
    digest = blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()


def discard(path: Path) -> None:
    """Delete a file; Windows keeps one that a search has open, until the next sweep."""
    with suppress(PermissionError):
        path.unlink(missing_ok=True)


def checksum_of(path: Path) -> str:
    """Hash the content of a file."""
    with path.open("rb") as file:
        return file_digest(file, partial(blake2b, digest_size=16)).hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no folder to open
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
