"""`twinlens read`: read the text that the photos of a library show."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import retrieval
from retrieval.cli.console import counted, list_skipped, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_json, with_library, with_patience
from retrieval.cli.progress import progress

if TYPE_CHECKING:
    from retrieval import LockTimeout, ReadingProgress, ReadingReport


@click.command(epilog=example("twinlens read", 'twinlens search "invoice 2023"'))
@click.argument(
    "folders",
    nargs=-1,
    metavar="[FOLDER]...",
    type=click.Path(resolve_path=True, path_type=Path),
)
@with_library
@click.option(
    "--again",
    is_flag=True,
    help="Read every photo, also those that were read before or seem to show no text.",
)
@with_patience
@with_json
def command(
    folders: tuple[Path, ...], library: Path, again: bool, patience: LockTimeout, as_json: bool
) -> int:
    """Read the text in photos: documents, screenshots, signs.

    Searches then find photos by these words: "invoice 2023", or text:"total" for photos that
    show exactly that. It reads Chinese, Japanese, and languages in Latin letters, and needs the
    extra `ocr`.

    Photos of the library are read that were not read before, below each FOLDER or everywhere.
    You can stop this at any time; the next run goes on from there.
    """
    with retrieval.PhotoLibrary.open(library, create=False, timeout=patience) as opened:
        report = read_with_progress(opened, folders, again=again)
    if as_json:
        click.echo(json.dumps(_summary(report)))
    return ExitCode.SKIPPED if report.skipped else ExitCode.DONE


def read_with_progress(
    library: retrieval.PhotoLibrary, folders: tuple[Path, ...], *, again: bool = False
) -> ReadingReport:
    """Read the text of photos; show the progress, and what was found."""
    with progress("reading text", last="committing") as report:

        def show(reading: ReadingProgress) -> None:
            report(reading.done, reading.total)

        done = library.read(*folders, again=again, progress=show)
    list_skipped(done.skipped)
    note(
        f"{counted(done.with_text, 'photo')} with text, of {counted(done.photos, 'photo')} that "
        f"had not been read ({done.looked_at:,} looked at closely, {done.seconds:,.0f} s)"
    )
    return done


def _summary(report: ReadingReport) -> dict[str, object]:
    """Return a report as plain values."""
    values = asdict(report)
    skipped = [{"path": str(skip.path), "reason": skip.reason} for skip in report.skipped]
    return {**values, "skipped": skipped, "seconds": round(report.seconds, 2)}
