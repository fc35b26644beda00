"""`twinlens info`: show what a library contains."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

import retrieval
from indexer.core.types import Kind
from retrieval.cli.console import counted, printable
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_json, with_library
from retrieval.cli.terminal import terminal

if TYPE_CHECKING:
    from indexer.core.types import LibraryInfo, MetadataSummary

CAMERAS = 5  # that are named


@click.command(epilog=example("twinlens info --json"))
@with_library
@with_json
def command(library: Path, as_json: bool) -> int:
    """Show what the library contains."""
    with retrieval.Library.open(library) as opened:
        info = opened.info()
    if as_json:
        folders = [str(folder) for folder in info.folders]
        known = {**asdict(info), "folders": folders, "library": str(library)}
        click.echo(json.dumps(known, default=_plain))
    else:
        terminal().print(_table(info, library))
    return ExitCode.DONE


def _plain(value: object) -> str:
    """Write a date as a text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _dates(about: MetadataSummary) -> str:
    """Say when the photos were taken."""
    if about.first is None or about.last is None:
        return ""
    return f"{about.first:%Y-%m-%d} to {about.last:%Y-%m-%d}, for {about.dated:,} photos"


def _cameras(about: MetadataSummary) -> str:
    """Name the cameras most used."""
    named = [f"{name} ({count:,})" for name, count in about.cameras[:CAMERAS]]
    more = len(about.cameras) - len(named)
    return ", ".join([*named, *([f"{more:,} more"] if more else [])])


def _corrected(info: LibraryInfo) -> str:
    """Say which searches are corrected for hubness."""
    searches = {Kind.PHOTO: "photos found by words", Kind.TEXT: "texts found by photo"}
    named = ", ".join(searches[kind] for kind in info.hubness)
    return f"corrected for {named}" if named else "not corrected"


def _table(info: LibraryInfo, library: Path) -> Table:
    """Lay out the facts for a person."""
    facts = {
        "library": str(library),
        "folders": "\n".join(map(str, info.folders)) or "none yet",
        "photos": f"{info.photos:,}",
        "videos": f"{info.videos:,}, {info.frames:,} frames" if info.videos else "",
        "texts": f"{info.texts:,}",
        "taken": _dates(info.described),
        "cameras": _cameras(info.described),
        "places": f"known for {info.described.placed:,} photos" if info.described.placed else "",
        "skipped": f"{counted(info.skipped, 'file')} could not be read" if info.skipped else "",
        "model": f"{info.model} ({info.fingerprint[:12]}), {info.dim} dimensions",
        "hubness": _corrected(info),
        "on disk": f"{info.bytes / 1e6:,.1f} MB, format {info.format}",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(name, Text("\n".join(map(printable, value.split("\n")))))
    return table
