"""Draw photos in a terminal: Kitty's protocol, sixel (iTerm2, foot, WezTerm, xterm), or blocks."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.text import Text

from indexer.core.errors import FileUnreadable
from indexer.decoding.render import read_picture

CELLS = 40
"""Width of a preview in terminal cells; its height follows."""

_NO_SIZE = "(not drawn: this terminal reports no size; set one with: stty cols 80 rows 24)"

_PIXELS = 400  # of the shorter side, at least: some ten a cell, as dense terminals have


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
