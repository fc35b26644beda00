"""Enumerated choices of options and configurations, without heavy imports, for `--help`."""

from __future__ import annotations

from enum import StrEnum

ENSEMBLE = True
"""Whether a search asks for a bare name by several sentences, unless told otherwise."""

POOL = 50
"""Candidates of a search that are reranked, or as many as are asked for if that is more."""

HIT_FIELDS = ("rank", "score", "match", "kind", "path", "text", "id", "time")
"""What `--json` and `--csv` say of every hit."""


class SortOrder(StrEnum):
    """In which order hits are shown."""

    SCORE = "score"
    DATE = "date"
    OLDEST = "oldest"


class Loss(StrEnum):
    """Which contrastive loss."""

    INFONCE = "infonce"
    SIGMOID = "sigmoid"


class Precision(StrEnum):
    """Arithmetic of the towers in training. Weights are kept in float32 either way."""

    FP32 = "fp32"
    BF16 = "bf16"


class WeightStorage(StrEnum):
    """How weights lie on disk."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
