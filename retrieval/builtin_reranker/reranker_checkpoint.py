"""Write a reranker to a folder, and read it back.

```
FOLDER/
  reranker.json          format, the dual encoder that it reads with, shape, models, fusion
  reranker.safetensors   weights of the polarity classifier: int8 rows with a scale
  words.safetensors      word detectors
  looks.safetensors      detectors of style attributes, if there are any
  telling.safetensors    caption language models, if there are any
  train.json             how the reranker was trained
  README.md              the model card, if there is one
```

A folder of format 2 also holds a network that scored words beside photos. It still loads: in either
format, only the tensors of `reranker.safetensors` whose names begin with `sign.` are read. The
weight of instructions was chosen with that network; `twinlens train-reranker --signs-only --steps
0` chooses it again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import save

from indexer.core.atomic_io import replacing
from indexer.core.errors import UsageError
from retrieval.builtin_reranker.caption_lm import CaptionLM, load_teller, no_telling, save_teller
from retrieval.builtin_reranker.polarity_config import Polarity, PolarityConfig
from retrieval.builtin_reranker.polarity_reader import PolarityReader, zeros
from retrieval.builtin_reranker.style_detectors import (
    StyleDetectors,
    load_looks,
    no_looks,
    save_looks,
)
from retrieval.builtin_reranker.word_detectors import (
    WordDetectors,
    load_spotter,
    no_words,
    save_spotter,
)
from retrieval.errors import ModelUnavailable
from retrieval.models.model_folder import RECORD
from retrieval.models.numpy_layers import Floats
from retrieval.models.stored_weights import StoredWeights, packed_in_bytes
from retrieval.reranking.score_fusion import (
    CONFIG,
    FORMAT,
    FORMAT_OF_SIGNS,
    WEIGHTS,
    FusionWeights,
    read_config,
)

SIGNS = "sign."
"""How the names of the weights that are read begin."""


@dataclass(frozen=True, kw_only=True)
class RerankerCheckpoint:
    """A trained reranker.

    Attributes:
        signs: reads what an instruction wants.
        encoder: fingerprint of the dual encoder whose tokens it reads.
        fusion: how its scores are used.
        spotter: the words that are looked for on a photo.
        looks: how a photo looks as a whole, for wishes.
        teller: how likely captions are of a photo.
    """

    signs: Polarity
    encoder: str
    fusion: FusionWeights
    spotter: WordDetectors = field(default_factory=no_words)
    looks: StyleDetectors = field(default_factory=no_looks)
    teller: CaptionLM = field(default_factory=no_telling)


def save_reranker(
    checkpoint: RerankerCheckpoint, folder: Path, record: dict[str, Any] | None = None
) -> None:
    """Write a reranker into a folder: weights first, the config last."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / WEIGHTS) as part:
        named = {SIGNS + name: weight for name, weight in checkpoint.signs.weights().items()}
        part.write_bytes(save(packed_in_bytes(named)))
    save_spotter(checkpoint.spotter, folder)
    if checkpoint.looks.names:
        save_looks(checkpoint.looks, folder)
    if checkpoint.teller.models:
        save_teller(checkpoint.teller, folder)
    config = {
        "format": FORMAT,
        "encoder": checkpoint.encoder,
        "signs": asdict(checkpoint.signs.config),
        "tellers": len(checkpoint.teller.models),
        "fusion": asdict(checkpoint.fusion),
    }
    if record is not None:
        with replacing(folder / RECORD) as part:
            part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    with replacing(folder / CONFIG) as part:
        part.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_reranker_checkpoint(folder: Path, *, signs: bool = True) -> RerankerCheckpoint:
    """Read a reranker that `save_reranker` wrote.

    Args:
        folder: of the reranker.
        signs: they are needed; without, an older format will do, whose signs mean nothing.

    Raises:
        ModelUnavailable: a file is missing, broken, of another format or does not fit.
    """
    config = read_config(folder)
    if signs and config["format"] < FORMAT_OF_SIGNS:
        raise ModelUnavailable(
            f"reranker '{folder}' has format {config['format']}, which tells signs of instructions "
            f"otherwise; learn them anew: `twinlens train-reranker --signs-only --init {folder}`"
        )
    try:
        shape, weights = _shape(config), _of_signs(folder)
        reader = PolarityReader(shape, weights if signs else zeros(shape))
        fusion, encoder = FusionWeights(**config["fusion"]), str(config["encoder"])
        tellers = int(config.get("tellers", 0))
    except FileNotFoundError as error:
        raise ModelUnavailable(f"reranker '{folder}' lacks {WEIGHTS}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise ModelUnavailable(
            f"reranker '{folder}' is damaged or of another kind: {error}"
        ) from error
    return RerankerCheckpoint(
        signs=reader,
        encoder=encoder,
        fusion=fusion,
        spotter=load_spotter(folder),
        looks=load_looks(folder),
        teller=load_teller(folder, tellers),
    )


def _shape(config: dict[str, Any]) -> PolarityConfig:
    """Return the shape of the reader of signs, whatever the format."""
    if config["format"] >= FORMAT:
        return PolarityConfig(**config["signs"])
    shape, plain = config["network"], PolarityConfig()
    return PolarityConfig(
        text_width=shape["text_width"],
        heads=shape["heads"],
        expand=shape["expand"],
        width=shape.get("sign_width", plain.width),
        depth=shape.get("sign_depth", plain.depth),
        readers=shape.get("sign_readers", plain.readers),
    )


def _of_signs(folder: Path) -> dict[str, Floats]:
    """Return the weights that read signs, by their names in the reader."""
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(folder / WEIGHTS)
    with StoredWeights(folder / WEIGHTS) as stored:
        return {n.removeprefix(SIGNS): stored[n] for n in stored if n.startswith(SIGNS)}
