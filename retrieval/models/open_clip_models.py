"""Load open_clip models: any architecture with a pretrained tag, a local file, or from the hub."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import open_clip
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from torch import Tensor, nn

from indexer.core.resize import Resize
from retrieval.errors import ModelUnavailable
from retrieval.models.data_only import data_only
from retrieval.models.hub import FAILURES, HubUnavailable, from_cache_or_hub, unlogged
from retrieval.models.loaded_model import Model, fingerprint
from retrieval.models.preprocess import ImageSpec

_HUB = "hf-hub:"
_FORCED, _FORBIDDEN = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_NO_WEIGHTS = (SafetensorError, EOFError, AttributeError, TypeError, IndexError, StopIteration)
"""What open_clip and torch raise for a file that holds something else."""

_NEXT = "or use the model that ships with twinlens: --model builtin"


def load_open_clip(spec: str) -> Model:
    """Load `ARCH/TAG`, `ARCH/FILE` or `hf-hub:ORG/NAME`.

    Raises:
        ModelUnavailable: unknown architecture or tag, or weights that are not here and cannot
            be fetched; the message names the file, why, where to put it and the alternative.
    """
    if spec.startswith(_HUB):
        architecture, pretrained = spec, None
    else:
        architecture, _, tag = spec.partition("/")
        pretrained = _check_weights(architecture, tag)
    try:
        with unlogged(), data_only(), _weights_alone():
            module, preprocess = from_cache_or_hub(lambda: _create(architecture, pretrained))
    except UnpicklingError as error:
        raise ModelUnavailable(_pickled(pretrained or spec)) from error
    except (*FAILURES, *_NO_WEIGHTS) as error:
        raise ModelUnavailable(_missing(spec, architecture, pretrained, error)) from error
    return _wrap(spec, architecture, module, preprocess, _load_tokenizer(architecture))


@contextmanager
def _weights_alone() -> Iterator[None]:
    """Let torch read nothing but weights from a pickle, whatever open_clip asks it for."""
    before = {name: os.environ.pop(name, None) for name in (_FORCED, _FORBIDDEN)}
    os.environ[_FORCED] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle that is refused all the same
            yield
    finally:
        del os.environ[_FORCED]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _pickled(source: str) -> str:
    """Say why a pickle is not read."""
    return (
        f"'{source}' is damaged or contains more than weights. It is a pickle, which can run "
        "programs, so twinlens reads nothing but weights from it; use weights in the format "
        f"safetensors, {_NEXT}"
    )


def _create(architecture: str, pretrained: str | None) -> tuple[nn.Module, Any]:
    """Make a model with its weights, and its preprocessing."""
    local = pretrained is not None and Path(pretrained).is_file()
    agreed = _agreed_preprocessing(architecture) if local else {}
    module, preprocess = open_clip.create_model_from_pretrained(
        architecture,
        pretrained,
        image_mean=agreed.get("mean"),
        image_std=agreed.get("std"),
        image_interpolation=agreed.get("interpolation"),
        image_resize_mode=agreed.get("resize_mode"),
    )
    return module, preprocess


def _agreed_preprocessing(architecture: str) -> dict[str, Any]:
    """Return the preprocessing on which all tags of an architecture agree; none if they do not.

    open_clip knows it by the tag. A file of weights has no tag, and SigLIP's, say, would be read
    with the colours and the crop of CLIP.
    """
    keys = ("mean", "std", "interpolation", "resize_mode")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    known = [open_clip.get_pretrained_cfg(architecture, tag) for tag in tags]
    found = [{key: each[key] for key in keys if key in each} for each in known]
    return found[0] if found and all(each == found[0] for each in found) else {}


def build_architecture(name: str) -> tuple[nn.Module, Any, int]:
    """Make an open_clip model for weights of one's own, its tokenizer and its dimension.

    Raises:
        ModelUnavailable: open_clip does not know the architecture, or its files are not here and
            cannot be fetched.
    """
    if not name.startswith(_HUB):
        _check_architecture(name)
    try:
        with unlogged(), data_only():
            module = from_cache_or_hub(lambda: open_clip.create_model(name, pretrained=None))
    except FAILURES as error:
        raise ModelUnavailable(f"cannot build {name}: {_line(error)}; {_NEXT}") from error
    tokenize = _Tokenizer(_load_tokenizer(name))
    return module, tokenize, _dim(module, tokenize)


def _load_tokenizer(architecture: str) -> Any:
    """Return open_clip's tokenizer of an architecture; some are files on the hub."""
    try:
        with unlogged(), data_only():
            return from_cache_or_hub(lambda: open_clip.get_tokenizer(architecture))
    except FAILURES as error:
        config = open_clip.get_model_config(architecture) or {}
        named = config.get("text_cfg", {}).get("hf_tokenizer_name") or architecture
        raise ModelUnavailable(
            f"cannot load the tokenizer of {architecture}: {_line(error)}; put the files of "
            f"'{named}' into the Hugging Face cache (HF_HOME), {_NEXT}"
        ) from error


