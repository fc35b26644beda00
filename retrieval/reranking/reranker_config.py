"""Read the configuration of a reranker's folder, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from retrieval._resources import resource
from retrieval.errors import ModelUnavailable
from retrieval.reranking.score_fusion import FusionWeights

FORMAT = 3  # 2 also held a network that scored words beside photos
FORMAT_OF_SIGNS = 2  # of 1, signs were read otherwise
CONFIG, WEIGHTS = "reranker.json", "reranker.safetensors"


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
