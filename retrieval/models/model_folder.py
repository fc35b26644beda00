"""Read a model's folder as far as possible without torch; see `retrieval.models.checkpoint`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.core.errors import UsageError
from indexer.core.types import Hubness
from retrieval._resources import resource
from retrieval.errors import ModelUnavailable
from retrieval.models.preprocess import ImageSpec, image_spec

BUILTIN = "builtin"
FORMAT = 1
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
RECORD = "train.json"
HUBNESS = "hubness"
TWIN = "twin"
"""The built-in architecture's family."""


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What a model's folder says of the model.

    Attributes:
        image: how photos are prepared.
        architecture: JSON-able description of the towers.
        fingerprinted: the part of the config that makes the fingerprint, with the weights.
        hubness: how search corrects for hubs.
    """

    image: ImageSpec
    architecture: dict[str, Any]
    fingerprinted: dict[str, Any]
    hubness: Hubness


def folder_of(spec: str) -> Path | None:
    """Return the folder that a model's spec names; None if it names none."""
    if spec == BUILTIN:
        return resource("model")
    folder = Path(spec).expanduser()
    return folder if (folder / CONFIG).is_file() else None


def describe(folder: Path) -> ModelDescription:
    """Read a folder's config.

    Raises:
        ModelUnavailable: a file is missing, or the config is broken or of a newer format.
    """
    config = _read_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise ModelUnavailable(f"model '{folder}' lacks {WEIGHTS}")
    hubness = _hubness(folder, config.pop(HUBNESS, {}))
    try:
        return ModelDescription(
            image=image_spec(config["image"]),
            architecture=dict(config["architecture"]),
            fingerprinted=config,
            hubness=hubness,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(
            f"model '{folder}' is damaged or of another kind: {error}"
        ) from error


def file_fingerprint(description: dict[str, Any], weights: Path) -> str:
    """Return a short hash of a model: what it is and every byte of its weights."""
    digest = hashlib.blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=16)
    with weights.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _hubness(folder: Path, plain: dict[str, Any]) -> Hubness:
    """Read how search corrects for hubs; the defaults where nothing is said."""
    try:
        return Hubness(**plain)
    except (TypeError, UsageError) as error:
        raise ModelUnavailable(f"'{folder / CONFIG}' has a wrong '{HUBNESS}': {error}") from error


def _read_config(folder: Path) -> dict[str, Any]:
    """Read and check `config.json`."""
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailable(
            f"no model at '{folder}': it has no {CONFIG}; name a folder that `twinlens train` wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"'{folder / CONFIG}' cannot be read: {error}") from error
    if not isinstance(config.get("format"), int) or "architecture" not in config:
        raise ModelUnavailable(f"'{folder / CONFIG}' does not describe a twinlens model")
    if config["format"] > FORMAT:
        raise ModelUnavailable(
            f"model '{folder}' has format {config['format']}, this twinlens reads up to {FORMAT}: "
            "upgrade twinlens"
        )
    return config
