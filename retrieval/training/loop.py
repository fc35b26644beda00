"""The training loop: pairs → batch → towers → loss → step → evaluate → checkpoint."""

from __future__ import annotations

from pathlib import Path

from retrieval.errors import TrainingFailed
from retrieval.models.model_folder import CONFIG
from retrieval.models.torch_encoder import choose_device
from retrieval.training.config import TrainConfig
from retrieval.training.cpu import keep_freed_memory
from retrieval.training.distributed import world
from retrieval.training.observer import TrainObserver
from retrieval.training.resume import POINTER
from retrieval.training.training_run import TrainingRun, TrainResult


def train(config: TrainConfig, watch: TrainObserver | None = None) -> TrainResult:
    """Train a dual encoder; the best weights on `val` (else the last) end up in `config.out`.

    A run that was killed goes on where its last state was saved, to the same result.

    Raises:
        PairsInvalid: no usable pairs.
        ModelUnavailable: the model to start from cannot be loaded.
        TrainingFailed: the loss or many gradients in a row are not finite, no photo of a batch
            decodes any more, or `out` holds another run.
    """
    device = choose_device(config.device)
    _claim(config.out)
    if device.type == "cpu":
        keep_freed_memory()
    with world(device) as here:
        run = TrainingRun(config, watch or TrainObserver(), device, here)
        try:
            for batch, canvas in run.batches():
                loss = run.learn(batch, canvas)
                run.record(loss, len(batch.photos))
                if run.at_evaluation():
                    run.evaluate()
                    if run.stopped():
                        break
                if run.at_checkpoint():
                    run.checkpoint()
            return run.finish()
        finally:
            run.canvases.close()


def _claim(out: Path) -> None:
    """Make the folder of the result, unless it holds a finished model.

    Raises:
        TrainingFailed: it does.
    """
    if (out / CONFIG).exists() and not (out / POINTER).exists():
        raise TrainingFailed(f"'{out}' holds a finished model; choose another --out or remove it")
    out.mkdir(parents=True, exist_ok=True)
