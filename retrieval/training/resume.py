"""The state of a run that was stopped: weights, optimizer, position and history.

```
OUT/resume.json           names the state to continue from; replaced in one step
OUT/resume-STEP.safetensors
```

The state is written and synced before `resume.json` names it, so a kill at any moment leaves the
previous state intact. All random numbers are drawn from (seed, epoch, step), so no state of a
generator is saved.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from indexer.core.atomic_io import replacing
from retrieval.errors import TrainingFailed
from retrieval.training.optimizer import Trainer

POINTER = "resume.json"

_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError)
"""What a state raises that is not what was written; RuntimeError for tensors of another shape."""


@dataclass(frozen=True, kw_only=True)
class ResumePoint:
    """How far a run is: steps done, the best dev score and where, the lines logged so far."""

    step: int = 0
    best: float = -1.0
    best_step: int = 0
    log: tuple[dict[str, Any], ...] = ()


def save_state(out: Path, trainer: Trainer, place: ResumePoint, config: dict[str, Any]) -> None:
    """Write the state of a run; the one before is removed last."""
    name = f"resume-{place.step:07d}.safetensors"
    with replacing(out / name) as part:
        try:
            save_file(_tensors(trainer), part)
        except SafetensorError as error:  # of a full disk; it would not name the file
            raise TrainingFailed(f"cannot write '{out / name}': {error}") from error
    pointer = {"state": name, "config": config, "place": asdict(place)}
    with replacing(out / POINTER) as part:
        part.write_text(json.dumps(pointer), encoding="utf-8")
    for old in out.glob("resume-*.safetensors*"):
        if old.name != name:
            old.unlink()


def load_state(out: Path, trainer: Trainer, config: dict[str, Any]) -> ResumePoint:
    """Bring a trainer to where an earlier run stopped; at the start if there was none.

    Raises:
        TrainingFailed: the folder holds another run, or its state is damaged.
    """
    if not (out / POINTER).exists():
        return ResumePoint()
    try:
        pointer = json.loads((out / POINTER).read_text(encoding="utf-8"))
        saved, place = pointer["config"], pointer["place"]
        changed = sorted(key for key in config if saved.get(key) != config[key])
        if changed:
            raise TrainingFailed(
                f"'{out}' holds a run with other settings ({', '.join(changed)}): "
                "resume it with the same ones, or choose another --out"
            )
        _restore(trainer, load_file(out / pointer["state"]))
        return ResumePoint(**{**place, "log": tuple(place["log"])})
    except (OSError, *_DAMAGE) as error:
        raise TrainingFailed(
            f"the state of the run in '{out}' is damaged ({error}); remove {POINTER} to start again"
        ) from error


def clear_state(out: Path) -> None:
    """Remove the state of a run that is complete."""
    (out / POINTER).unlink(missing_ok=True)
    for old in out.glob("resume-*.safetensors*"):
        old.unlink()


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    """Name every tensor of a trainer."""
    tensors = {f"master/{name}": weight.detach() for name, weight in trainer.masters.items()}
    tensors |= {f"average/{name}": weight for name, weight in trainer.average.items()}
    for name, weight in trainer.masters.items():
        for key, value in trainer.optimizer.state.get(weight, {}).items():
            tensors[f"optimizer/{key}/{name}"] = torch.as_tensor(value)
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _restore(trainer: Trainer, tensors: dict[str, Tensor]) -> None:
    """Put every tensor back in its place."""
    trainer.load_masters({n: tensors[f"master/{n}"] for n in trainer.masters})
    for name, average in trainer.average.items():
        average.copy_(tensors[f"average/{name}"])
    for name, weight in trainer.masters.items():
        for key in ("step", "exp_avg", "exp_avg_sq"):
            saved = tensors.get(f"optimizer/{key}/{name}")
            if saved is not None:
                place = saved if key == "step" else saved.to(weight.device)
                trainer.optimizer.state[weight][key] = place
