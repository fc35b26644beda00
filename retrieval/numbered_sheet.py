"""A contact sheet as one picture: photos in rows, each with its number, for a model to look at."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

from PIL import Image, ImageDraw, ImageFont

SIDE = 1536
"""Pixels of the sheet: models that read pictures make larger ones smaller."""

MOST = 60
"""Photos on a sheet; of more, too little would be seen."""

_CELL, _GAP, _FEWEST_COLUMNS = 256, 4, 6
_PAPER, _EMPTY, _LABEL, _INK = (24, 24, 24), (64, 64, 64), (0, 0, 0), (255, 255, 255)


def numbered_sheet(pictures: Sequence[Image.Image | None]) -> Image.Image:
    """Lay out pictures in rows, numbered from 1.

    Args:
        pictures: at most `MOST`; for None, an empty cell keeps its number.

    Returns:
        An RGB picture of at most `SIDE` pixels a side.
    """
    columns = min(len(pictures), max(_FEWEST_COLUMNS, ceil(sqrt(len(pictures)))))
    cell = min(_CELL, SIDE // columns)
    rows = ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * cell, rows * cell), _PAPER)
    for number, picture in enumerate(pictures, start=1):
        row, column = divmod(number - 1, columns)
        sheet.paste(_cell(picture, number, cell), (column * cell, row * cell))
    return sheet


def _cell(picture: Image.Image | None, number: int, side: int) -> Image.Image:
    """Draw one picture in the middle of a square, its number in the corner."""
    inner = side - _GAP
    cell = Image.new("RGB", (side, side), _PAPER)
    shown = Image.new("RGB", (inner, inner), _EMPTY) if picture is None else picture.copy()
    shown.thumbnail((inner, inner), Image.Resampling.BICUBIC)
    cell.paste(shown, ((side - shown.width) // 2, (side - shown.height) // 2))
    draw, font = ImageDraw.Draw(cell), ImageFont.load_default(size=side // 8)
    label = str(number)
    box = draw.textbbox((_GAP + 4, _GAP), label, font=font)
    draw.rectangle((_GAP, _GAP, box[2] + 4, box[3] + 4), fill=_LABEL)
    draw.text((_GAP + 4, _GAP), label, font=font, fill=_INK)
    return cell
