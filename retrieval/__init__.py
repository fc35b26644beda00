"""twinlens: find photos by words, and words by photo.

The public names. Each is loaded when it is first used, so `import retrieval` takes in no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from indexer.core.encoder import Encoder
    from indexer.core.errors import TwinlensError
    from indexer.core.types import Kind
    from indexer.decoding.pool import DecodeOptions
    from indexer.duplicates.finder import DuplicateGroup, find_duplicates
    from indexer.ingest.index_options import IndexOptions
    from indexer.ingest.index_report import IndexReport
    from indexer.ingest.pipeline import index_folders
    from indexer.ingest.reindex import ReindexReport, reindex
    from indexer.library.library import Library
    from indexer.library.lock import LockTimeout
    from indexer.library.tuning_report import SearchSetting, tune
    from indexer.library.verify import Finding, check, repair
    from indexer.vectors.nprobe_tuning import RecallTarget
    from retrieval.concepts import Concept, Concepts, LearnedConcept, LearnOptions, learn_concept
    from retrieval.contact_sheet import SheetRow, write_contact_sheet
    from retrieval.evaluation import Comparison, Evaluation, compare, evaluate
    from retrieval.instructions.benchmark import InstructionResult, evaluate_instructions, exam_of
    from retrieval.models import load_encoder
    from retrieval.pairs import PairSet, read_pairs
    from retrieval.rerankers import default_reranker, load_reranker, reranker_needs_torch
    from retrieval.reranking import Reranker, default_fusion
    from retrieval.runtime.select_encoder import quick_encoder
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
    "Answers",
    "Comparison",
    "Concept",
    "Concepts",
    "DecodeOptions",
    "DuplicateGroup",
    "Encoder",
    "Evaluation",
    "Finding",
    "Hit",
    "IndexOptions",
    "IndexReport",
    "InstructionResult",
    "Kind",
    "LearnOptions",
    "LearnedConcept",
    "Library",
    "LockTimeout",
    "Page",
    "PairSet",
    "Query",
    "RecallTarget",
    "ReindexReport",
    "Reranker",
    "SearchSetting",
    "Searcher",
    "SheetRow",
    "Term",
    "TwinlensError",
    "check",
    "compare",
    "compose",
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
    "write_contact_sheet",
]

_HOMES = {
    "indexer.ingest.pipeline": ("IndexOptions", "IndexReport", "index_folders"),
    "indexer.library.verify": ("Finding", "check", "repair"),
    "indexer.decoding.pool": ("DecodeOptions",),
    "indexer.duplicates.finder": ("DuplicateGroup", "find_duplicates"),
    "indexer.core.encoder": ("Encoder",),
    "indexer.core.errors": ("TwinlensError",),
    "indexer.library.library": ("Library", "LockTimeout"),
    "indexer.ingest.reindex": ("ReindexReport", "reindex"),
    "indexer.library.tuning_report": ("SearchSetting", "tune"),
    "indexer.vectors.nprobe_tuning": ("RecallTarget",),
    "indexer.core.types": ("Kind",),
    "retrieval.evaluation": ("Comparison", "Evaluation", "compare", "evaluate"),
    "retrieval.instructions.benchmark": ("InstructionResult", "evaluate_instructions", "exam_of"),
    "retrieval.runtime.select_encoder": ("quick_encoder",),
    "retrieval.models": ("load_encoder",),
    "retrieval.pairs": ("PairSet", "read_pairs"),
    "retrieval.concepts": (
        "Concept",
        "Concepts",
        "LearnOptions",
        "LearnedConcept",
        "learn_concept",
    ),
    "retrieval.contact_sheet": ("SheetRow", "write_contact_sheet"),
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
