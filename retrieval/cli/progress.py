"""Progress on stderr: a bar on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from retrieval.cli.console import note


class Report(Protocol):
    """Called with the items done and in all, and what the speed counts if not these items."""

    def __call__(self, done: int, total: int, counted: int | None = None) -> None:
        """Report."""


PLAIN_SECONDS = 5.0  # between two lines of progress in a log


@contextmanager
def progress(label: str, unit: str = "photos") -> Iterator[Report]:
    """Show progress on stderr: a bar on a terminal, a line every few seconds in a log."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(label, unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        _Speed(unit),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task(label, total=None, counted=0)

        def report(done: int, total: int, counted: int | None = None) -> None:
            bar.update(
                task, completed=done, total=total, counted=done if counted is None else counted
            )

        yield report


class _Speed(ProgressColumn):
    """Items a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Show the mean speed since the start."""
        speed = task.fields["counted"] / task.elapsed if task.elapsed else 0.0
        return Text(f"{speed:,.0f} {self._unit}/s", style="dim")


def _lines(label: str, unit: str) -> Report:
    """Print a line when `PLAIN_SECONDS` have passed since the last one."""
    start = last = time.monotonic()

    def report(done: int, total: int, counted: int | None = None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PLAIN_SECONDS or not done:
            return
        last, elapsed = now, now - start
        speed = (done if counted is None else counted) / elapsed
        left = (total - done) * elapsed / done
        note(f"{label}: {done:,} of {total:,}, {speed:,.0f} {unit}/s, {left:,.0f} s left")

    return report
