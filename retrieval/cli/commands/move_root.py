"""`twinlens move-root`: give a moved folder its new path, and keep its vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import retrieval
from retrieval.cli.console import counted, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_library, with_patience

if TYPE_CHECKING:
    from retrieval import LockTimeout


@click.command("move-root", epilog=example("twinlens move-root /media/old/Pictures ~/Pictures"))
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(exists=True, file_okay=False, path_type=Path))
@with_library
@with_patience
def command(old: Path, new: Path, library: Path, patience: LockTimeout) -> int:
    """Record that a folder moved from OLD to NEW.

    Use it for a drive that is mounted elsewhere, or for a folder that you moved. No file is
    read or embedded again. OLD need not exist any more. If the command fails, all files keep
    their old paths.
    """
    with retrieval.Library.open(library) as opened, opened.writing(patience):
        paths = opened.move_root(old, new)
    click.echo(f"{counted(len(paths), 'file')} moved to {new}")
    missing = sum(not path.exists() for path in paths)
    if missing:
        note(f"{missing:,} of them cannot be found; the next twinlens index removes them")
    return ExitCode.DONE
