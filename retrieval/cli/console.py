"""What a person sees: tables on stdout; progress, notes and skipped files on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import click
from rich.cells import cell_len
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

from indexer.types import Skip

Report: TypeAlias = Callable[[int, int], None]
"""Called with the items done and the items in all."""

PLAIN_SECONDS = 5.0  # between two lines of progress in a log


def printable(text: str) -> str:
    """Escape control characters, which could break a line or steer a terminal."""
    return "".join(
        char if char.isprintable() or "\udc80" <= char <= "\udcff" else ascii(char)[1:-1]
        for char in text
    )


def shorten_left(text: str, width: int) -> str:
    """Cut a text from the left to at most `width` terminal cells: the end of a path tells most."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return "…" + text


def note(message: str) -> None:
    """Print one line beside the results."""
    if message:
        click.echo(printable(message), err=True)


def list_skipped(skipped: Iterable[Skip]) -> None:
    """Print each file that was left out, with its reason."""
    for skip in skipped:
        note(f"skipping {skip.path}: {skip.reason}")


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
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Speed(ProgressColumn):
    """Items a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Show the speed once there is one."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self._unit}/s" if speed else f"– {self._unit}/s", style="dim")


def _lines(label: str, unit: str) -> Report:
    """Print a line when `PLAIN_SECONDS` have passed since the last one."""
    start = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PLAIN_SECONDS or not done:
            return
        last, speed = now, done / (now - start)
        left = (total - done) / speed
        note(f"{label}: {done:,} of {total:,} {unit}, {speed:,.0f}/s, {left:,.0f} s left")

    return report
