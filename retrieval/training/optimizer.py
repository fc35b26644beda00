"""AdamW with layer-wise learning rates, float32 masters for bf16 towers, and a moving average."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from retrieval._enums import Precision
from retrieval.training.config import TrainConfig
from retrieval.training.lora import UP, Adapters, freeze_all_but_adapted

_BLOCK = re.compile(r"^(.*?)(?:resblocks|blocks|layers?|stages)\.(\d+)\.")
_BELOW = re.compile(r"embed|cls_token|conv1|ln_pre|stem|^text\.norm\.")
_TOWERS = ("image", "text")
_LOGIT = ("logit_scale", "logit_bias")
MAX_LOGIT_SCALE = math.log(100.0)


def layer_depths(names: list[str]) -> dict[str, int]:
    """Return for each parameter how many layers lie above it in its tower.

    Heads and final norms have none, embeddings have all of them.
    """
    blocks: dict[str, int] = {}
    for name in names:
        if found := _BLOCK.match(name):
            tower = _tower(name)
            blocks[tower] = max(blocks.get(tower, 0), int(found[2]) + 1)
    depths = {}
    for name in names:
        layers = blocks.get(_tower(name), 0)
        if found := _BLOCK.match(name):
            depths[name] = layers - 1 - int(found[2])
        else:
            depths[name] = layers if _BELOW.search(name) else 0
    return depths


def freeze_bottom(module: nn.Module, share: float) -> None:
    """Freeze a share of each tower's layers, the lowest ones, and everything below them."""
    if not share:
        return
    named = dict(module.named_parameters())
    depths = layer_depths(list(named))
    layers = {tower: max(d for n, d in depths.items() if _tower(n) == tower) for tower in _TOWERS}
    for name, parameter in named.items():
        above = layers[_tower(name)] * (1.0 - share)
        parameter.requires_grad_(parameter.requires_grad and depths[name] < above)


def learning_rates(names: list[str], config: TrainConfig) -> dict[str, float]:
    """Return the peak learning rate of each parameter."""
    depths = layer_depths(names)
    rates = {}
    for name in names:
        rate = config.lr
        if _tower(name) == "text" and config.text_lr is not None:
            rate = config.text_lr
        if ".head." in name and config.head_lr is not None:
            rate = config.head_lr
        rates[name] = rate * config.layer_decay ** depths[name]
    return rates


def _tower(name: str) -> str:
    """Return `image` or `text`: all that open_clip keeps outside `visual` is text."""
    return "image" if name.startswith("visual.") else "text"


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the factor on the peak rate: a linear rise, then half a cosine down to zero."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """Return the layers that carry running statistics."""
    return [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]


class Trainer:
    """The weights that learn, and the copies of them.

    `module` computes, in the precision of the run. `masters` are float32: the parameters of the
    module themselves, or copies of them when it computes in bfloat16 (converting the weights
    uses the CPU's matrix units; autocast does not). `average` is their running average. With
    LoRA the factors of the adapters are masters too, in place of the weights they adapt.
    """

    def __init__(self, module: nn.Module, config: TrainConfig) -> None:
        self.module = module
        self._config = config
        self._low = config.precision == Precision.BF16
        self.dtype = torch.bfloat16 if self._low else torch.float32
        for layer in batch_norms(module):
            layer.eval()  # statistics of a few photos; and they would not be saved
        freeze_bottom(module, config.freeze)
        self.adapters = self._adapt()
        self.working = {
            name: parameter
            for name, parameter in module.named_parameters()
            if parameter.requires_grad and f"{name}{UP}" not in self.adapters.factors
        }
        self.masters = {n: self._master(p) for n, p in self.working.items()}
        self.masters |= self.adapters.factors
        if self._low:
            for name, parameter in module.named_parameters():
                if name not in _LOGIT:
                    parameter.data = parameter.data.to(self.dtype)
            for layer in batch_norms(module):
                layer.to(self.dtype)  # their statistics as well
        self.average = {n: p.detach().clone() for n, p in self.masters.items()}
        self.optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.98), eps=1e-6)

    def _adapt(self) -> Adapters:
        """Make the adapters of a LoRA run; none otherwise."""
        if not self._config.lora:
            return Adapters({}, rank=1, alpha=0.0, seed=0)
        adapted = freeze_all_but_adapted(self.module, self._config.lora, self._config.lora_heads)
        return Adapters(adapted, self._config.lora, self._config.lora_alpha, self._config.seed)

    def _master(self, parameter: nn.Parameter) -> nn.Parameter:
        """Return the float32 weights that the optimizer changes."""
        return nn.Parameter(parameter.detach().float().clone()) if self._low else parameter

    def _groups(self) -> list[dict[str, object]]:
        """One group for each learning rate and weight decay, in a fixed order."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, rate in learning_rates(list(self.masters), self._config).items():
            decay = self._config.weight_decay if self.masters[name].ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(self.masters[name])
        return [
            {"params": params, "lr": rate, "peak": rate, "weight_decay": decay}
            for (rate, decay), params in groups.items()
        ]

    def parameters(self) -> list[nn.Parameter]:
        """What receives the gradients that `step` uses."""
        return [*self.working.values(), *self.adapters.factors.values()]

    def split(self) -> list[nn.Parameter]:
        """Those whose gradient here is this process's share: all but temperature and bias."""
        named = self.working | self.adapters.factors
        return [parameter for name, parameter in named.items() if name not in _LOGIT]

    def averaged(self) -> dict[str, Tensor]:
        """Return the averaged weights of the module, adapters merged, float32, by name."""
        whole = {name: self.average[name] for name in self.working}
        return whole | self.adapters.merged(self.average)

    def step(self, factor: float) -> float:
        """Apply the gathered gradients at `factor` times the peak rates; return their norm.

        A norm that is not finite is returned, and the gradients are dropped: nothing changes.
        """
        for name, parameter in self.working.items():
            if self._low and parameter.grad is not None:
                self.masters[name].grad = parameter.grad.float()
                parameter.grad = None
        norm = float(nn.utils.clip_grad_norm_(self.masters.values(), self._config.clip))
        if not math.isfinite(norm):
            self.optimizer.zero_grad(set_to_none=True)
            return norm
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            if "logit_scale" in self.masters:  # a dual encoder's
                self.masters["logit_scale"].clamp_(max=MAX_LOGIT_SCALE)
            self._follow()
        return norm

    def _follow(self) -> None:
        """Bring the computing module and the average after the masters."""
        masters: list[Tensor] = list(self.masters.values())
        self._write()
        torch._foreach_lerp_(list(self.average.values()), masters, 1.0 - self._config.ema)

    def _write(self) -> None:
        """Bring the computing module after the masters."""
        if self._low:
            masters: list[Tensor] = [self.masters[name] for name in self.working]
            torch._foreach_copy_(list[Tensor](self.working.values()), masters)
        self.adapters.write()

    @torch.no_grad()
    def fill(self, name: str, value: float) -> None:
        """Set a parameter, its master and its average to one value."""
        for copy in (self.working, self.masters, self.average):
            copy[name].fill_(value)

    def load_masters(self, weights: Mapping[str, Tensor]) -> None:
        """Set the masters, and the computing module after them."""
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(weights[name])
            self._write()
