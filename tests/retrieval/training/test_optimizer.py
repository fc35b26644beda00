"""Learning rates by layer, the schedule, and weights that follow their masters."""

from __future__ import annotations

import math
from pathlib import Path

import open_clip
import pytest
import torch

from retrieval._enums import Precision
from retrieval.models.dual_encoder import DualEncoder, DualEncoderConfig
from retrieval.training.config import TrainConfig
from retrieval.training.optimizer import (
    Trainer,
    freeze_bottom,
    layer_depths,
    learning_rates,
    schedule,
)
from tests.tiny import CONFIG
from tests.tiny_clip import TINY_CLIP


def config(**changes: object) -> TrainConfig:
    return TrainConfig(**{"pairs": (Path("p"),), "out": Path("o"), **changes})


def test_layers_are_counted_from_the_top_in_our_towers() -> None:
    names = [name for name, _ in DualEncoder(DualEncoderConfig(dim=8, hidden=8)).named_parameters()]
    depths = layer_depths(names)
    assert depths["visual.head.linear.weight"] == 0
    assert depths["visual.blocks.11.attn.qkv.weight"] == 0
    assert depths["visual.blocks.0.attn.qkv.weight"] == 11
    assert depths["visual.patch_embed.weight"] == 12
    assert depths["text.blocks.0.norm1.bias"] == 5
    assert depths["text.embed.weight"] == 6
    assert depths["logit_scale"] == 0


@pytest.mark.parametrize(
    ("share", "frozen"),
    [
        (0.0, set()),
        (0.5, {"0", "below"}),
        (0.4, {"below"}),
    ],
)
def test_the_lowest_layers_may_be_frozen(share: float, frozen: set[str]) -> None:
    towers = DualEncoder(CONFIG)  # two layers each
    freeze_bottom(towers, share)
    for name, parameter in towers.named_parameters():
        place = name.split(".")[2] if ".blocks." in name else "above"
        if name.startswith(
            ("visual.patch", "visual.cls", "visual.pos", "text.embed", "text.pos", "text.norm")
        ):
            place = "below"
        assert parameter.requires_grad == (place not in frozen), name


def test_frozen_layers_stay_bit_for_bit() -> None:
    towers = DualEncoder(CONFIG)
    before = {name: weight.clone() for name, weight in towers.state_dict().items()}
    trainer = Trainer(towers, config(freeze=0.5, lr=1.0))
    pixels = torch.randn(2, 3, 32, 32)
    (
        towers.encode_image(pixels).sum() + towers.encode_text(torch.ones(2, 3).long()).sum()
    ).backward()
    trainer.step(1.0)
    changed = {n for n, weight in towers.state_dict().items() if not torch.equal(weight, before[n])}
    assert "visual.blocks.1.mlp.fc1.weight" in changed
    assert "text.head.linear.weight" in changed
    assert not {name for name in changed if ".blocks.0." in name or "embed" in name}
    assert trainer.averaged().keys() >= changed


def test_layers_are_counted_from_the_top_in_open_clips_towers() -> None:
    model = open_clip.create_model(TINY_CLIP, pretrained=None)
    depths = layer_depths([name for name, _ in model.named_parameters()])
    assert depths["visual.transformer.resblocks.1.attn.in_proj_weight"] == 0
    assert depths["visual.transformer.resblocks.0.attn.in_proj_weight"] == 1
    assert depths["visual.conv1.weight"] == 2
    assert depths["visual.proj"] == 0
    assert depths["transformer.resblocks.2.ln_1.weight"] == 0
    assert depths["token_embedding.weight"] == 3
    assert depths["text_projection"] == 0


def test_towers_and_heads_have_rates_of_their_own() -> None:
    names = [
        "visual.blocks.1.x",
        "visual.blocks.0.x",
        "text.blocks.0.x",
        "text.head.x",
        "logit_scale",
    ]
    rates = learning_rates(names, config(lr=1.0, text_lr=2.0, head_lr=8.0, layer_decay=0.5))
    assert rates["visual.blocks.1.x"] == 1.0
    assert rates["visual.blocks.0.x"] == 0.5
    assert rates["text.blocks.0.x"] == 2.0
    assert rates["text.head.x"] == 8.0


def test_the_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    factors = [schedule(step, steps=10, warmup=0.2) for step in range(10)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[6] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert factors[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))


@pytest.mark.parametrize("precision", list(Precision))
def test_the_working_weights_are_the_masters_rounded(precision: Precision) -> None:
    torch.manual_seed(0)
    trainer = Trainer(DualEncoder(CONFIG), config(precision=precision, ema=0.5))
    before = {name: weight.detach().clone() for name, weight in trainer.masters.items()}
    for parameter in trainer.parameters():
        parameter.grad = torch.ones_like(parameter)
    trainer.step(1.0)
    for name, master in trainer.masters.items():
        assert master.dtype == torch.float32
        assert not torch.equal(master, before[name])
        assert torch.equal(trainer.working[name], master.to(trainer.working[name].dtype))
        torch.testing.assert_close(trainer.average[name], (before[name] + master.detach()) / 2)


@pytest.mark.parametrize("precision", list(Precision))
def test_batch_norms_keep_their_statistics(precision: Precision) -> None:
    torch.manual_seed(0)
    towers = DualEncoder(CONFIG)
    towers.visual.norm = torch.nn.Sequential(Transposed(48))
    trainer = Trainer(towers.train(), config(precision=precision))
    before = {name: value.clone() for name, value in towers.named_buffers()}
    towers.encode_image(torch.randn(4, 3, 32, 32).to(trainer.dtype)).sum().backward()
    trainer.step(1.0)
    assert set(before) == {
        f"visual.norm.0.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert all(torch.equal(value, before[name]) for name, value in towers.named_buffers())


class Transposed(torch.nn.BatchNorm1d):
    """A batch norm over the last of three dimensions."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)
