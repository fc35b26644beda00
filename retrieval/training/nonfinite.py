"""Stop or continue a run that goes wrong: values that are not finite, evaluations without gain.

| what | result |
|---|---|
| a loss that is not finite | the run stops; its batch is listed in `failed-batch.json` |
| a gradient that is not finite | the step is skipped and logged; the tenth in a row stops the run |
| no gain on the validation pairs for `patience` evaluations | the run ends with its best weights |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.errors import TrainingFailed
from retrieval.output_files import write_json
from retrieval.pairs import Pair

FAILED_BATCH = "failed-batch.json"
STEPS_IN_A_ROW = 10  # one bad batch is chance; ten in a row are weights that are lost
_NAMED = 3


def check_loss(loss: float, step: int, batch: Sequence[Pair], out: Path) -> None:
    """Let a finite loss pass; else name the photos and captions it came from.

    Args:
        loss: of one global batch.
        step: that the batch belongs to, from 1.
        batch: the photos, with all their captions.
        out: folder of the run, which receives `failed-batch.json`.

    Raises:
        TrainingFailed: the loss is not finite.
    """
    if math.isfinite(loss):
        return
    rows = [{"image": str(pair.photo.path), "captions": list(pair.captions)} for pair in batch]
    failed = {"step": step, "loss": str(loss), "pairs": rows}
    write_json(out / FAILED_BATCH, failed)
    names = ", ".join(pair.name for pair in batch[:_NAMED])
    raise TrainingFailed(
        f"the loss is {loss} at step {step}, on {len(batch)} photos ({names}, …; all of them in "
        f"'{out / FAILED_BATCH}'); the last checkpoint in '{out}' is kept. Try a lower --lr or "
        "--precision fp32"
    )


def check_gradient(norm: float, step: int, log: list[dict[str, Any]], out: Path) -> bool:
    """Log a step that was left out for its gradient; return whether it was.

    Args:
        norm: of the gradient of this step.
        step: from 1.
        log: of the run; receives a line with `step` and `gradient`.
        out: folder of the run.

    Raises:
        TrainingFailed: so many steps in a row were left out that the run is lost.
    """
    if math.isfinite(norm):
        return False
    log.append({"step": step, "gradient": str(norm)})
    out_of_it = {line["step"] for line in log if "gradient" in line}
    if all(step - back in out_of_it for back in range(STEPS_IN_A_ROW)):
        raise TrainingFailed(
            f"the gradient was not finite for {STEPS_IN_A_ROW} steps in a row, up to step {step}; "
            f"the last checkpoint in '{out}' is kept. Try a lower --lr or --precision fp32"
        )
    return True


def why_stop(log: Sequence[dict[str, Any]], best_step: int, patience: int) -> str | None:
    """Say why the run ends here, or None if it goes on.

    Args:
        log: of the run, with a line for each evaluation.
        best_step: of the best evaluation so far.
        patience: evaluations without a gain that end the run; 0 = it never ends so.
    """
    since = sum("text_to_image" in line and line["step"] > best_step for line in log)
    if not patience or since < patience:
        return None
    return f"no gain in {since} evaluations since step {best_step}, whose weights are kept"
