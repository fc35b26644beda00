"""`twinlens export`: copy, link or list the hits of a search in a folder."""

from __future__ import annotations

from pathlib import Path

import click

import retrieval
from retrieval.cli.console import counted, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_one_of
from retrieval.cli.search_options import QueryCommand, Question, with_question


@click.command(
    cls=QueryCommand,
    epilog=example(
        'twinlens export "a dog on a beach" --to dogs --top 50',
        'twinlens export "a dog" - "snow" --to dogs --link',
    ),
)
@with_question
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files; it is created if it does not exist.",
)
@with_one_of(
    "way",
    (
        (("--copy",), "copy", "Copy the files [default]."),
        (("--link",), "link", "Make symbolic links to the files."),
        (("--list",), "list", "Write only the manifest."),
    ),
)
def command(question: Question, folder: Path, way: str | None) -> int:
    """Copy, link or list the files that a search finds.

    QUERY is that of `twinlens search`. DIR receives the files and manifest.csv, which lists the
    name, source, score and match probability of each. Nothing in DIR is overwritten: if a name
    is taken, the new file gets a number.
    """
    hits = question.answers()
    if not hits:
        return ExitCode.NOTHING
    done = retrieval.export_hits(hits, folder, retrieval.ExportMode(way or "copy"), note)
    note(f"{counted(len(done.files), 'file')}, listed in {done.manifest}")
    for path in done.missing:
        note(f"skipping {path}: it is gone or cannot be read")
    return ExitCode.SKIPPED if done.missing else ExitCode.DONE
