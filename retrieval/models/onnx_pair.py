"""Models as a pair of ONNX files, one for each tower, as photo-search tools share them.

```
FOLDER/config.json                     open_clip's config of the model; of it `text_cfg` is read
FOLDER/visual/model.onnx               pixels (b, 3, size, size) → vectors (b, dim)
FOLDER/visual/preprocess_cfg.json      size, mean, std, interpolation, resize_mode
FOLDER/textual/model.onnx              token ids (b, context) → vectors (b, dim)
FOLDER/textual/tokenizer.json          a file of the package tokenizers
FOLDER/textual/tokenizer_config.json   of it `pad_token` is read

FOLDER/visual.onnx, FOLDER/textual.onnx                the pair of rclip: CLIP's tokens and colours
FOLDER/tokenizer/bpe_simple_vocab_16e6.txt.gz          or in the folder above
```

Nothing here needs torch. Source: the repositories `immich-app/…` on Hugging Face and the code of
immich that reads them; rclip 4.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.core.resize import Resize
from retrieval.errors import ModelUnavailable
from retrieval.models.preprocess import ImageSpec

HUB = "hf-hub:"
CONTEXT = 77
"""Tokens of a text, where the config does not say."""

_IMAGE, _TEXT = "visual", "textual"
_VOCABULARY = Path("tokenizer", "bpe_simple_vocab_16e6.txt.gz")
_CLIP = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}


@dataclass(frozen=True, kw_only=True)
class OnnxPair:
    """The files of a model.

    Attributes:
        name: what a person calls it.
        visual: the image tower.
        textual: the text tower.
        tokenizer: `tokenizer.json`, or the vocabulary of CLIP (`.txt.gz`).
        pad_token: fills a text up to `context`; empty for the token 0.
        context: tokens of a text at most.
        canonical: whether texts lose punctuation and capitals first, as SigLIP's do.
        settings: the small files that decide about vectors, too.
    """

    name: str
    visual: Path
    textual: Path
    tokenizer: Path
    pad_token: str
    context: int
    canonical: bool
    preprocessing: dict[str, Any]
    settings: tuple[Path, ...]

    def image(self, size: int) -> ImageSpec:
        """Return how photos are prepared.

        Args:
            size: pixels a side that the graph takes; the settings may name it, too.

        Raises:
            ModelUnavailable: the settings are of another kind.
        """
        said = self.preprocessing
        try:
            return ImageSpec(
                size=_side(said["size"]) if "size" in said else size,
                resize=Resize(said.get("resize_mode", Resize.SHORTEST)),
                interpolation=str(said.get("interpolation", "bicubic")),
                mean=_three(said.get("mean", _CLIP["mean"])),
                std=_three(said.get("std", _CLIP["std"])),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelUnavailable(
                f"the model '{self.name}' has a wrong preprocess_cfg.json: {error}"
            ) from error

    @property
    def files(self) -> list[Path]:
        """All that decides about its vectors.

        The weights of a large graph lie beside it under any names: a folder of one tower counts
        whole.
        """
        apart = self.visual.parent != self.textual.parent
        beside = {
            file
            for tower in (self.visual, self.textual)
            for file in tower.parent.iterdir()
            if file.is_file() and (apart or file.name.startswith(tower.name))
        }
        return sorted({*beside, self.tokenizer, *self.settings})

    def fingerprint(self) -> str:
        """Return a short hash of every byte of its files."""
        digest = hashlib.blake2b(digest_size=16)
        for path in self.files:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        return digest.hexdigest()


def onnx_pair_of(spec: str) -> OnnxPair | None:
    """Return the pair of ONNX files that a model's spec names; None if it names another model.

    Args:
        spec: a folder, or `hf-hub:ORG/NAME` whose files are in the cache of Hugging Face.

    Raises:
        ModelUnavailable: a file of the pair is missing or broken.
    """
    if not spec.startswith(HUB):
        folder = Path(spec).expanduser()
        return read_onnx_pair(folder, str(folder.resolve())) if is_onnx_pair(folder) else None
    from retrieval.models.hub import cached_repository

    cached = cached_repository(spec.removeprefix(HUB))
    return read_onnx_pair(cached, spec) if cached and is_onnx_pair(cached) else None


def is_onnx_pair(folder: Path) -> bool:
    """Tell whether a folder holds a pair of ONNX files in one of the two layouts."""
    return (folder / _IMAGE / "model.onnx").is_file() or (folder / f"{_IMAGE}.onnx").is_file()


def read_onnx_pair(folder: Path, name: str) -> OnnxPair:
    """Read what a folder with a pair of ONNX files says of the model.

    Raises:
        ModelUnavailable: a file is missing or broken; the message names it.
    """
    try:
        return _nested(folder, name) if (folder / _IMAGE).is_dir() else _flat(folder, name)
    except FileNotFoundError as error:
        raise ModelUnavailable(f"the model '{name}' lacks '{error.filename}'") from error
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ModelUnavailable(f"the model '{name}' cannot be read: {error}") from error


def _nested(folder: Path, name: str) -> OnnxPair:
    """Read the layout of immich."""
    visual, textual = folder / _IMAGE, folder / _TEXT
    config, tokenizer_config = folder / "config.json", textual / "tokenizer_config.json"
    preprocessing = visual / "preprocess_cfg.json"
    text = _json(config)["text_cfg"]
    kwargs = text.get("tokenizer_kwargs") or {}
    return OnnxPair(
        name=name,
        visual=_there(visual / "model.onnx"),
        textual=_there(textual / "model.onnx"),
        tokenizer=_there(textual / "tokenizer.json"),
        pad_token=_token(_json(tokenizer_config).get("pad_token", "")),
        context=int(text.get("context_length", CONTEXT)),
        canonical=kwargs.get("clean") == "canonicalize",
        preprocessing=_json(preprocessing),
        settings=(config, tokenizer_config, preprocessing),
    )


def _flat(folder: Path, name: str) -> OnnxPair:
    """Read the layout of rclip."""
    places = [folder / _VOCABULARY, folder.parent / _VOCABULARY, folder / _VOCABULARY.name]
    return OnnxPair(
        name=name,
        visual=_there(folder / f"{_IMAGE}.onnx"),
        textual=_there(folder / f"{_TEXT}.onnx"),
        tokenizer=next(filter(Path.is_file, places), None) or _there(places[0]),
        pad_token="",
        context=CONTEXT,
        canonical=False,
        preprocessing={},
        settings=(),
    )


def _there(file: Path) -> Path:
    """Return a file that must be there."""
    if not file.is_file():
        raise FileNotFoundError(2, "no such file", str(file))
    return file


def _json(file: Path) -> dict[str, Any]:
    """Read a JSON object."""
    plain = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(plain, dict):
        raise TypeError(f"'{file}' holds no object")
    return plain


def _token(said: Any) -> str:
    """Return a token that a config names, as text or as an object with its text."""
    return str(said["content"]) if isinstance(said, dict) else str(said)


def _side(size: Any) -> int:
    """Return a side in pixels from a number or a pair of them."""
    return int(size[0] if isinstance(size, list) else size)


def _three(said: Any) -> tuple[float, float, float]:
    """Return one number for each colour."""
    first, second, third = map(float, _each(said))
    return first, second, third


def _each(said: Any) -> Iterator[Any]:
    """Return a number for each colour from three, or from one for all."""
    return iter(said if isinstance(said, (list, tuple)) else [said] * 3)
