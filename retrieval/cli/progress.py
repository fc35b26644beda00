"""Progress on stderr: a bar on a terminal, lines in a log.

A bar has a label, which says what is being done. Work before the first item, such as preparing a
model, is a phase: it shows its own label and its seconds, and does not count in the speed. Notes
appear above the bar.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from retrieval.cli.console import note, notes_through, printable
from retrieval.cli.terminal import terminal

PLAIN_SECONDS = 5.0  # between two lines of progress in a log


class Report(Protocol):
    """Called with the items done and in all, and what the speed counts if not these items."""

    def __call__(self, done: int, total: int, counted: int | None = None) -> None:
        """Report."""

    def name(self, text: str) -> None:
        """Say what is done now, until the next report."""

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Show that something else is done meanwhile, which does not count in the speed."""

    @property
    def aside(self) -> float:
        """Return the seconds that phases have taken."""


@contextmanager
def progress(
    label: str, unit: str = "photos", *, last: str = "finishing", announced: bool = False
) -> Iterator[Report]:
    """Show progress on stderr: a bar on a terminal, a line every few seconds in a log.

    Args:
        label: what is done.
        unit: what the speed counts.
        last: what is done once the last item is done.
        announced: a log has a line when it begins, too.
    """
    console = terminal(stderr=True)
    report: _Bar | _Lines
    if not console.is_terminal:
        report = _Lines(label, unit)
        if announced:
            note(label)
        with _shown(report):
            yield report
        return
    with _bar(console, unit) as bar:
        report = _Bar(bar, label, last)
        with _shown(report), notes_through(lambda text: console.print(Text(text), soft_wrap=True)):
            yield report


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Show that something takes its time: in the progress that is shown, or by itself."""
    if _reports:
        with _reports[-1].phase(name):
            yield
        return
    with progress(name) as report, report.phase(name):
        yield


_reports: list[_Bar | _Lines] = []
"""The progress that is shown at the moment, the innermost last."""


@contextmanager
def _shown(report: _Bar | _Lines) -> Iterator[None]:
    """Let phases find the progress that is shown."""
    _reports.append(report)
    try:
        yield
    finally:
        _reports.remove(report)


class _Rate:
    """How many items a second, counted from when the first is worked on."""

    def __init__(self, now: float) -> None:
        self.start, self.aside = now, 0.0
        self._last, self._counted = now, 0

    def count(self, counted: int, now: float) -> None:
        """Take in a report; until something is counted, the time does not count either."""
        self._last, self._counted = now, counted
        if not counted:
            self.start = now

    def skip(self, seconds: float) -> None:
        """Leave out seconds in which something else was done."""
        self.aside += seconds
        self.start += seconds

    @property
    def speed(self) -> float:
        """Return items a second, as of the last report; 0 where nothing was counted."""
        return self._counted / max(self._last - self.start, 1e-9) if self._counted else 0.0


class _Bar:
    """One line on a terminal: what is done, how far it is, how fast, how long it takes yet."""

    def __init__(self, bar: Progress, label: str, last: str) -> None:
        self._bar, self._label, self._last = bar, label, last
        self._rate = _Rate(time.monotonic())
        self._task: TaskID = bar.add_task(label, total=None, rate=self._rate, since=None)

    def __call__(self, done: int, total: int, counted: int | None = None) -> None:
        """Report; after the last item, say what is done then."""
        self._rate.count(done if counted is None else counted, time.monotonic())
        if total and done >= total:
            self.name(self._last)
        else:
            self._update(self._label, None)
        self._bar.update(self._task, completed=done, total=total)

    def name(self, text: str) -> None:
        """Say what is done now, until the next report."""
        self._update(text, time.monotonic())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Show that something else is done meanwhile."""
        before, since = self._bar.tasks[0].description, self._bar.tasks[0].fields["since"]
        started = time.monotonic()
        self._update(name, started)
        try:
            yield
        finally:
            self._rate.skip(time.monotonic() - started)
            self._update(before, since)

    @property
    def aside(self) -> float:
        """Return the seconds that phases have taken."""
        return self._rate.aside

    def _update(self, text: str, since: float | None) -> None:
        """Show a name; one with a start shows the seconds since then in place of the speed."""
        self._bar.update(self._task, description=printable(text), since=since)


class _Lines:
    """A line in a log when `PLAIN_SECONDS` have passed since the last one."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._last = time.monotonic()
        self._rate = _Rate(self._last)

    def __call__(self, done: int, total: int, counted: int | None = None) -> None:
        """Report."""
        now = time.monotonic()
        self._rate.count(done if counted is None else counted, now)
        if now - self._last < PLAIN_SECONDS or not done:
            return
        self._last, elapsed = now, now - self._rate.start
        speed, left = self._rate.speed, (total - done) * elapsed / done
        note(
            f"{self._label}: {done:,} of {total:,}, {speed:,.0f} {self._unit}/s, {left:,.0f} s left"
        )

    def name(self, text: str) -> None:
        """Say nothing: a log has lines for what takes its time."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say that something else is done."""
        note(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self._rate.skip(time.monotonic() - started)

    @property
    def aside(self) -> float:
        """Return the seconds that phases have taken."""
        return self._rate.aside


def _bar(console: Console, unit: str) -> Progress:
    """Lay out the line."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        _HowFar(unit),
        _Remaining(compact=True),
        console=console,
        transient=True,
        expand=True,
    )


class _HowFar(ProgressColumn):
    """Items done, of how many, and items a second; or the seconds of a phase."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Show what is known."""
        if (since := task.fields["since"]) is not None:
            return Text(f"{time.monotonic() - since:,.0f} s", style="dim")
        if task.total is None:
            return Text(f"{task.elapsed or 0.0:,.0f} s", style="dim")
        shown = Text(f"{int(task.completed):,}/{int(task.total):,}", style="progress.download")
        if speed := task.fields["rate"].speed:
            shown.append(f" {speed:,.0f} {self._unit}/s", style="dim")
        return shown


class _Remaining(TimeRemainingColumn):
    """The time that the items take yet; nothing while something else is done."""

    def render(self, task: Task) -> Text:
        """Show it, where it is known."""
        if task.total is None or task.fields["since"] is not None:
            return Text("")
        return super().render(task)
