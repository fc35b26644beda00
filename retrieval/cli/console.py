"""Messages on stderr: notes and lists of skipped files."""

from __future__ import annotations

import errno
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import click

from indexer.core.types import Gap, Skip, printable

__all__ = [
    "bare",
    "counted",
    "list_kept",
    "list_new_skips",
    "list_skipped",
    "note",
    "notes_through",
    "printable",
    "put",
]

_CLOSED = os.strerror(errno.EACCES).lower()  # as walks and readers give it as a reason


def bare(path: str) -> str:
    """Return a path as stdout should have it: escaped on a terminal, exact for a program."""
    return printable(path) if sys.stdout.isatty() else path


def put(text: str) -> None:
    """Print results as they are: for a program, click would take escape sequences out."""
    click.echo(text, nl=False, color=True)


def counted(count: int, what: str) -> str:
    """Count things by their name: "1 file", "2,000 files"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


_printers: list[Callable[[str], None]] = []
"""What prints notes while a progress bar is shown: above it, so that its line is not torn."""


@contextmanager
def notes_through(printer: Callable[[str], None]) -> Iterator[None]:
    """Let notes be printed by whoever has a line on the terminal."""
    _printers.append(printer)
    try:
        yield
    finally:
        _printers.remove(printer)


def note(message: str) -> None:
    """Print one line beside the results."""
    if not message:
        return
    if _printers:
        _printers[-1](printable(message))
    else:
        click.echo(printable(message), err=True)


def list_kept(kept: Iterable[Gap]) -> None:
    """Print each folder whose files were not found and are kept, and how to drop them."""
    gaps = list(kept)
    for gap in gaps:
        note(f"keeping {counted(gap.files, 'file')} of {gap.folder}, not reachable: {gap.reason}")
    if gaps:
        note("if they are gone for good, drop them with: twinlens index FOLDER --prune")


def list_damaged(damaged: Iterable[Skip]) -> None:
    """Print each file that was read although something is wrong with it, and what."""
    for each in damaged:
        note(f"read all the same, {each.path}: {each.reason}")


def list_new_skips(skipped: Iterable[Skip], still: Sequence[Skip]) -> bool:
    """Print each file that is skipped for the first time, and how many are skipped still.

    Returns:
        Whether there is a new one.
    """
    known = set(still)
    new = [skip for skip in skipped if skip not in known]
    list_skipped(new)
    if still:
        more = f" and {len(still) - 1:,} more" if len(still) > 1 else ""
        note(f"still skipped, as before: {still[0].path}: {still[0].reason}{more}")
    return bool(new)


def list_skipped(skipped: Iterable[Skip]) -> None:
    """Print each file that was left out, with its reason; those that want a package together."""
    wanting: defaultdict[str, list[Skip]] = defaultdict(list)
    closed = False
    for skip in skipped:
        closed = closed or skip.reason == _CLOSED
        if skip.wants:
            wanting[skip.wants].append(skip)
        else:
            note(f"skipping {skip.path}: {skip.reason}")
    if closed:
        note(
            "the owner of a file can give you access with: chmod -R u+rX PATH; to skip it, list it "
            "in a .twinlensignore file"
        )
    for first, *others in wanting.values():
        more = f" and {len(others):,} more" if others else ""
        note(f"skipping {first.path}{more}: {first.reason}")
