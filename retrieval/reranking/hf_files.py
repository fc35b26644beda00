"""Find the files of a large reranker: in a folder, in the hub's cache, or on the hub.

They are the files that `save_pretrained` of a model and of its processor writes.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download

from retrieval.errors import ModelUnavailable
from retrieval.models.hub import FAILURES, from_cache_or_hub

MATCHING, YES_NO = "BlipForImageTextRetrieval", "Qwen3VLForConditionalGeneration"

_EXAMPLES = {MATCHING: "Salesforce/blip-itm-base-coco", YES_NO: "Qwen/Qwen3-VL-Reranker-2B"}
_TYPES = {"blip": MATCHING, "qwen3_vl": YES_NO}
_CONFIG = "config.json"
_WHOLE, _INDEX, _OLD = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
_FETCHED = ["*.json", "*.jinja", "*.txt", "model*.safetensors"]


def find_large(spec: str) -> Path:
    """Return the folder of a reranker, once it is of a supported class and complete.

    Args:
        spec: a folder, or an id on the hub (`ORG/NAME`), which is fetched once.

    Raises:
        ModelUnavailable: the package transformers is missing, or the model, or one of its files;
            or it is of another class; or the hub would have to be asked, and cannot be.
    """
    if find_spec("transformers") is None:
        raise ModelUnavailable(
            f"the reranker '{spec}' is read with the package transformers; install it with: "
            "pip install 'twinlens[transformers]', or search with --no-rerank"
        )
    folder = Path(spec).expanduser()
    if folder.is_dir():
        class_of(folder)
        return _complete(folder)
    if spec.count("/") != 1 or spec.startswith((".", "~", "/")):
        raise ModelUnavailable(
            f"no reranker '{spec}': use 'builtin', a folder that `twinlens train-reranker` wrote, "
            "or a folder or hub id (ORG/NAME) of Hugging Face Transformers"
        )
    return _fetched(spec)


def class_of(folder: Path) -> str:
    """Return `MATCHING` or `YES_NO`, as the model's config tells.

    Raises:
        ModelUnavailable: it is of another class, or the config cannot be read.
    """
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailable(
            f"no reranker at '{folder}': it has neither reranker.json, as `twinlens "
            f"train-reranker` writes, nor {_CONFIG}, as Hugging Face Transformers does"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"'{folder / _CONFIG}' cannot be read: {error}") from error
    plain = config if isinstance(config, dict) else {}
    kernel = _kernel(plain)
    if kernel:
        raise ModelUnavailable(
            f"'{folder / _CONFIG}' asks for the code of '{kernel}', which twinlens never runs; "
            "remove attn_implementation from it"
        )
    kind = plain.get("model_type")
    names = plain.get("architectures") or [_TYPES.get(str(kind), kind)]
    known = next((name for name in names if name in _EXAMPLES), None)
    if known is None:
        supported = " and ".join(f"{name} (such as {eg})" for name, eg in _EXAMPLES.items())
        raise ModelUnavailable(
            f"'{folder}' holds {names[0] or 'an architecture without a name'}; rerankers of "
            f"Hugging Face Transformers are {supported}"
        )
    return str(known)


def _kernel(value: object) -> str:
    """Name the repository whose code a config wants to compute attention with; "" for none."""
    if isinstance(value, list):
        return next(filter(None, map(_kernel, value)), "")
    if not isinstance(value, dict):
        return ""
    wanted = [value.get(key) for key in ("attn_implementation", "_attn_implementation")]
    named = (each for each in wanted if isinstance(each, str) and "/" in each)
    return next(named, "") or _kernel([*value.values()])


def _fetched(repository: str) -> Path:
    """Return the folder of a repository of the hub; its class is told before its weights come."""
    try:
        config = from_cache_or_hub(lambda: hf_hub_download(repository, _CONFIG))
        class_of(Path(config).parent)
        return from_cache_or_hub(lambda: _snapshot(repository))
    except FAILURES as error:
        said = " ".join(str(error).split())
        raise ModelUnavailable(
            f"cannot fetch the reranker '{repository}': not all of its files are here, and {said}; "
            "copy them into a folder and name that, or into the Hugging Face cache (HF_HOME), or "
            "search with --no-rerank"
        ) from error


def _snapshot(repository: str) -> Path:
    """Return what the cache or the hub has of a repository, if that is all it takes."""
    folder = Path(snapshot_download(repository, allow_patterns=_FETCHED))
    if not any((folder / name).exists() for name in (_WHOLE, _INDEX)):
        folder = Path(snapshot_download(repository, allow_patterns=[*_FETCHED, _OLD]))
    lacks = _lacking(folder)
    if lacks:
        raise FileNotFoundError(f"it lacks {lacks}")
    return folder


def _complete(folder: Path) -> Path:
    """Return a folder that has all it takes."""
    lacks = _lacking(folder)
    if lacks:
        raise ModelUnavailable(
            f"the reranker in '{folder}' lacks {lacks}; copy all files of its repository there"
        )
    return folder


def _lacking(folder: Path) -> str:
    """Name the first file that a folder lacks; "" for none."""
    wanted: list[tuple[str, ...]] = [
        ("processor_config.json", "preprocessor_config.json"),
        ("tokenizer.json", "vocab.txt", "vocab.json"),
        (_WHOLE, _INDEX, _OLD),
        *((shard,) for shard in _shards(folder / _INDEX)),
    ]
    absent = (names for names in wanted if not any((folder / name).is_file() for name in names))
    return " or ".join(next(absent, ()))


def _shards(index: Path) -> list[str]:
    """Return the files that an index of weights names; what is wrong with it, loading says."""
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
