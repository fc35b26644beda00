"""`twinlens check`: verify and repair the library."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import retrieval
from indexer.core.errors import LibraryDamaged
from retrieval.cli.console import counted, note, printable
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_json, with_library, with_patience

if TYPE_CHECKING:
    from indexer.library.lock import LockTimeout
    from retrieval import Finding


@click.command(epilog=example("twinlens check", "twinlens check --repair"))
@with_library
@click.option("--repair", is_flag=True, help="Repair what can be repaired.")
@with_patience
@with_json
def command(library: Path, repair: bool, patience: LockTimeout, as_json: bool) -> int:
    """Check the library for damage.

    It reads every file of the library and compares it with its checksums. Each finding says what
    is wrong, where, and what to do. Your photos are not touched.
    """
    if repair:
        done = retrieval.repair(library, patience=patience)
        _print(done.mended, as_json, mended=True)
        if done.dropped:
            note(
                f"{counted(done.dropped, 'file')} removed, whose vectors were lost; "
                "embed them again with: twinlens index"
            )
        for each in done.notes:
            note(each)
    left = done.left if repair else retrieval.check(library)
    _print(left, as_json, mended=False)
    if not left and not as_json:
        click.echo("the library is intact")
    return LibraryDamaged.exit_code if any(finding.grave for finding in left) else ExitCode.DONE


def _print(findings: Iterable[Finding], as_json: bool, *, mended: bool) -> None:
    """Print one finding a line."""
    for finding in findings:
        if as_json:
            values = {**asdict(finding), "path": str(finding.path), "mended": mended}
            click.echo(json.dumps(values))
        else:
            end = "repaired" if mended else finding.remedy
            click.echo(printable(f"{finding.path} {finding.fault}; {end}"))
