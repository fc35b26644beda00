"""One folder, one reranker: how it is written to disk and read back.

```
FOLDER/
  reranker.json          format, the dual encoder it reads with, shape, models, share, fusion
  reranker.safetensors   weights of the network: int8 rows with a scale
  words.safetensors      words that are spotted, and their detectors
  looks.safetensors      detectors of looks, where there are any
  telling.safetensors    language models of captions, where there are any
  train.json             how it came to be
  README.md              the model card, where there is one
```
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from indexer.core.atomic_io import replacing
from indexer.core.errors import UsageError
from retrieval._enums import WeightStorage
from retrieval.builtin_reranker.caption_lm import Teller, load_teller, no_telling, save_teller
from retrieval.builtin_reranker.cross_attention import NetworkConfig, RerankerNetwork
from retrieval.builtin_reranker.style_detectors import Looks, load_looks, no_looks, save_looks
from retrieval.builtin_reranker.word_detectors import Spotter, load_spotter, no_words, save_spotter
from retrieval.errors import ModelUnavailable
from retrieval.models.checkpoint import pack, unpack
from retrieval.models.model_folder import RECORD
from retrieval.reranking.reranker_config import CONFIG, FORMAT, WEIGHTS, read_config
from retrieval.reranking.score_fusion import Fusion

SIGNS = "sign."
"""How the names of the weights that read signs begin."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained reranker.

    Attributes:
        network: the weights.
        encoder: fingerprint of the dual encoder whose tokens it reads.
        fusion: how its scores are used.
        spotter: the words that are looked for on a photo.
        looks: how a photo looks as a whole, for wishes.
        teller: how likely captions are of a photo.
        share: how much the network counts in an instruction, beside the words spotted.
    """

    network: RerankerNetwork
    encoder: str
    fusion: Fusion
    spotter: Spotter = field(default_factory=no_words)
    looks: Looks = field(default_factory=no_looks)
    teller: Teller = field(default_factory=no_telling)
    share: float = 1.0


def save_reranker(
    checkpoint: Checkpoint, folder: Path, record: dict[str, Any] | None = None
) -> None:
    """Write a reranker into a folder: weights first, the config last."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / WEIGHTS) as part:
        part.write_bytes(save(pack(checkpoint.network.state_dict(), WeightStorage.INT8)))
    save_spotter(checkpoint.spotter, folder)
    if checkpoint.looks.names:
        save_looks(checkpoint.looks, folder)
    if checkpoint.teller.models:
        save_teller(checkpoint.teller, folder)
    config = {
        "format": FORMAT,
        "encoder": checkpoint.encoder,
        "network": asdict(checkpoint.network.config),
        "tellers": len(checkpoint.teller.models),
        "share": checkpoint.share,
        "fusion": asdict(checkpoint.fusion),
    }
    if record is not None:
        with replacing(folder / RECORD) as part:
            part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    with replacing(folder / CONFIG) as part:
        part.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_reranker_checkpoint(folder: Path, *, signs: bool = True) -> Checkpoint:
    """Read a reranker that `save_reranker` wrote.

    Args:
        folder: of the reranker.
        signs: read the part that reads signs, too; without, it is a fresh one, and an older format
            will do.

    Raises:
        ModelUnavailable: a file is missing, broken, of another format or does not fit.
    """
    config = read_config(folder)
    if signs and config["format"] < FORMAT:
        raise ModelUnavailable(
            f"reranker '{folder}' has format {config['format']}, which tells signs of instructions "
            f"otherwise; learn them anew: `twinlens train-reranker --signs-only --init {folder}`"
        )
    try:
        network = RerankerNetwork(NetworkConfig(**config["network"]))
        weights = unpack(load_file(folder / WEIGHTS))
        network.load_state_dict(weights if signs else _with_signs(weights, network))
        fusion, encoder = Fusion(**config["fusion"]), str(config["encoder"])
        share, tellers = float(config["share"]), int(config.get("tellers", 0))
    except FileNotFoundError as error:
        raise ModelUnavailable(f"reranker '{folder}' lacks {WEIGHTS}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise ModelUnavailable(
            f"reranker '{folder}' is damaged or of another kind: {error}"
        ) from error
    return Checkpoint(
        network=network.eval(),
        encoder=encoder,
        fusion=fusion,
        spotter=load_spotter(folder),
        looks=load_looks(folder),
        teller=load_teller(folder, tellers),
        share=share,
    )


def _with_signs(weights: dict[str, Tensor], network: RerankerNetwork) -> dict[str, Tensor]:
    """Return weights with a network's own part that reads signs."""
    rest = {name: weight for name, weight in weights.items() if not name.startswith(SIGNS)}
    return rest | {n: w for n, w in network.state_dict().items() if n.startswith(SIGNS)}
