"""Show hits on a terminal: as a table, or as a preview of each photo.

Photos are drawn by Kitty's protocol, sixel (iTerm2, foot, WezTerm, xterm), or blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import NOT_REACHABLE
from indexer.core.types import Kind
from indexer.decoding.render import read_picture
from retrieval.cli.console import printable
from retrieval.cli.terminal import terminal
from retrieval.search.results import percent

if TYPE_CHECKING:
    from retrieval import Hit

FIXED = 16  # cells of rank, score, and the space between columns
SCORE = 7  # of these the score's
MATCH = 7  # and those of the probability
DATE = 12  # and of a date
UNLIKELY = "— unlikely from here on —"
PATH_SHARE = 0.34  # of the rest that a path may have beside a text


CELLS = 40
"""Width of a preview in terminal cells; its height follows."""

_NO_SIZE = "(not drawn: this terminal reports no size; set one with: stty cols 80 rows 24)"

_PIXELS = 400  # of the shorter side, at least: some ten a cell, as dense terminals have


def write_table(
    hits: Sequence[Hit],
    console: Console | None = None,
    *,
    dated: bool = False,
    away: frozenset[Path] = frozenset(),
) -> None:
    """Print hits as a table that fits the console, by default stdout.

    A column that says nothing is left out. Files that are away are marked.
    """
    console = console or terminal()
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
        if (before is None or before.likely) and not hit.likely and not dated:
            table.add_row(*unlikely, style="dim")
        told = [f"{hit.score:.3f}"] * scored + [percent(hit.match)] * matches
        told += [_day(hit)] * dated + [printable(hit.text)] * texts
        table.add_row(str(hit.rank), *map(Text, told), _link(hit, width, away, dim=texts))
        if hit.lines:
            empty = (len(table.columns) - 1) * [""]
            table.add_row(*empty, Text(_quoted(hit, width), style="dim"))
    console.print(table)


def _quoted(hit: Hit, width: int) -> str:
    """Quote the lines of a photo's text that match, as far as there is room."""
    text = "“" + printable(" · ".join(line.text for line in hit.lines)) + "”"
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _day(hit: Hit) -> str:
    """Say on which day a photo was taken; nothing where that is not known."""
    return hit.about.taken.date().isoformat() if hit.about.taken else ""


def write_previews(hits: Sequence[Hit], away: frozenset[Path] = frozenset()) -> None:
    """Print each hit with its photo below it."""
    console = terminal()
    for hit in hits:
        told = (str(hit.rank), f"{hit.score:.3f}", percent(hit.match))
        line = Text("  ".join(filter(None, told)) + "  ", style="dim")
        room = max(10, console.width - line.cell_len)
        console.print(line + _link(hit, room, away, dim=False), no_wrap=True)
        if hit.kind == Kind.PHOTO and hit.path not in away:
            show(hit.path, console, hit.time)
        elif hit.kind == Kind.TEXT:
            console.print(Text(printable(hit.text)))


def _link(hit: Hit, width: int, away: frozenset[Path], *, dim: bool) -> Text:
    """Show the end of a path, linked to the file where the terminal can; say if it is away."""
    if hit.path in away:
        mark = f"  {NOT_REACHABLE}"
        return Text(shorten_left(printable(hit.where), max(1, width - len(mark))) + mark, "dim")
    style = Style(dim=dim, link=hit.path.absolute().as_uri() if hit.path.is_absolute() else None)
    return Text(shorten_left(printable(hit.where), width), style=style)


def shorten_left(text: str, width: int) -> str:
    """Cut a text from the left to at most `width` terminal cells: the end of a path tells most."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return "…" + text


def show(path: Path, console: Console, time: float | None = None) -> None:
    """Draw a photo, or a frame of a video, as this terminal can; or say why it cannot be read."""
    try:
        photo = read_picture(path, time=time, size_hint=_PIXELS // 2)
    except FileUnreadable as error:
        console.print(Text(f"({error})", style="dim"))
        return
    # Else it prints a traceback on a terminal that does not say how large its cells are.
    logging.getLogger("textual_image").setLevel(logging.CRITICAL)
    # Imported here: it asks the terminal what it can draw as soon as it is imported.
    drawing = import_module("textual_image.renderable")
    width = min(CELLS, console.width)
    try:
        try:
            console.print(drawing.Image(photo, width=width, height="auto"))
        except ValueError:  # so wide a photo that its height is less than half a line
            console.print(drawing.Image(photo, width=width, height=1))
    except ZeroDivisionError:  # it divides by the columns that the terminal says it has
        console.print(Text(_NO_SIZE, style="dim"))
