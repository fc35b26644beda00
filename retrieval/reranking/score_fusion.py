"""Fuse a reranker's scores with the scores of the first stage.

    fused = first stage + w · (s(query) − mean) + v · (s(query, instruction) − s(query) − mean)

s are the reranker's scores of the candidates, and each mean is over the candidates. A candidate
that cannot be reranked keeps its first-stage score. w is the weight of the reranker in one
direction of search; it is 0, so the reranker is off, where it did not improve validation data. v is
the weight of an instruction; an instruction that does not change the reranker's scores does not
change the order. The weights are stored in the configuration of a reranker's folder, which is read
without torch.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.core.errors import UsageError
from indexer.core.types import Kind
from retrieval._resources import resource
from retrieval.errors import ModelUnavailable

Scores = NDArray[np.float64]
"""One score a candidate. Shape (candidates,) or (queries, candidates)."""


FORMAT = 3  # 2 also held a network that scored words beside photos

FORMAT_OF_SIGNS = 2  # of 1, signs were read otherwise

CONFIG, WEIGHTS = "reranker.json", "reranker.safetensors"


@dataclass(frozen=True, kw_only=True)
class FusionWeights:
    """The weights of a reranker's scores relative to the first stage's, tuned on validation data.

    Attributes:
        text_to_image: w, where words look for photos; 0 for off.
        image_to_text: w, where a photo looks for texts; 0 for off.
        instructed: v, in both directions.
        obeying: log-odds that a candidate follows the instruction, for each unit by which the
            instruction changes its score; 0 if that was never measured.
        obeying_offset: these log-odds where the instruction does not change the score. Fitted with
            `obeying` by `scripts/fit_obeying.py`.
    """

    text_to_image: float = 0.0
    image_to_text: float = 0.0
    instructed: float = 0.0
    obeying: float = 0.0
    obeying_offset: float = 0.0

    def __post_init__(self) -> None:
        for weight in (self.text_to_image, self.image_to_text, self.instructed, self.obeying):
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"fusion: a weight must be 0 or above, not {weight}")
        if not math.isfinite(self.obeying_offset):
            raise UsageError(f"fusion: obeying_offset must be finite, not {self.obeying_offset}")

    def weight(self, *, query: Kind, item: Kind) -> float:
        """Return w of a direction; 0 within one kind, for which a reranker is not trained."""
        if query == item:
            return 0.0
        return self.text_to_image if item == Kind.PHOTO else self.image_to_text

    def obeys(self, change: Scores) -> Scores:
        """Return the probability that candidates follow an instruction; NaN if it is unknown.

        Args:
            change: what the instruction adds to the reranker's scores, NaN where there are none.
                Shape (candidates,).
        """
        if not self.obeying:
            return np.full(len(change), np.nan)
        likely: Scores = 1 / (1 + np.exp(-self.obeying * change - self.obeying_offset))
        return likely


def combine_scores(first: Scores, scores: Scores, weight: float) -> Scores:
    """Add reranked candidates' scores to the first stage's; NaN marks one that was not reranked.

    Args:
        first: scores of the first stage. Shape (…, candidates).
        scores: of the reranker. Shape (…, candidates).
        weight: of the reranker.
    """
    known = np.isfinite(scores)
    count = known.sum(axis=-1, keepdims=True)
    mean = np.where(known, scores, 0.0).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    total: Scores = first + weight * np.where(known, scores - mean, 0.0)
    return total


def default_fusion(encoder: str) -> FusionWeights:
    """Return how the reranker that ships is used behind an encoder, by its fingerprint.

    All weights are 0 where it does not read with that encoder.
    """
    try:
        config = read_config(resource("reranker"))
    except FileNotFoundError:
        return FusionWeights()
    return (
        FusionWeights(**config["fusion"]) if config.get("encoder") == encoder else FusionWeights()
    )


def reads_with(folder: Path) -> str:
    """Return the fingerprint of the dual encoder that a reranker reads with.

    Raises:
        ModelUnavailable: there is no reranker.
    """
    return str(read_config(folder).get("encoder"))


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check `reranker.json`."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailable(
            f"no reranker at '{folder}': it has no {CONFIG}; name a folder that "
            "`twinlens train-reranker` wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"'{folder / CONFIG}' cannot be read: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("format"), int):
        raise ModelUnavailable(f"'{folder / CONFIG}' does not describe a reranker of twinlens")
    if config["format"] > FORMAT:
        raise ModelUnavailable(
            f"reranker '{folder}' has format {config['format']}, this twinlens reads up to "
            f"{FORMAT}: upgrade twinlens"
        )
    return config
