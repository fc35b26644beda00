"""The models that twinlens recommends, and their short names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from indexer.core.errors import UsageError
from retrieval._resources import resource
from retrieval.errors import ModelUnavailable
from retrieval.models.model_folder import BUILTIN
from retrieval.models.onnx_pair import HUB, onnx_pair_of

ONNX_OWNER = f"{HUB}immich-app/"
"""Whose repositories all are pairs of ONNX files."""


@dataclass(frozen=True, kw_only=True)
class RecommendedModel:
    """What `data/models.toml` says of a model.

    Attributes:
        name: the short name.
        spec: what the name stands for.
        suits: the machine or the need that it suits.
        megabytes: what is fetched.
        licence: of the weights.
        languages: of the queries.
        recall: percent of captions of COCO 5K whose photo comes first, zero-shot, as published;
            None where nothing is published.
        source: of `recall`.
    """

    name: str
    spec: str
    suits: str
    megabytes: int
    licence: str
    languages: str
    recall: float | None = None
    source: str = ""

    @property
    def is_here(self) -> bool:
        """Return whether it can be used without a download."""
        if self.spec == BUILTIN:
            return True
        try:
            return onnx_pair_of(self.spec) is not None
        except ModelUnavailable:
            return False


@cache
def recommended_models() -> tuple[RecommendedModel, ...]:
    """Return the recommended models, in the order of the file."""
    import tomllib  # most searches name no short name, and do without

    plain = tomllib.loads(resource("models.toml").read_text(encoding="utf-8"))
    return tuple(RecommendedModel(name=name, **entry) for name, entry in plain.items())


def spec_of(named: str) -> str:
    """Return what a short name stands for; any other spec as it is.

    A folder of such a name is meant by `./NAME`.
    """
    if named == BUILTIN or "/" in named:
        return named
    return next((each.spec for each in recommended_models() if each.name == named), named)


def to_be_fetched(named: str) -> str:
    """Return the repository of the hub that a short name or `hf-hub:ORG/NAME` stands for.

    Raises:
        UsageError: there is nothing to fetch under that name; near names are named.
    """
    spec = spec_of(named)
    if spec == BUILTIN:
        raise UsageError("the built-in model ships with twinlens; there is nothing to fetch")
    owner, _, name = spec.removeprefix(HUB).partition("/")
    if spec.startswith(HUB) and owner and name and "/" not in name:
        return spec.removeprefix(HUB)
    from difflib import get_close_matches

    names = [each.name for each in recommended_models() if each.spec != BUILTIN]
    near = get_close_matches(named.lower(), names, n=2)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UsageError(
        f"no model '{named}' to fetch{meant or ';'} the names are {', '.join(names)}, or give "
        "hf-hub:ORG/NAME of a pair of ONNX files"
    )


def reads_english_alone(spec: str) -> bool:
    """Return whether a model is a recommended one that reads no other language."""
    return any(each.spec == spec and each.languages == "English" for each in recommended_models())


def is_pair_on_hub(spec: str) -> bool:
    """Return whether a spec names a repository that is known to be a pair of ONNX files."""
    if not spec.startswith(HUB):
        return False
    return spec.startswith(ONNX_OWNER) or spec in {each.spec for each in recommended_models()}


def require_here(spec: str) -> None:
    """Refuse a pair of ONNX files on the hub that was not fetched yet; other models pass.

    Args:
        spec: of a model whose files `onnx_pair_of` does not find.

    Raises:
        ModelUnavailable: says how to fetch it.
    """
    if not is_pair_on_hub(spec):
        return
    known = next((each for each in recommended_models() if each.spec == spec), None)
    size = f" ({known.megabytes / 1000:.1f} GB)" if known else ""
    raise ModelUnavailable(
        f"the model '{spec}' is not downloaded yet; download it{size} with: "
        f"twinlens models fetch {known.name if known else spec}"
    )


def carried(folder: Path) -> str:
    """Explain how to copy a model from the cache to a machine without a network."""
    return f"copy '{folder}' there, following its links (cp -rL), and name the copy with --model"
