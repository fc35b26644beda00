"""`twinlens check`: is the library whole?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import retrieval
from indexer.core.errors import LibraryDamaged, TwinlensError
from retrieval.cli.console import counted, note, printable
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_json, with_library, with_patience

if TYPE_CHECKING:
    from indexer.library.lock import LockTimeout
    from retrieval import Finding


@click.command(epilog=example("twinlens check", "twinlens check --repair"))
@with_library
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@with_patience
@with_json
def command(library: Path, repair: bool, patience: LockTimeout, as_json: bool) -> int:
    """Look for damage in the library.

    Every file of the library is read and compared with its checksums. Each finding says what is
    wrong, where, and what to do. No photo is touched.
    """
    if repair:
        done = retrieval.repair(library, patience=patience)
        _print(done.mended, as_json, mended=True)
        if done.dropped:
            note(
                f"{counted(done.dropped, 'file')} dropped, without their vectors; "
                "embed them anew with: twinlens index"
            )
        left = _with_model(library, list(done.left))
    else:
        left = retrieval.check(library)
    left += _names(library)
    _print(left, as_json, mended=False)
    if not left and not as_json:
        click.echo("the library is whole")
    return LibraryDamaged.exit_code if any(finding.grave for finding in left) else ExitCode.DONE


def _with_model(library: Path, left: list[Finding]) -> list[Finding]:
    """Make anew what takes the model of the library, and return what is still wrong."""
    with retrieval.Library.open(library) as opened:
        banks = library / opened.view.facts().banks
        if banks not in [finding.path for finding in left]:
            return left
        try:
            restored = opened.restore_banks(retrieval.quick_encoder(opened.model, note=note))
        except TwinlensError as error:
            note(f"the model is needed to mend {banks}: {error}")
            return left
    return retrieval.check(library) if restored else left


def _names(library: Path) -> list[Finding]:
    """Look at the learned names."""
    _, skipped = retrieval.Concepts(library).read()
    remedy = "learn it again with: twinlens learn"
    return [
        retrieval.Finding(path=skip.path, fault=f"is a {skip.reason}", remedy=remedy)
        for skip in skipped
    ]


def _print(findings: Iterable[Finding], as_json: bool, *, mended: bool) -> None:
    """Print one finding a line."""
    for finding in findings:
        if as_json:
            values = {**asdict(finding), "path": str(finding.path), "mended": mended}
            click.echo(json.dumps(values))
        else:
            end = "mended" if mended else finding.remedy
            click.echo(printable(f"{finding.path} {finding.fault}; {end}"))
