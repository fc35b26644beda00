"""What a person is told: notes and skipped files, on stderr."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Iterable

import click

from indexer.types import Gap, Skip

_CLOSED = os.strerror(errno.EACCES).lower()  # as walks and readers give it as a reason


def printable(text: str) -> str:
    """Escape control characters, which could break a line or steer a terminal."""
    return "".join(
        char if char.isprintable() or "\udc80" <= char <= "\udcff" else ascii(char)[1:-1]
        for char in text
    )


def counted(count: int, what: str) -> str:
    """Count things by their name: "1 file", "2,000 files"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def note(message: str) -> None:
    """Print one line beside the results."""
    if message:
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
            "what is closed to you is opened by its owner with: chmod -R u+rX PATH; or leave it "
            "out with a .twinlensignore file"
        )
    for first, *others in wanting.values():
        more = f" and {len(others):,} more" if others else ""
        note(f"skipping {first.path}{more}: {first.reason}")
