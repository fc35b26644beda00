"""`twinlens duplicates`: find exact and near copies of photos."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import retrieval
from indexer.core.file_access import unreachable
from indexer.core.types import Kind
from retrieval.cli.console import bare, counted, note, printable, put
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_library, with_one_of
from retrieval.cli.output import with_sheet
from retrieval.cli.progress import progress

if TYPE_CHECKING:
    from indexer.duplicates.finder import DuplicateFile, DuplicateGroup

ALIKE = 0.9  # as `indexer.duplicates.similarity` has it, whose import takes in numpy


_FLAGS = (
    (("--json",), "json", "Print one JSON object per group."),
    (
        ("-f", "--filepath-only"),
        "paths",
        "Print only the paths of copies that can be deleted, one per line: exact copies, or near "
        "ones with --near.",
    ),
    (("-0", "--null"), "nul", "Like -f, but each path is followed by NUL."),
)


def with_layout(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, `-f` and `-0`; the command takes `layout: str`."""

    @with_one_of("layout", _FLAGS)
    @wraps(function)
    def wrapped(*, layout: str | None, **others: Any) -> Any:
        return function(layout=layout or "groups", **others)

    return wrapped


@click.command(epilog=example("twinlens duplicates ~/Pictures --html duplicates.html"))
@click.argument(
    "folders", nargs=-1, metavar="[FOLDER]...", type=click.Path(resolve_path=True, path_type=Path)
)
@with_library
@click.option(
    "--threshold",
    metavar="C",
    type=click.FloatRange(min=0, max=1),
    default=ALIKE,
    show_default=True,
    help="Correlation at which two pictures count as near copies.",
)
@click.option(
    "--near",
    is_flag=True,
    help="Show only near copies.",
)
@with_layout
@with_sheet
def command(
    *,
    folders: tuple[Path, ...],
    library: Path,
    threshold: float,
    near: bool,
    layout: str,
    html: Path | None,
) -> int:
    """Find exact and near copies of photos.

    Exact copies show the same picture, in every frame and page. Near copies were resized,
    recompressed, brightened or slightly cropped. Each group begins with the photo to keep and
    says why. These count, in this order: more metadata, an earlier date, more bits per colour,
    more pixels, an older file. Only indexed photos are compared. Nothing is deleted.
    """
    with retrieval.Library.open(library) as opened, progress("comparing") as report:
        groups = retrieval.find_duplicates(opened, folders, alike=threshold, progress=report)
    groups = [group for group in groups if not (near and group.exact)]
    if html is not None:
        _write_sheet(groups, html, _summary(groups, threshold))
    # Never both kinds in one list: who drops exact copies unseen shall not drop near ones too.
    listed = [group for group in groups if group.exact != near] if layout in _BARE else groups
    away = unreachable(group.keep for group in listed if layout in _BARE)
    for line in _LAYOUTS[layout]([group for group in listed if group.keep not in away]):
        put(line)
    note(_summary(groups, threshold))
    if layout in _BARE:
        _note_unlisted(groups, listed)
    for path in sorted(away):
        note(f"left out: copies of {path}, which is not reachable now")
    return ExitCode.DONE if groups else ExitCode.NOTHING


def _lines(groups: Sequence[DuplicateGroup]) -> Iterator[str]:
    """Show each group below a line that says what it is."""
    for group in groups:
        yield f"{_heading(group)}\n"
        for copy in group.copies:
            size = f"{copy.width} × {copy.height}"
            yield f"  {size:>13}  {_bytes(copy.bytes):>9}  {printable(str(copy.path))}\n"
            yield from (f"{'':>28}also {printable(str(link))}\n" for link in copy.links)
            if copy.alone:
                yield f"{'':>28}only this copy has: {', '.join(copy.alone)}\n"
        yield f"  keep the first: {printable(group.why)}\n"


