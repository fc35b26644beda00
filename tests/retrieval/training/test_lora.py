"""Adapters learn, change nothing else, come out merged, resume, chunk and split."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval._enums import Precision, WeightStorage
from retrieval.models import load_model
from retrieval.models.dual_encoder import DualEncoder
from retrieval.training.config import AugmentConfig, TrainConfig
from retrieval.training.loop import train
from retrieval.training.lora import Adapters, adaptable, freeze_all_but_adapted
from retrieval.training.optimizer import Trainer, learning_rates
from tests.retrieval.training.runs import config, losses
from tests.tiny import CONFIG
from tests.tiny_clip import IMAGE_LAYERS, TEXT_LAYERS, TINY_CLIP, tiny_clip


def settings(**changes: object) -> TrainConfig:
    return TrainConfig(**{"pairs": (Path("p"),), "out": Path("o"), "lora": 2, **changes})


class Explicit(nn.Module):
    """Attention and a linear layer with low-rank paths written out, by torch's own functions."""

    def __init__(self, plain: nn.Module, factors: dict[str, Tensor], scale: float) -> None:
        super().__init__()
        self.plain, self.scale = plain, scale
        self.factors = {n: f.detach().clone().requires_grad_() for n, f in factors.items()}

    def weight(self, name: str) -> Tensor:
        base = self.plain.get_parameter(name).detach()
        return base + self.scale * self.factors[f"{name}:up"] @ self.factors[f"{name}:down"]

    def forward(self, x: Tensor) -> Tensor:
        attention, last = self.plain[0], self.plain[1]
        y, _ = F.multi_head_attention_forward(
            x, x, x, 8, 2, self.weight("0.in_proj_weight"), attention.in_proj_bias, None, None,
            False, 0.0, self.weight("0.out_proj.weight"), attention.out_proj.bias,
        )  # fmt: skip
        return F.linear(y, self.weight("1.weight"), last.bias)


def test_factors_get_the_gradients_of_explicit_low_rank_paths() -> None:
    torch.manual_seed(0)
    plain = nn.ModuleList([nn.MultiheadAttention(8, 2), nn.Linear(8, 6)])
    adapters = Adapters(adaptable(plain, 2), rank=2, alpha=4.0, seed=0)
    assert set(adapters.factors) == {
        f"{name}:{side}"
        for name in ("0.in_proj_weight", "0.out_proj.weight", "1.weight")
        for side in ("down", "up")
    }
    explicit = Explicit(plain, adapters.factors, scale=2.0)  # before the weights move
    x = torch.randn(5, 3, 8)
    for name, factor in adapters.factors.items():
        with torch.no_grad():
            factor.copy_(torch.randn(factor.shape))
            explicit.factors[name].copy_(factor)
    wanted = explicit(x)
    base = {name: weight.detach().clone() for name, weight in plain.named_parameters()}
    adapters.write()
    got = plain[1](plain[0](x, x, x)[0])
    torch.testing.assert_close(got, wanted)
    for name in base:  # the explicit model reads the base weights: put them back for it
        assert torch.equal(base[name], plain.get_parameter(name)) == (
            name not in adaptable(plain, 2)
        )
    got.square().sum().backward()
    wanted.square().sum().backward()
    for name, factor in adapters.factors.items():
        torch.testing.assert_close(factor.grad, explicit.factors[name].grad)
    assert all(plain.get_parameter(name).grad is None for name in adaptable(plain, 2))


def test_what_is_adapted_in_our_towers_and_in_open_clips() -> None:
    ours = adaptable(DualEncoder(CONFIG), 2)
    assert "visual.blocks.0.attn.qkv.weight" in ours
    assert "text.head.mlp.fc2.weight" in ours
    assert "visual.patch_embed.weight" in ours
    assert not any("embed.weight" in name and "patch" not in name for name in ours)
    theirs = adaptable(open_clip.create_model(TINY_CLIP), 8)
    blocks = IMAGE_LAYERS + TEXT_LAYERS
    for each in ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight"):
        assert sum(name.endswith(each) for name in theirs) == blocks
    assert {"visual.proj", "text_projection", "visual.conv1.weight"} <= set(theirs)
    assert not {"token_embedding.weight", "positional_embedding"} & set(theirs)
    assert len(theirs) == 4 * blocks + 3


def test_everything_else_is_frozen() -> None:
    module = DualEncoder(CONFIG)
    adapted = freeze_all_but_adapted(module, 2, heads=False)
    learning = {name for name, p in module.named_parameters() if p.requires_grad}
    assert learning == {*adapted, "logit_scale", "logit_bias"}
    module = DualEncoder(CONFIG)
    adapted = freeze_all_but_adapted(module, 2, heads=True)
    learning = {name for name, p in module.named_parameters() if p.requires_grad}
    heads = {name for name, _ in module.named_parameters() if ".head." in name}
    assert learning == {*adapted, *heads, "logit_scale", "logit_bias"}
    assert not heads & set(adapted)


