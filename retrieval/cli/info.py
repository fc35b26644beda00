"""`twinlens info`: what a library holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

import retrieval
from indexer.types import Kind
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import printable
from retrieval.cli.options import example, with_json, with_library

if TYPE_CHECKING:
    from indexer.library import LibraryInfo


@click.command(epilog=example("twinlens info --json"))
@with_library
@with_json
def command(library: Path, as_json: bool) -> int:
    """Show what the library holds."""
    with retrieval.Library.open(library) as opened:
        info = opened.info()
    if as_json:
        folders = [str(folder) for folder in info.folders]
        click.echo(json.dumps({**asdict(info), "folders": folders, "library": str(library)}))
    else:
        Console().print(_table(info, library))
    return ExitCode.DONE


def _corrected(info: LibraryInfo) -> str:
    """Say which searches are corrected for hubness."""
    searches = {Kind.PHOTO: "photos found by words", Kind.TEXT: "texts found by photo"}
    named = ", ".join(searches[kind] for kind in info.hubness)
    return f"for hubness: {named}" if named else "nothing for hubness"


def _table(info: LibraryInfo, library: Path) -> Table:
    """Lay out the facts for a person."""
    facts = {
        "library": str(library),
        "folders": "\n".join(map(str, info.folders)) or "none yet",
        "photos": f"{info.photos:,}",
        "texts": f"{info.texts:,}",
        "skipped": f"{info.skipped:,} files could not be read" if info.skipped else "",
        "model": f"{info.model} ({info.fingerprint[:12]}), {info.dim} dimensions",
        "corrected": _corrected(info),
        "on disk": f"{info.bytes / 1e6:,.1f} MB, format {info.format}",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(name, Text("\n".join(map(printable, value.split("\n")))))
    return table
