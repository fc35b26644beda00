"""`twinlens reindex`: the same library, of another model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import retrieval
from retrieval.cli.commands.index import with_index_options, with_prune
from retrieval.cli.console import list_new_skips, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_library, with_model, with_patience
from retrieval.cli.progress import progress
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from retrieval import IndexOptions, LockTimeout


@click.command(epilog=example("twinlens reindex --model ViT-B-32/laion2b_s34b_b79k"))
@with_library
@with_model("builtin")
@with_index_options
@with_prune
@with_patience
def command(library: Path, model: ModelChoice, options: IndexOptions, patience: LockTimeout) -> int:
    """Embed the whole library anew, with another model.

    Searches go on with the old model until all is done; then one commit switches. Killed
    before that, the library is as it was, and the same command goes on where it stopped. It
    takes the disk space of two libraries meanwhile. While a drive is away nothing is changed;
    --prune leaves behind what is not found.
    """
    with retrieval.Library.open(library) as opened:
        total, before = opened.catalog.count_files(), opened.fingerprint
    encoder = model.quick()
    if encoder.fingerprint == before:
        note(f"the library is of {encoder.name} already; all is embedded anew all the same")
    with progress("embedding") as report:
        done = retrieval.reindex(
            library,
            encoder,
            options=options,
            patience=patience,
            progress=lambda step: report(step.files, max(total, step.files), step.photos),
        )
    new = list_new_skips(done.skipped, done.still)
    if any((library / "concepts").glob("*")):
        note("learned names belong to the model before; learn them again with: twinlens learn")
    click.echo(
        f"{done.photos:,} photos and {done.texts:,} texts are of {encoder.name} now, "
        f"in {done.seconds:.1f} s"
    )
    return ExitCode.SKIPPED if new else ExitCode.DONE