@pytest.mark.parametrize("precision", list(Precision))
def test_the_model_starts_unchanged_and_its_average_is_the_merged_one(
    precision: Precision,
) -> None:
    torch.manual_seed(0)
    module = DualEncoder(CONFIG)
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    trainer = Trainer(module, settings(precision=precision, ema=0.5, weight_decay=0.0))
    for name, weight in trainer.averaged().items():
        assert torch.equal(weight, before[name])
    for parameter in trainer.parameters():
        parameter.grad = torch.ones_like(parameter)
    trainer.step(1.0)
    for name in adaptable(DualEncoder(CONFIG), 2):
        down, up = trainer.masters[f"{name}:down"], trainer.masters[f"{name}:up"]
        merged = before[name] + (16.0 / 2) * (up @ down).view_as(before[name])
        assert torch.equal(module.get_parameter(name), merged.to(trainer.dtype))
        mean = trainer.average[f"{name}:up"] @ trainer.average[f"{name}:down"]
        torch.testing.assert_close(
            trainer.averaged()[name], before[name] + 8.0 * mean.view_as(before[name])
        )
    frozen = {n for n, p in module.named_parameters() if not p.requires_grad}
    assert all(torch.equal(module.get_parameter(n), before[n].to(trainer.dtype)) for n in frozen)


def test_factors_learn_at_the_rate_of_their_layer() -> None:
    trainer = Trainer(DualEncoder(CONFIG), settings(lr=1.0, layer_decay=0.5))
    rates = learning_rates(list(trainer.masters), settings(lr=1.0, layer_decay=0.5))
    assert rates["visual.blocks.1.attn.qkv.weight:up"] == 1.0
    assert rates["visual.blocks.0.attn.qkv.weight:down"] == 0.5


def test_what_is_saved_is_the_start_plus_a_low_rank_change(start: Path) -> None:
    before = load_file(start / "model.safetensors")
    done = train(config(start, lora=3, lr=1e-2, storage=WeightStorage.FLOAT32, epochs=4))
    after = load_file(done.out / "model.safetensors")
    adapted = set(adaptable(DualEncoder(CONFIG), 3))
    for name, weight in after.items():
        if name in adapted:
            change = (weight - before[name]).flatten(1)
            assert 1 <= torch.linalg.matrix_rank(change, rtol=1e-3) <= 3
        elif not name.startswith("logit_"):
            assert torch.equal(weight, before[name])


@pytest.mark.parametrize("precision", list(Precision))
def test_adapters_of_open_clip_learn_colours(start: Path, precision: Precision) -> None:
    weights = tiny_clip(start.parent / "clip")
    before = load_file(weights)
    run = config(
        start, init=f"{TINY_CLIP}/{weights}", lora=4, lr=1e-2, epochs=6, batch_size=28,
        captions=1, precision=precision, storage=WeightStorage.FLOAT32,
        augment=AugmentConfig(crop=1.0, flip=0.0, colour=0.0, grey=0.0),
    )  # fmt: skip
    train(run)
    assert losses(run.out)[-1] < 0.8 * losses(run.out)[0]
    after = load_model(str(run.out)).module.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    wanted = {*adaptable(open_clip.create_model(TINY_CLIP), 4), "logit_scale"}
    assert changed == wanted


def test_chunks_change_nothing(start: Path) -> None:
    whole, chunked = (config(start, out, lora=2, lr=1e-2) for out in ("w", "c"))
    train(whole)
    train(TrainConfig(**{**vars(chunked), "chunk_size": 5}))
    assert losses(whole.out) == pytest.approx(losses(chunked.out), rel=1e-3)


def test_a_stopped_run_resumes_to_the_same_result(
    start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"lora": 2, "lr": 1e-2, "ema": 0.9, "checkpoint_every": 3, "epochs": 3}
    whole, stopped = (config(start, out, **changes) for out in ("whole", "stopped"))
    train(whole)
    from retrieval.training import training_run

    record = training_run.TrainingRun.record

    def stop(self: training_run.TrainingRun, loss: float, photos: int) -> None:
        record(self, loss, photos)
        if self.step == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_run.TrainingRun, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            train(stopped)
    state = load_file(stopped.out / "resume-0000006.safetensors")
    assert "master/text.blocks.0.attn.qkv.weight:up" in state
    assert "master/text.blocks.0.attn.qkv.weight" not in state
    train(stopped)
    want, got = (load_file(run.out / "model.safetensors") for run in (whole, stopped))
    assert all(torch.equal(got[name], want[name]) for name in want)
    assert losses(stopped.out) == losses(whole.out)
