"""The weights of a model's folder in numpy, for what runs without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from retrieval.errors import ModelUnavailable

Weight: TypeAlias = NDArray[np.float32]

SCALE = ":scale"
"""Ends the name of the scales that turn rows of int8 into numbers."""

_TYPES = {"I8": np.int8, "F16": np.float16, "F32": np.float32}

LEAST_ROWS = 16
"""Matrices of fewer rows are no smaller with a scale a row."""


class StoredWeights(Mapping[str, Weight]):
    """Weights by name as float32, each read from the file when it is asked for.

    Args:
        file: `model.safetensors`; see `retrieval.models.checkpoint` for how it is packed.

    Raises:
        ModelUnavailable: the file is missing or broken.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        self._begin = 0
        self._maps: dict[str, NDArray[Any]] = {}
        try:
            opened: Any = safe_open(file, framework="numpy")
            self._file = opened
            self._names: frozenset[str] = frozenset(opened.keys())
        except (SafetensorError, OSError) as error:
            raise ModelUnavailable(f"'{file}' is damaged or of another kind: {error}") from error

    def __getitem__(self, name: str) -> Weight:
        return self.scaled(name, self._read(name))

    def __iter__(self) -> Any:
        return (name for name in sorted(self._names) if not name.endswith(SCALE))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.__exit__(kind, error, trace)

    def rows(self, name: str, numbers: NDArray[np.int64]) -> Weight:
        """Return some rows of a matrix; the others are not read from the disk.

        Raises:
            KeyError: there is no such weight.
        """
        matrix = self._mapped(name)[numbers]
        if name + SCALE not in self._names:
            return matrix.astype(np.float32)
        return _times(matrix, self._mapped(name + SCALE)[numbers])

    def scaled(self, name: str, stored: NDArray[Any]) -> Weight:
        """Return a weight as numbers: rows of int8 times their scales, or as they are."""
        if name + SCALE not in self._names:
            return stored.astype(np.float32)
        return _times(stored, self._read(name + SCALE))

    def _mapped(self, name: str) -> NDArray[Any]:
        """Map a tensor as it is stored; the file was checked when it was opened."""
        if name not in self._maps:
            about = self._header[name]
            start, _ = about["data_offsets"]
            self._maps[name] = np.memmap(
                self._path,
                dtype=_TYPES[about["dtype"]],
                mode="r",
                offset=self._begin + start,
                shape=tuple(about["shape"]),
            )
        return self._maps[name]

    @cached_property
    def _header(self) -> dict[str, Any]:
        """Where each tensor lies, by name; see the format of safetensors."""
        with self._path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(length))
        self._begin = 8 + length
        return header

    def _read(self, name: str) -> NDArray[Any]:
        """Read a tensor as it is stored."""
        if name not in self._names:
            raise KeyError(name)
        try:
            stored: NDArray[Any] = self._file.get_tensor(name)
        except (SafetensorError, TypeError) as error:  # numpy knows no bfloat16
            raise ModelUnavailable(
                f"'{self._path}' is damaged or of another kind: {error}"
            ) from error
        return stored


def packed_in_bytes(weights: Mapping[str, Weight]) -> dict[str, NDArray[Any]]:
    """Return weights as they lie on disk: matrices as int8 with a scale a row, others as float16.

    `retrieval.models.checkpoint` packs tensors of torch likewise.
    """
    packed: dict[str, NDArray[Any]] = {}
    for name, weight in weights.items():
        if weight.ndim < 2 or len(weight) < LEAST_ROWS:
            packed[name] = weight.astype(np.float16)
            continue
        rows = weight.reshape(len(weight), -1)
        scale = np.maximum(np.abs(rows).max(axis=1) / np.float32(127), 1e-7).astype(np.float16)
        whole = np.rint(rows / scale.astype(np.float32)[:, None]).clip(-127, 127)
        packed[name] = np.ascontiguousarray(whole.astype(np.int8).reshape(weight.shape))
        packed[name + SCALE] = scale
    return packed


def _times(rows: NDArray[Any], scale: NDArray[Any]) -> Weight:
    """Multiply each row by its scale."""
    one_a_row = scale.astype(np.float32).reshape(*scale.shape, *[1] * (rows.ndim - scale.ndim))
    return rows.astype(np.float32) * one_a_row
