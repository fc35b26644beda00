"""twinlens: find photos by words, and words by photo.

The public names. Each is loaded when it is first used, so `import retrieval` takes in no torch.
`PhotoLibrary` does what the command line does; the rest is for what it does not offer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from indexer.catalog.facets import FacetGroup
    from indexer.core.encoder import Encoder
    from indexer.core.errors import (
        FileUnreadable,
        LibraryDamaged,
        LibraryLocked,
        LibraryMissing,
        LibraryTooNew,
        ModelMismatch,
        TwinlensError,
        Unaffordable,
        UsageError,
    )
    from indexer.core.types import (
        Gap,
        Kind,
        LibraryInfo,
        Metadata,
        MetadataSummary,
        Orientation,
        Skip,
        TextLine,
    )
    from indexer.decoding.pool import DecodeOptions
    from indexer.duplicates.finder import DuplicateFile, DuplicateGroup, find_duplicates
    from indexer.ingest.index_options import IndexOptions
    from indexer.ingest.index_report import IndexProgress, IndexReport
    from indexer.ingest.pipeline import index_folders
    from indexer.ingest.reading import ReadingProgress, ReadingReport
    from indexer.ingest.reindex import ReindexReport, reindex
    from indexer.ingest.walker import WalkOptions
    from indexer.library.library import Library
    from indexer.library.lock import LockTimeout
    from indexer.library.progress_note import RunProgress
    from indexer.library.tuning_report import SearchSetting, tune
    from indexer.library.verify import Finding
    from indexer.vectors.nprobe_tuning import RecallTarget
    from retrieval import errors, filters
    from retrieval._enums import Loss, Precision, SortOrder, WeightStorage
    from retrieval.api import PhotoLibrary
    from retrieval.concepts import Concept, Concepts, LearnedConcept, LearnOptions, learn_concept
    from retrieval.contact_sheet import SheetRow, write_contact_sheet
    from retrieval.errors import (
        ConceptInvalid,
        EvaluationInvalid,
        ExtraMissing,
        ItemMissing,
        ModelUnavailable,
        PairsInvalid,
        QueryInvalid,
        RerankerMissing,
        TrainingFailed,
    )
    from retrieval.evaluation import (
        Comparison,
        Difference,
        Direction,
        Directions,
        Estimate,
        Evaluation,
        compare,
        evaluate,
    )
    from retrieval.filters import FilterExpression
    from retrieval.instructions.benchmark import InstructionResult, evaluate_instructions
    from retrieval.models import load_encoder
    from retrieval.pairs import Pair, PairSet, read_pairs
    from retrieval.rerankers import default_reranker, load_reranker
    from retrieval.reranking import Reranker
    from retrieval.runtime.select_encoder import quick_encoder
    from retrieval.search import (
        Hit,
        Page,
        Query,
        Scoring,
        Searcher,
        SearchResults,
        Term,
        parse_query,
    )
    from retrieval.search.export import ExportMode, ExportReport, export_hits
    from retrieval.search.facets import Facets, FacetValue
    from retrieval.search.matching_ids import MatchCount, MatchingIds
    from retrieval.search.suggestions import Suggestion
    from retrieval.search.term_names import QueryTerm
    from retrieval.training.config import AugmentConfig, TrainConfig
    from retrieval.training.loop import train
    from retrieval.training.observer import TrainObserver, TrainProgress
    from retrieval.training.training_run import TrainResult
    from retrieval.upkeep import RepairReport, check, repair

__all__ = [
    "AugmentConfig",
    "Comparison",
    "Concept",
    "ConceptInvalid",
    "Concepts",
    "DecodeOptions",
    "Difference",
    "Direction",
    "Directions",
    "DuplicateFile",
    "DuplicateGroup",
    "Encoder",
    "Estimate",
    "Evaluation",
    "EvaluationInvalid",
    "ExportMode",
    "ExportReport",
    "ExtraMissing",
    "FacetGroup",
    "FacetValue",
    "Facets",
    "FileUnreadable",
    "FilterExpression",
    "Finding",
    "Gap",
    "Hit",
    "IndexOptions",
    "IndexProgress",
    "IndexReport",
    "InstructionResult",
    "ItemMissing",
    "Kind",
    "LearnOptions",
    "LearnedConcept",
    "Library",
    "LibraryDamaged",
    "LibraryInfo",
    "LibraryLocked",
    "LibraryMissing",
    "LibraryTooNew",
    "LockTimeout",
    "Loss",
    "MatchCount",
    "MatchingIds",
    "Metadata",
    "MetadataSummary",
    "ModelMismatch",
    "ModelUnavailable",
    "Orientation",
    "Page",
    "Pair",
    "PairSet",
    "PairsInvalid",
    "PhotoLibrary",
    "Precision",
    "Query",
    "QueryInvalid",
    "QueryTerm",
    "ReadingProgress",
    "ReadingReport",
    "RecallTarget",
    "ReindexReport",
    "RepairReport",
    "Reranker",
    "RerankerMissing",
    "RunProgress",
    "Scoring",
    "SearchResults",
    "SearchSetting",
    "Searcher",
    "SheetRow",
    "Skip",
    "SortOrder",
    "Suggestion",
    "Term",
    "TextLine",
    "TrainConfig",
    "TrainObserver",
    "TrainProgress",
    "TrainResult",
    "TrainingFailed",
    "TwinlensError",
    "Unaffordable",
    "UsageError",
    "WalkOptions",
    "WeightStorage",
    "check",
    "compare",
    "default_reranker",
    "errors",
    "evaluate",
    "evaluate_instructions",
    "export_hits",
    "filters",
    "find_duplicates",
    "index_folders",
    "learn_concept",
    "load_encoder",
    "load_reranker",
    "parse_query",
    "quick_encoder",
    "read_pairs",
    "reindex",
    "repair",
    "train",
    "tune",
    "write_contact_sheet",
]

_HOMES = {
    "indexer.catalog.facets": ("FacetGroup",),
    "indexer.core.encoder": ("Encoder",),
    "indexer.core.errors": (
        "FileUnreadable",
        "LibraryDamaged",
        "LibraryLocked",
        "LibraryMissing",
        "LibraryTooNew",
        "ModelMismatch",
        "TwinlensError",
        "Unaffordable",
        "UsageError",
    ),
    "indexer.core.types": (
        "Gap",
        "Kind",
        "LibraryInfo",
        "Metadata",
        "MetadataSummary",
        "Orientation",
        "Skip",
        "TextLine",
    ),
    "indexer.decoding.pool": ("DecodeOptions",),
    "indexer.duplicates.finder": (
        "DuplicateFile",
        "DuplicateGroup",
        "find_duplicates",
    ),
    "indexer.ingest.index_options": ("IndexOptions",),
    "indexer.ingest.index_report": ("IndexProgress", "IndexReport"),
    "indexer.ingest.pipeline": ("index_folders",),
    "indexer.ingest.reading": ("ReadingProgress", "ReadingReport"),
    "indexer.ingest.reindex": (
        "ReindexReport",
        "reindex",
    ),
    "indexer.ingest.walker": ("WalkOptions",),
    "indexer.library.library": ("Library",),
    "indexer.library.lock": ("LockTimeout",),
    "indexer.library.progress_note": ("RunProgress",),
    "indexer.library.tuning_report": (
        "SearchSetting",
        "tune",
    ),
    "indexer.library.verify": ("Finding",),
    "indexer.vectors.nprobe_tuning": ("RecallTarget",),
    "retrieval._enums": (
        "Loss",
        "Precision",
        "SortOrder",
        "WeightStorage",
    ),
    "retrieval.api": ("PhotoLibrary",),
    "retrieval.concepts": (
        "Concept",
        "Concepts",
        "LearnOptions",
        "LearnedConcept",
        "learn_concept",
    ),
    "retrieval.contact_sheet": (
        "SheetRow",
        "write_contact_sheet",
    ),
    "retrieval.errors": (
        "ConceptInvalid",
        "EvaluationInvalid",
        "ExtraMissing",
        "ItemMissing",
        "ModelUnavailable",
        "PairsInvalid",
        "QueryInvalid",
        "RerankerMissing",
        "TrainingFailed",
    ),
    "retrieval.evaluation": (
        "Comparison",
        "Difference",
        "Direction",
        "Directions",
        "Estimate",
        "Evaluation",
        "compare",
        "evaluate",
    ),
    "retrieval.filters": ("FilterExpression",),
    "retrieval.instructions.benchmark": (
        "InstructionResult",
        "evaluate_instructions",
    ),
    "retrieval.models": ("load_encoder",),
    "retrieval.pairs": (
        "Pair",
        "PairSet",
        "read_pairs",
    ),
    "retrieval.rerankers": (
        "default_reranker",
        "load_reranker",
    ),
    "retrieval.reranking": ("Reranker",),
    "retrieval.runtime.select_encoder": ("quick_encoder",),
    "retrieval.search": (
        "Hit",
        "Page",
        "Query",
        "Scoring",
        "SearchResults",
        "Searcher",
        "Term",
        "parse_query",
    ),
    "retrieval.search.facets": ("FacetValue", "Facets"),
    "retrieval.search.matching_ids": ("MatchCount", "MatchingIds"),
    "retrieval.search.suggestions": ("Suggestion",),
    "retrieval.search.export": (
        "ExportMode",
        "ExportReport",
        "export_hits",
    ),
    "retrieval.search.term_names": ("QueryTerm",),
    "retrieval.training.config": (
        "AugmentConfig",
        "TrainConfig",
    ),
    "retrieval.training.loop": ("train",),
    "retrieval.training.observer": ("TrainObserver", "TrainProgress"),
    "retrieval.training.training_run": ("TrainResult",),
    "retrieval.upkeep": (
        "RepairReport",
        "check",
        "repair",
    ),
}

__getattr__ = loader(__name__, _HOMES, modules=("errors", "filters"))


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