def _bytes(count: int) -> str:
    """Say how large a file is."""
    return f"{max(1, round(count / 1e3))} KB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def _json(groups: Sequence[DuplicateGroup]) -> Iterator[str]:
    """Show each group as one JSON object."""
    for group in groups:
        told = {
            "kind": "exact" if group.exact else "near",
            "alike": round(group.alike, 4),
            "keep": str(group.keep),
            "why": group.why,
            "copies": [_as_json(copy) for copy in group.copies],
        }
        yield json.dumps(told) + "\n"


def _as_json(copy: DuplicateFile) -> dict[str, object]:
    """Return one copy as JSON has it."""
    return {
        "path": str(copy.path),
        "width": copy.width,
        "height": copy.height,
        "bytes": copy.bytes,
        "links": [str(link) for link in copy.links],
        "alone": list(copy.alone),
    }


def _paths(end: str) -> Callable[[Sequence[DuplicateGroup]], Iterator[str]]:
    """Show the paths of the copies that can be dropped."""

    def lines(groups: Sequence[DuplicateGroup]) -> Iterator[str]:
        spare = (str(path) for group in groups for path in group.spare)
        yield from (bare(path) + end for path in dict.fromkeys(spare))

    return lines


_BARE = ("paths", "nul")
_LAYOUTS = {"groups": _lines, "json": _json, "paths": _paths("\n"), "nul": _paths("\0")}


def _heading(group: DuplicateGroup) -> str:
    """Say what a group is."""
    count = len(group.copies)
    return (
        f"{count} exact copies"
        if group.exact
        else f"{count} near copies, correlation {group.alike:.3f}"
    )


def _summary(groups: Sequence[DuplicateGroup], threshold: float) -> str:
    """Say how much there is of what."""
    if not groups:
        return f"no duplicates: no exact copies, and no near copies of correlation {threshold:g}"
    exact = sum(group.exact for group in groups)
    spare = {copy for group in groups for copy in group.copies[1:]}
    size = sum(copy.bytes for copy in spare)
    copies = "copy" if len(spare) == 1 else "copies"
    return (
        f"{counted(len(groups), 'group')}: {exact:,} exact, {len(groups) - exact:,} near "
        f"(correlation {threshold:g} or more); {len(spare):,} {copies} to spare, {_bytes(size)}"
    )


def _note_unlisted(groups: Sequence[DuplicateGroup], listed: Sequence[DuplicateGroup]) -> None:
    """Say which copies a list of bare paths leaves out."""
    left = len(groups) - len(listed)
    if left:
        note(f"{counted(left, 'group')} of near copies not listed; list them with --near")
    alone = sum(bool(copy.alone) for group in listed for copy in group.copies)
    if alone:
        note(
            f"not listed: copies that have something which the kept one lacks ({alone:,}); show "
            "them without -f or -0"
        )


def _write_sheet(groups: Sequence[DuplicateGroup], path: Path, summary: str) -> None:
    """Write the contact sheet and say where it is."""
    rows = [
        retrieval.SheetRow(
            answers=[
                retrieval.Hit(
                    rank=rank, score=group.alike, kind=Kind.PHOTO, path=copy.path, text="", id=0
                )
                for rank, copy in enumerate(group.copies, start=1)
            ],
            title=_heading(group),
            aside=f"keep the first: {group.why}",
            captions=[_facts(copy) for copy in group.copies],
            marks=["keep", *[""] * (len(group.copies) - 1)],
        )
        for group in groups
    ]
    title = f"Duplicates: {counted(len(groups), 'group')}"
    told = f"{summary}. The copy to keep comes first; dates are those of the files."
    retrieval.write_contact_sheet(rows, path, title=title, note=told, heading="Duplicates")
    note(f"contact sheet: {path}")


def _facts(copy: DuplicateFile) -> str:
    """Say how large a copy is, the date of its file, and what it has that the kept one lacks."""
    facts = [f"{copy.width} × {copy.height}", _bytes(copy.bytes)]
    with suppress(OSError, OverflowError, ValueError):  # gone meanwhile, or a date beyond all
        written = datetime.fromtimestamp(copy.path.stat().st_mtime)
        facts.append(written.date().isoformat())
    if copy.alone:
        facts.append(f"only this copy has: {', '.join(copy.alone)}")
    return " · ".join(facts)
