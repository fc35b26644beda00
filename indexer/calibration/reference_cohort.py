"""The cached cohort of a library: reference items in stored form, ready for searches.

A search scores the cohort of the kind that it looks for, to measure how specific its query is.
Computing the hubness of the cohort takes 50 ms, so the writer stores it. The file is derived from
the reference set, which never changes. If the file is missing, broken, or made from another
reference set, a search computes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.core.atomic_io import UNREADABLE, read_sealed, replacing, sealed
from indexer.core.types import Kind

COHORTS = "cohorts.safetensors"


def write_cohorts(path: Path, cohorts: Mapping[Kind, NDArray[np.float16]], *, banks: str) -> None:
    """Keep cohorts by their kind, of shape (n, width), and the name of their reference set."""
    with replacing(path, private=True) as part:
        part.write_bytes(
            sealed({kind.value: rows for kind, rows in cohorts.items()}, {"banks": banks})
        )


def read_cohorts(path: Path, *, banks: str, width: int) -> dict[Kind, NDArray[np.float16]]:
    """Return the cohorts that were kept, nothing where they are not those of the reference set."""
    try:
        tensors, metadata = read_sealed(path)
        cohorts = {Kind(name): rows for name, rows in tensors.items()}
    except UNREADABLE:
        return {}
    fit = all(rows.dtype == np.float16 and rows.shape[1:] == (width,) for rows in cohorts.values())
    fit = fit and set(cohorts) == set(Kind)
    return cohorts if fit and metadata.get("banks") == banks else {}
