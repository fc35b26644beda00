"""WiSE-FT: average the start and the trained model, so that old knowledge is not lost.

The final weights are on the line from the start to the trained model. The point on it is given, or
chosen by recall on the validation pairs and on pairs of what the model must not forget.

Source: Wortsman et al. 2022 (arXiv 2109.01903).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from retrieval.models.loaded_model import Model
from retrieval.training.finetune.weight_averaging import blend
from retrieval.training.validation import DevSet, sum_of_recalls

TUNED = "tuned"  # folder inside a run's, of the weights before they are blended


@dataclass(frozen=True, kw_only=True)
class WiseFtResult:
    """The blended model, its share of the tuned one, and the figures of every share tried."""

    model: Model
    share: float
    tried: tuple[dict[str, Any], ...]

    @property
    def kept(self) -> dict[str, Any]:
        """The figures of the share that was chosen."""
        return next(line for line in self.tried if line["share"] == self.share)


def choose_share(
    start: Model,
    tuned: Model,
    shares: Sequence[float],
    sets: Mapping[str, DevSet],
    device: torch.device,
    watch: Callable[[dict[str, Any]], None] = lambda _: None,
) -> WiseFtResult:
    """Blend start and tuned model by the share that is best on all sets; the smaller on a tie.

    A share's score is the mean over the sets of the sum of R@1, R@5 and R@10 of both directions.

    Args:
        start: where the run began; moved to `device`.
        tuned: what it learned; likewise.
        shares: of the tuned model, to choose from, each in [0, 1].
        sets: pairs to measure on, by what they are called; may be none for a single share.
        device: where to measure.
        watch: called with the figures of each share, if there are any.
    """
    for model in (start, tuned):
        model.module.to(device).eval()
    tried: list[dict[str, Any]] = []
    for share in sorted(set(shares)):
        model = blend([start, tuned], [1.0 - share, share])
        figures = {name: each.measure(model, device) for name, each in sets.items()}
        scores = [sum_of_recalls(figure) for figure in figures.values()]
        score = round(sum(scores) / len(scores), 2) if scores else None
        tried.append({"share": share, "score": score, **figures})
        if sets:
            watch(tried[-1])
    best = max(tried, key=lambda line: line["score"] or 0.0)["share"]
    return WiseFtResult(
        model=blend([start, tuned], [1.0 - best, best]), share=best, tried=tuple(tried)
    )


def share_line(tried: dict[str, Any]) -> str:
    """Return the figures of one share in a line."""
    parts = [
        f"{name} {sum_of_recalls(tried[name]):.1f}" for name in ("val", "keep") if name in tried
    ]
    return f"WiSE-FT weight {tried['share']:g}: sum of recalls {', '.join(parts)}"
