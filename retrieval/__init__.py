"""twinlens: find photos by words, and words by photo.

The public names. Each is loaded when it is first used, so `import retrieval` takes in no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.lazy import loader

if TYPE_CHECKING:
    from indexer.build import IndexOptions, IndexReport, index_folders
    from indexer.check import Finding, check, repair
    from indexer.decoding import DecodeOptions
    from indexer.duplicates import Group, find_duplicates
    from indexer.encoder import Encoder
    from indexer.errors import TwinlensError
    from indexer.library import Library
    from indexer.reindex import ReindexReport, reindex
    from indexer.tune import Setting, tune
    from indexer.tuning import Aim
    from indexer.types import Kind
    from indexer.writer import Patience
    from retrieval.engine.choice import quick_encoder
    from retrieval.evaluation import Comparison, Evaluation, compare, evaluate
    from retrieval.evaluation.instructions import Obedience, evaluate_instructions, exam_of
    from retrieval.models import load_encoder
    from retrieval.names import Concept, Concepts, Learned, LearnOptions, learn_concept
    from retrieval.pairs import PairSet, read_pairs
    from retrieval.report import Row, contact_sheet
    from retrieval.rerankers import default_reranker, load_reranker, reranker_needs_torch
    from retrieval.reranking import Reranker, default_fusion
    from retrieval.search import (
        Answers,
        Hit,
        Page,
        Query,
        Searcher,
        Term,
        compose,
        ensemble,
        newest_first,
        parse_query,
    )

__all__ = [
    "Aim",
    "Answers",
    "Comparison",
    "Concept",
    "Concepts",
    "DecodeOptions",
    "Encoder",
    "Evaluation",
    "Finding",
    "Group",
    "Hit",
    "IndexOptions",
    "IndexReport",
    "Kind",
    "LearnOptions",
    "Learned",
    "Library",
    "Obedience",
    "Page",
    "PairSet",
    "Patience",
    "Query",
    "ReindexReport",
    "Reranker",
    "Row",
    "Searcher",
    "Setting",
    "Term",
    "TwinlensError",
    "check",
    "compare",
    "compose",
    "contact_sheet",
    "default_fusion",
    "default_reranker",
    "ensemble",
    "evaluate",
    "evaluate_instructions",
    "exam_of",
    "find_duplicates",
    "index_folders",
    "learn_concept",
    "load_encoder",
    "load_reranker",
    "newest_first",
    "parse_query",
    "quick_encoder",
    "read_pairs",
    "reindex",
    "repair",
    "reranker_needs_torch",
    "tune",
]

_HOMES = {
    "indexer.build": ("IndexOptions", "IndexReport", "index_folders"),
    "indexer.check": ("Finding", "check", "repair"),
    "indexer.decoding": ("DecodeOptions",),
    "indexer.duplicates": ("Group", "find_duplicates"),
    "indexer.encoder": ("Encoder",),
    "indexer.errors": ("TwinlensError",),
    "indexer.library": ("Library", "Patience"),
    "indexer.reindex": ("ReindexReport", "reindex"),
    "indexer.tune": ("Setting", "tune"),
    "indexer.tuning": ("Aim",),
    "indexer.types": ("Kind",),
    "retrieval.evaluation": ("Comparison", "Evaluation", "compare", "evaluate"),
    "retrieval.evaluation.instructions": ("Obedience", "evaluate_instructions", "exam_of"),
    "retrieval.engine.choice": ("quick_encoder",),
    "retrieval.models": ("load_encoder",),
    "retrieval.pairs": ("PairSet", "read_pairs"),
    "retrieval.names": ("Concept", "Concepts", "LearnOptions", "Learned", "learn_concept"),
    "retrieval.report": ("Row", "contact_sheet"),
    "retrieval.rerankers": ("default_reranker", "load_reranker", "reranker_needs_torch"),
    "retrieval.reranking": ("Reranker", "default_fusion"),
    "retrieval.search": (
        "Answers",
        "Hit",
        "Page",
        "Query",
        "Searcher",
        "Term",
        "compose",
        "ensemble",
        "newest_first",
        "parse_query",
    ),
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