class _Tokenizer:
    """open_clip's tokenizers, called with any sequence of texts."""

    def __init__(self, tokenizer: Any) -> None:
        self.plain = tokenizer

    @property
    def cuts_words(self) -> bool:
        """Return whether it is that of English, which cuts the words that it does not know."""
        return isinstance(self.plain, open_clip.SimpleTokenizer)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        ids: Tensor = self.plain(list(texts))
        return ids


def _wrap(
    spec: str, architecture: str, module: nn.Module, preprocess: Any, tokenizer: Any
) -> Model:
    """Bring an open_clip model into the form that training and encoding share."""
    module.eval()
    tokenize = _Tokenizer(tokenizer)
    description = {"family": "open_clip", "name": _known_as(architecture)}
    return Model(
        name=spec,
        module=module,
        tokenize=tokenize,
        preprocess=preprocess,
        image=_image_spec(module),
        architecture=description,
        dim=_dim(module, tokenize),
        fingerprint=fingerprint(description, module),
    )


def _known_as(architecture: str) -> str:
    """Return open_clip's own name for the architecture of a repository, else the repository.

    What was trained from it then loads without the repository.
    """
    file = None
    if architecture.startswith(_HUB):
        file = try_to_load_from_cache(architecture.removeprefix(_HUB), "open_clip_config.json")
    if not isinstance(file, str):
        return architecture
    config = json.loads(Path(file).read_text(encoding="utf-8"))["model_cfg"]
    same = (name for name in open_clip.list_models() if open_clip.get_model_config(name) == config)
    return next(same, architecture)


def _image_spec(module: Any) -> ImageSpec:
    """Read the preprocessing that the architecture was trained with."""
    config = open_clip.transform.PreprocessCfg(**module.visual.preprocess_cfg)
    size = config.size if isinstance(config.size, int) else config.size[0]
    return ImageSpec(
        size=size,
        resize=Resize(config.resize_mode),
        interpolation=config.interpolation,
        mean=tuple(config.mean),
        std=tuple(config.std),
    )


@torch.no_grad()
def _dim(module: Any, tokenize: _Tokenizer) -> int:
    """Return the length of the joint vectors, by asking the text tower."""
    return int(module.encode_text(tokenize(["a"])).shape[1])


def _check_architecture(name: str) -> None:
    """Refuse an architecture that open_clip lacks, naming near ones."""
    known = open_clip.list_models()
    if name not in known:
        near = [model for model in known if model.lower().startswith(name.lower()[:6])][:6]
        hint = f"; near ones: {', '.join(near)}" if near else ""
        raise ModelUnavailable(f"open_clip has no architecture '{name}'{hint}; {_NEXT}")
    text = open_clip.get_model_config(name)["text_cfg"]
    if {"hf_tokenizer_name", "hf_model_name"} & text.keys() and not find_spec("transformers"):
        raise ModelUnavailable(
            f"{name} reads its texts with the package transformers; install it with: "
            f"pip install 'twinlens[transformers]', {_NEXT}"
        )


def _check_weights(architecture: str, tag: str) -> str:
    """Return the pretrained tag or file, once it is known to exist."""
    _check_architecture(architecture)
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag in tags:
        return tag
    path = Path(tag).expanduser()
    if tag and path.is_file():
        return str(path)
    if os.sep in tag or path.suffix in {".pt", ".bin", ".safetensors"}:
        raise ModelUnavailable(
            f"no weights at '{path}' for {architecture}; put them there, {_NEXT}"
        )
    listed = ", ".join(tags[:8]) or "none; give a file: " + architecture + "/weights.safetensors"
    wanted = f"no weights '{tag}'" if tag else "named without weights"
    raise ModelUnavailable(f"{architecture}: {wanted}; known tags: {listed}; {_NEXT}")


def _missing(spec: str, architecture: str, pretrained: str | None, error: Exception) -> str:
    """Say which file was wanted, where to put it, and what to use instead."""
    if pretrained is not None and Path(pretrained).is_file():
        cause = error.__cause__ if isinstance(error, HubUnavailable) else error
        return f"'{pretrained}' does not hold weights of {architecture}: {_line(cause)}; {_NEXT}"
    if pretrained is None:
        repository = spec.removeprefix(_HUB)
    else:
        wanted = open_clip.get_pretrained_cfg(architecture, pretrained)
        repository = wanted.get("hf_hub", "").rstrip("/") or wanted.get("url", "")
    put = (
        "put the repository's files into the Hugging Face cache (HF_HOME)"
        if pretrained is None
        else f"put it anywhere and use --model {architecture}/PATH/open_clip_model.safetensors"
    )
    return (
        f"cannot fetch '{spec}': open_clip_model.safetensors (or open_clip_pytorch_model.bin) of "
        f"'{repository}' is not here, and {_line(error)}; {put}, {_NEXT}"
    )


def _line(error: BaseException | None) -> str:
    """Return what an error says as one line."""
    return " ".join(str(error).split()) or type(error).__name__
