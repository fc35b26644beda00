"""All errors; those of models, training, search and evaluation are made here.

The tree is drawn in `indexer.core.errors`.
"""

from __future__ import annotations

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

__all__ = [
    "ConceptInvalid",
    "EvaluationInvalid",
    "ExtraMissing",
    "FileUnreadable",
    "ItemMissing",
    "LibraryDamaged",
    "LibraryLocked",
    "LibraryMissing",
    "LibraryTooNew",
    "ModelMismatch",
    "ModelUnavailable",
    "PairsInvalid",
    "QueryInvalid",
    "RerankerMissing",
    "TrainingFailed",
    "TwinlensError",
    "Unaffordable",
    "UsageError",
]


class ModelUnavailable(TwinlensError):
    """A model cannot be loaded: unknown name, missing file, no way to the hub."""


class PairsInvalid(UsageError):
    """A file of image-text pairs cannot be used: missing, malformed, or without a usable pair."""


class TrainingFailed(TwinlensError):
    """Training cannot go on: a loss that is not finite, a checkpoint of another run."""


class EvaluationInvalid(TwinlensError):
    """A metric would be meaningless: NaN scores, an image without captions, too few items."""


class QueryInvalid(UsageError):
    """A query cannot be understood or read: empty words, a photo that does not decode."""


class ItemMissing(UsageError):
    """The library has no item of this id, or no longer."""


class ConceptInvalid(UsageError):
    """A name cannot be learned or found: no word, no photo that can be read, never learned."""


class RerankerMissing(UsageError):
    """A reranker or an instruction was asked for where no reranker takes part."""


class ExtraMissing(TwinlensError):
    """A command needs packages that only an extra installs; the message has the command."""
