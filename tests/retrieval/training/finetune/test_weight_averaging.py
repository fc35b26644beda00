"""The mean of models' weights, against the mean computed from the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from indexer.core.errors import UsageError
from retrieval._enums import WeightStorage
from retrieval.errors import ModelUnavailable
from retrieval.models import load_encoder, load_model
from retrieval.models.checkpoint import save_checkpoint, unpack
from retrieval.training.finetune.weight_averaging import blend, write_blend
from tests.tiny import tiny_model


@pytest.fixture
def three(tmp_path: Path) -> list[str]:
    """Three models in the three storages."""
    for seed, storage in enumerate(WeightStorage):
        model = tiny_model(tmp_path / f"{seed}", seed)
        save_checkpoint(model, tmp_path / f"{seed}", storage)
    return [str(tmp_path / f"{seed}") for seed in range(3)]


def state(folder: str | Path) -> dict[str, Tensor]:
    """The weights in a folder, as float32."""
    return unpack(load_file(Path(folder) / "model.safetensors"))


def test_a_soup_is_the_mean_whatever_the_storage(three: list[str], tmp_path: Path) -> None:
    shares = (0.5, 0.25, 0.25)
    write_blend(three, shares, tmp_path / "soup", WeightStorage.FLOAT32)
    parts = [state(folder) for folder in three]
    for name, weight in state(tmp_path / "soup").items():
        stacked = torch.stack([part[name].double() for part in parts])
        wanted = torch.tensordot(torch.tensor(shares, dtype=torch.float64), stacked, dims=1)
        torch.testing.assert_close(weight.double(), wanted, atol=1e-6, rtol=1e-6)
    record = json.loads((tmp_path / "soup" / "train.json").read_text())
    assert [part["model"] for part in record["blend"]] == ["0", "1", "2"]
    assert [part["share"] for part in record["blend"]] == list(shares)
    assert record["blend"][1]["fingerprint"] == load_model(three[1]).fingerprint
    assert record["storage"] == "float32"
    assert load_encoder(str(tmp_path / "soup"), "cpu").dim == 16


@pytest.mark.parametrize("storage", list(WeightStorage))
def test_both_ends_are_the_models_themselves(
    three: list[str], tmp_path: Path, storage: WeightStorage
) -> None:
    for number, shares in enumerate([(1.0, 0.0), (0.0, 1.0)]):
        model = blend([load_model(spec) for spec in three[:2]], shares)
        whole = state(three[number])
        for name, weight in model.module.state_dict().items():
            assert torch.equal(weight, whole[name])
        save_checkpoint(model, tmp_path / f"end{number}", storage)
        save_checkpoint(load_model(three[number]), tmp_path / f"same{number}", storage)
        first, second = (
            (tmp_path / f"{name}{number}" / "model.safetensors").read_bytes()
            for name in ("end", "same")
        )
        assert first == second


def test_a_share_of_zero_does_not_read_weights_that_are_no_numbers(three: list[str]) -> None:
    good, bad = load_model(three[0]), load_model(three[1])
    with torch.no_grad():
        bad.module.logit_scale.fill_(torch.nan)
    assert blend([good, bad], [1.0, 0.0]).module.logit_scale.isfinite()


def test_other_architectures_are_refused(three: list[str], tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"architectures \(text\.blocks\.0\.attn\.proj\.bias is 32 and 384\)"
    ):
        blend([load_model(three[0]), load_model("builtin")], [0.5, 0.5])
    changed = json.loads((Path(three[1]) / "config.json").read_text())
    changed["image"]["mean"] = [0.1, 0.1, 0.1]
    (Path(three[1]) / "config.json").write_text(json.dumps(changed))
    with pytest.raises(ModelUnavailable, match="prepare photos differently"):
        blend([load_model(spec) for spec in three[:2]], [0.5, 0.5])


@pytest.mark.parametrize("shares", [(0.5,), (0.5, 0.6), (-0.5, 1.5), (float("nan"), 0.5)])
def test_shares_that_are_no_mean_are_refused(three: list[str], shares: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="weights"):
        blend([load_model(spec) for spec in three[:2]], shares)


def test_a_model_is_not_overwritten(three: list[str]) -> None:
    with pytest.raises(UsageError, match="holds a model already"):
        write_blend(three[:2], (0.5, 0.5), Path(three[2]), WeightStorage.INT8)
