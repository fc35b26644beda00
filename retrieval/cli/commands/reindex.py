"""`twinlens reindex`: embed the library again with another model."""

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
    """Embed the whole library again, with another model.

    Searches use the old model until everything is embedded; then one commit switches to the new
    one. If the command is stopped before that, the library is unchanged, and the same command
    continues where it stopped. Until it ends, it needs the disk space of two libraries. If a
    drive is unplugged, nothing is changed; --prune leaves out the files that are not found.
    """
    with retrieval.Library.open(library) as opened:
        total, before = opened.catalog.count_files(), opened.fingerprint
    encoder = model.quick()
    if encoder.fingerprint == before:
        note(f"the library uses {encoder.name} already; everything is embedded again")
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
        note("learned names belong to the previous model; learn them again with: twinlens learn")
    click.echo(
        f"embedded {done.photos:,} photos and {done.texts:,} texts with {encoder.name} "
        f"in {done.seconds:.1f} s"
    )
    return ExitCode.SKIPPED if new else ExitCode.DONE
