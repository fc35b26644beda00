"""twinlens: find photos by words, and words by photo.

The public names. Each is loaded when it is first used, so `import retrieval` takes in no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.build import IndexOptions, IndexReport, index_folders
    from indexer.duplicates import Group, find_duplicates
    from indexer.encoder import Encoder
    from indexer.errors import TwinlensError
    from indexer.library import Library
    from indexer.types import Kind
    from retrieval.evaluation import Comparison, Evaluation, compare, evaluate
    from retrieval.models import load_encoder
    from retrieval.names import Concept, Concepts, Learned, LearnOptions, learn_concept
    from retrieval.pairs import PairSet, read_pairs
    from retrieval.report import Row, contact_sheet
    from retrieval.search import (
        Hit,
        Query,
        Searcher,
        Term,
        compose,
        default_threshold,
        ensemble,
        parse_query,
    )

__all__ = [
    "Comparison",
    "Concept",
    "Concepts",
    "Encoder",
    "Evaluation",
    "Group",
    "Hit",
    "IndexOptions",
    "IndexReport",
    "Kind",
    "LearnOptions",
    "Learned",
    "Library",
    "PairSet",
    "Query",
    "Row",
    "Searcher",
    "Term",
    "TwinlensError",
    "compare",
    "compose",
    "contact_sheet",
    "default_threshold",
    "ensemble",
    "evaluate",
    "find_duplicates",
    "index_folders",
    "learn_concept",
    "load_encoder",
    "parse_query",
    "read_pairs",
]

_HOMES = {
    "indexer.build": ("IndexOptions", "IndexReport", "index_folders"),
    "indexer.duplicates": ("Group", "find_duplicates"),
    "indexer.encoder": ("Encoder",),
    "indexer.errors": ("TwinlensError",),
    "indexer.library": ("Library",),
    "indexer.types": ("Kind",),
    "retrieval.evaluation": ("Comparison", "Evaluation", "compare", "evaluate"),
    "retrieval.models": ("load_encoder",),
    "retrieval.pairs": ("PairSet", "read_pairs"),
    "retrieval.names": ("Concept", "Concepts", "LearnOptions", "Learned", "learn_concept"),
    "retrieval.report": ("Row", "contact_sheet"),
    "retrieval.search": (
        "Hit",
        "Query",
        "Searcher",
        "Term",
        "compose",
        "default_threshold",
        "ensemble",
        "parse_query",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'retrieval' has no attribute '{name}'")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
