"""Plot loss and recall over the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retrieval.output_files import written


def draw_curves(log: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a PNG with the training loss and, where measured, recall on the dev set.

    Args:
        log: lines with `step` and `loss`, or with `step` and `R@k` figures in percent.
        path: of the PNG.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    losses = [line for line in log if "loss" in line]
    left.plot([line["step"] for line in losses], [line["loss"] for line in losses], linewidth=1)
    left.set(title="training loss", xlabel="step")
    measured = [line for line in log if "text_to_image" in line]
    for direction, style in (("text_to_image", "-"), ("image_to_text", "--")):
        for k in (1, 5, 10):
            values = [line[direction][f"R@{k}"] for line in measured]
            label = f"{direction.replace('_', ' ')} R@{k}"
            right.plot([line["step"] for line in measured], values, style, label=label)
    right.set(title="dev recall, %", xlabel="step")
    if measured:
        right.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    with written(path) as part:
        figure.savefig(part, dpi=120, format="png")
