"""Hits on a terminal: a table, or a preview of each photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from indexer.types import Kind
from retrieval.cli.console import printable
from retrieval.cli.hits import percent
from retrieval.cli.preview import show

if TYPE_CHECKING:
    from retrieval import Hit

FIXED = 16  # cells of rank, score, and the space between columns
SCORE = 7  # of these the score's
MATCH = 7  # and those of the probability
DATE = 12  # and of a date
UNLIKELY = "— unlikely from here on —"
PATH_SHARE = 0.34  # of the rest that a path may have beside a text


def write_table(
    hits: Sequence[Hit], console: Console | None = None, *, dated: bool = False
) -> None:
    """Print hits as a table that fits the console, by default stdout.

    A column that says nothing is left out.
    """
    console = console or Console()
    texts = any(hit.kind == Kind.TEXT for hit in hits)
    matches = any(hit.match is not None for hit in hits)
    scored = any(hit.score for hit in hits)  # what filters alone find has no score
    room = max(10, console.width - FIXED - MATCH * matches - DATE * dated + SCORE * (not scored))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", justify="right", style="dim", no_wrap=True)
    if scored:
        table.add_column("score", justify="right", no_wrap=True)
    if matches:
        table.add_column("match", justify="right", no_wrap=True)
    if dated:
        table.add_column("taken", no_wrap=True)
    if texts:
        table.add_column("text", ratio=1)
    table.add_column("file", no_wrap=True)
    width = int(room * PATH_SHARE) if texts else room
    unlikely = len(table.columns) * [""]
    unlikely[-1] = UNLIKELY
    for before, hit in zip([None, *hits], hits, strict=False):
        if before is not None and before.likely and not hit.likely and not dated:
            table.add_row(*unlikely, style="dim")
        told = [f"{hit.score:.3f}"] * scored + [percent(hit.match)] * matches
        told += [_day(hit)] * dated + [printable(hit.text)] * texts
        table.add_row(str(hit.rank), *map(Text, told), _link(hit, width, dim=texts))
    console.print(table)


def _day(hit: Hit) -> str:
    """Say on which day a photo was taken; nothing where that is not known."""
    return hit.about.taken.date().isoformat() if hit.about.taken else ""


def write_previews(hits: Sequence[Hit]) -> None:
    """Print each hit with its photo below it."""
    console = Console()
    for hit in hits:
        told = (str(hit.rank), f"{hit.score:.3f}", percent(hit.match))
        line = Text("  ".join(filter(None, told)) + "  ", style="dim")
        room = max(10, console.width - line.cell_len)
        console.print(line + _link(hit, room, dim=False), no_wrap=True)
        if hit.kind == Kind.PHOTO:
            show(hit.path, console, hit.time)
        else:
            console.print(Text(printable(hit.text)))


def _link(hit: Hit, width: int, *, dim: bool) -> Text:
    """Show the end of a path, linked to the file where the terminal can."""
    style = Style(dim=dim, link=hit.path.absolute().as_uri() if hit.path.is_absolute() else None)
    return Text(shorten_left(printable(hit.where), width), style=style)


def shorten_left(text: str, width: int) -> str:
    """Cut a text from the left to at most `width` terminal cells: the end of a path tells most."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return "…" + text
