"""The cohorts of a library: generic items as they would be stored in it, kept for its searches.

A search scores the cohort of the kind that it looks for, to tell how sharp its question is. Their
hubness takes 50 ms to compute, so the writer keeps it. The file is derived from the banks, which
never change; where it is missing, broken, or made of other banks, a search computes it anew.
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
    """Keep cohorts by their kind, of shape (n, width), and the name of the banks they are of."""
    with replacing(path, private=True) as part:
        part.write_bytes(
            sealed({kind.value: rows for kind, rows in cohorts.items()}, {"banks": banks})
        )


def read_cohorts(path: Path, *, banks: str, width: int) -> dict[Kind, NDArray[np.float16]]:
    """Return the cohorts that were kept, nothing where they are not those of the banks."""
    try:
        tensors, metadata = read_sealed(path)
        cohorts = {Kind(name): rows for name, rows in tensors.items()}
    except UNREADABLE:
        return {}
    fit = all(rows.dtype == np.float16 and rows.shape[1:] == (width,) for rows in cohorts.values())
    fit = fit and set(cohorts) == set(Kind)
    return cohorts if fit and metadata.get("banks") == banks else {}
