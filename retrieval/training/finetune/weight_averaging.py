"""Average the weights of several models of the same architecture.

The mean of a model and its fine-tuned version keeps most of what each knows (WiSE-FT). The mean of
several versions fine-tuned from one start is usually better than each (model soup). Models that did
not start from the same weights have no useful mean.

Source: Wortsman et al. 2022 (WiSE-FT, arXiv 2109.01903); Wortsman et al. 2022 (model soups, arXiv
2203.05482).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from indexer.core.errors import UsageError
from retrieval._enums import WeightStorage
from retrieval.errors import ModelUnavailable
from retrieval.models import load_model
from retrieval.models.checkpoint import save_checkpoint
from retrieval.models.loaded_model import Model, fingerprint
from retrieval.models.model_folder import CONFIG, RECORD
from retrieval.output_files import write_json


def blend(models: Sequence[Model], shares: Sequence[float]) -> Model:
    """Return the model whose weights are the weighted mean of these models' weights, in float32.

    A share of 1 gives that model's weights exactly. What is no floating-point number (a counter,
    a table of positions) comes from the first model.

    Args:
        models: of one architecture and preprocessing, on one device.
        shares: of each model, from 0 to 1, their sum 1.

    Raises:
        UsageError: the shares are no such numbers.
        ModelUnavailable: the models differ in architecture or preprocessing.
    """
    _check_shares(models, shares)
    for other in models[1:]:
        _check_alike(models[0], other)
    used = [(m, share) for m, share in zip(models, shares, strict=True) if share > 0.0]
    states = [(model.module.state_dict(), share) for model, share in used]
    module = copy.deepcopy(models[0].module)
    module.load_state_dict(
        {name: _mean(tensor, name, states) for name, tensor in module.state_dict().items()}
    )
    return replace(
        models[0],
        name=" + ".join(f"{share:g} {model.name}" for model, share in used),
        module=module,
        fingerprint=fingerprint(models[0].architecture, module),
    )


def _mean(first: Tensor, name: str, states: Sequence[tuple[dict[str, Tensor], float]]) -> Tensor:
    """Average one tensor over the models."""
    if not first.is_floating_point():
        return first
    total = torch.zeros_like(first, dtype=torch.float32)
    for state, share in states:
        total += share * state[name].float()
    return total


def _check_shares(models: Sequence[Model], shares: Sequence[float]) -> None:
    """Refuse shares that are no weighted mean."""
    if len(models) != len(shares):
        raise UsageError(f"{len(models)} models need as many weights, not {len(shares)}")
    if not all(0.0 <= share <= 1.0 for share in shares) or not math.isclose(
        sum(shares), 1.0, abs_tol=1e-6
    ):
        listed = ", ".join(f"{share:g}" for share in shares)
        raise UsageError(f"weights must lie between 0 and 1 and add up to 1, not {listed}")


def _check_alike(first: Model, other: Model) -> None:
    """Refuse models whose weights do not mean the same."""
    here, there = first.module.state_dict(), other.module.state_dict()
    odd = [name for name in here.keys() | there.keys() if _shape(here, name) != _shape(there, name)]
    if odd:
        name = min(odd)
        raise ModelUnavailable(
            f"'{first.name}' and '{other.name}' have different architectures ({name} is "
            f"{_shape(here, name)} and {_shape(there, name)}); blend models trained from one start"
        )
    if first.image != other.image:
        raise ModelUnavailable(
            f"'{first.name}' and '{other.name}' prepare photos differently ({first.image} and "
            f"{other.image}); blend models trained from one start"
        )


def _shape(state: dict[str, Tensor], name: str) -> str:
    """Write a tensor's shape for a person."""
    return " x ".join(map(str, state[name].shape)) or "a number" if name in state else "missing"


def write_blend(
    specs: Sequence[str], shares: Sequence[float], out: Path, storage: WeightStorage
) -> None:
    """Blend models by their specs into a folder, with a `train.json` that says of what.

    Raises:
        UsageError: the shares are no weighted mean, or `out` holds a model already.
        ModelUnavailable: a model cannot be loaded, or they do not fit each other.
    """
    if (out / CONFIG).exists():
        raise UsageError(f"'{out}' holds a model already; choose another --out or remove it")
    models = [load_model(spec) for spec in specs]
    save_checkpoint(blend(models, shares), out, storage)
    parts = [
        {"model": Path(spec).name, "fingerprint": model.fingerprint, "share": share}
        for spec, model, share in zip(specs, models, shares, strict=True)
    ]
    record = {"blend": parts, "storage": storage}
    write_json(out / RECORD, record)
