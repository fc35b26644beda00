"""The hint that there are better models than the built-in one: given once, by `twinlens index`."""

from __future__ import annotations

from indexer.core.errors import TwinlensError
from indexer.core.permissions import make_private
from retrieval.models.model_catalog import recommended_models
from retrieval.models.model_folder import BUILTIN
from retrieval.runtime.graph_cache import cache_folder, known_models

BETTER = "good"
"""The model that is put forward."""


def better_model_hint(used: str) -> str:
    """Say what a better model would bring and how to get it; empty once it was said.

    It is said to those alone who never used another model than the built-in one. A file in the
    cache folder notes it; where that cannot be written, nothing is said, since it would be said
    each time.

    Args:
        used: the name of the model at work.
    """
    noted = cache_folder() / "hints" / "better-model"
    if used != BUILTIN or noted.exists():
        return ""
    others = known_models() - {BUILTIN}
    try:
        make_private(noted.parent)
        noted.touch()
    except (OSError, TwinlensError):
        return ""
    better = next(each for each in recommended_models() if each.name == BETTER)
    if others or better.is_here:
        return ""
    return (
        f"the built-in model is small; '{better.name}' ({better.megabytes / 1000:.1f} GB, "
        f"{better.licence}) puts the right photo first for {better.recall:.0f} of 100 captions "
        f"(COCO, published). Get it with: twinlens models fetch {better.name}"
    )
