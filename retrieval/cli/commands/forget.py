"""`twinlens forget`: remove everything below a folder from the library."""

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


@click.command(epilog=example("twinlens forget ~/Pictures/screenshots"))
@click.argument("folder", type=click.Path(path_type=Path))
@with_library
@with_patience
def command(folder: Path, library: Path, patience: LockTimeout) -> int:
    """Remove everything below FOLDER from the library.

    The library's files are rewritten without it, and without everything that was removed
    before. Your own files are not touched. FOLDER may be a single file, and need not exist any
    more. To keep the next `twinlens index` from adding it again, list it in a .twinlensignore
    file of the folder above.
    """
    with retrieval.Library.open(library) as opened, opened.writing(patience):
        count = opened.forget(folder)
    if not count:
        note(f"the library contains no files of {folder}")
        return ExitCode.NOTHING
    click.echo(f"{counted(count, 'file')} forgotten")
    return ExitCode.DONE
