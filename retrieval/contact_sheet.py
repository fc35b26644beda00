"""The contact sheet: queries and their hits, as one self-contained HTML file.

Photos are embedded as small JPEGs, so the file can be mailed or kept. It runs no script and
loads nothing; a Content-Security-Policy in its head forbids both. Each picture is a link to its
file, which works where the file is.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image, ImageDraw

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import NOT_REACHABLE, unreachable
from indexer.core.types import Kind, TextLine, clock, printable, readable, spot
from indexer.decoding.render import read_picture
from retrieval.output_files import PAGE_MARK, check_page, written

THUMBNAIL = 480  # pixels of the longer side: sharp at 240 CSS pixels on a dense screen
FRAME, FRAME_COLOUR = 2, "#d2571e"  # pixels and colour of a frame around a line of text
QUALITY = 80  # of the JPEG; about 30 KB a thumbnail


class SheetAnswer(Protocol):
    """One hit of a search, as the sheet shows it; `retrieval.search.Hit` is one.

    One with `lines` of text in its picture, as a hit has, gets them framed and quoted.
    """

    @property
    def rank(self) -> int:
        """Rank among the hits, from 1."""

    @property
    def score(self) -> float:
        """Higher is better."""

    @property
    def match(self) -> float | None:
        """The match probability, from 0 to 1, or None if it is unknown."""

    @property
    def kind(self) -> Kind:
        """A photo or a text."""

    @property
    def path(self) -> Path:
        """The path of its file."""

    @property
    def text(self) -> str:
        """The passage that was found; empty for a photo."""

    @property
    def time(self) -> float | None:
        """The position of a frame in its video in seconds; None for other items."""


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """One query and its hits. The query is `words` or a `photo`; or `title` describes the hits.

    `aside` is shown below it: an instruction, filters. `captions` are shown in place of scores, and
    `marks` before the names; either is empty, or has one entry for each hit, in their order. Two
    rows that are a `half` stand side by side.
    """

    answers: Sequence[SheetAnswer]
    words: str = ""
    photo: Path | None = None
    title: str = ""
    aside: str = ""
    captions: Sequence[str] = ()
    marks: Sequence[str] = ()
    half: bool = False


class _Tile(NamedTuple):
    """A hit with its caption and mark."""

    answer: SheetAnswer
    caption: str
    mark: str


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A photo as the page embeds it; without `uri`, `reason` says why it cannot be shown.

    Attributes:
        name: of the file, for people.
        label: the same with the time of a frame, "clip.mp4 @ 0:12".
        path: of the file, with that time.
        href: the address of the file; empty if it is not there.
        uri: the thumbnail.
        reason: why there is no thumbnail.
        width: of the thumbnail in pixels.
        height: of the thumbnail in pixels.
        time: when a frame of a video is shown, "0:12".
    """

    name: str
    label: str
    path: str
    href: str
    uri: str = ""
    reason: str = ""
    width: int = 0
    height: int = 0
    time: str = ""


def write_contact_sheet(
    rows: Iterable[SheetRow], path: Path, *, title: str, note: str = "", heading: str = ""
) -> None:
    """Write queries and their hits to `path` as one HTML file.

    Args:
        rows: the queries and their hits, in the order of the page.
        path: the file to write; its folder must exist. An existing page or contact sheet is
            replaced, any other file is not.
        title: of the page, as the browser shows it.
        note: one line below the heading, e.g. which model searched how many photos.
        heading: of the page, if it is not the title.

    Raises:
        UsageError: another file is there, or there is no such folder.
        TwinlensError: the file cannot be written.
    """
    check_page(path)
    template = _environment().get_template("contact_sheet.html")
    page = template.generate(
        rows=list(rows), title=title, note=note, heading=heading or title, mark=Markup(PAGE_MARK)
    )
    with (
        written(path) as part,
        part.open("w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        file.writelines(page)


def _environment() -> Environment:
    """Make the template engine: it escapes every value and fails on a missing one."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "address": _address,
        "away": _away,
        "digest": _digest,
        "by_kind": _by_kind,
        "picture": _picture,
        "shown": _shown,
    }
    return environment


def _away(path: Path) -> str:
    """Say that a file is not reachable, if it is not."""
    return NOT_REACHABLE if unreachable([path]) else ""


def _by_kind(row: SheetRow) -> list[tuple[Kind, list[_Tile]]]:
    """Return the answers of a row with their captions and marks, photos and texts apart."""
    texts = zip_longest(row.answers, row.captions, row.marks, fillvalue="")
    tiles = [_Tile(answer, caption, mark) for answer, caption, mark in texts]  # type: ignore[arg-type]
    kinds = dict.fromkeys(tile.answer.kind for tile in tiles)
    return [(kind, [tile for tile in tiles if tile.answer.kind == kind]) for kind in kinds]


def _picture(path: Path, time: float | None = None, lines: Sequence[TextLine] = ()) -> _Picture:
    """Read a photo or a frame as a thumbnail with lines framed, or say why it cannot be shown."""
    plain = _Picture(
        name=_shown(path.name),
        label=_shown(spot(path.name, time)),
        path=_shown(spot(str(path), time)),
        href=_address(path, time),
        time="" if time is None else clock(time),
    )
    try:
        photo = read_picture(path, time=time, size_hint=THUMBNAIL // 2)
    except FileUnreadable as error:
        reason = f"{NOT_REACHABLE}: {error}" if _away(path) else str(error)
        return replace(plain, reason=reason)
    photo.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    _frame(photo, lines)
    return replace(plain, uri=_data_uri(photo), width=photo.width, height=photo.height)


def _frame(photo: Image.Image, lines: Sequence[TextLine]) -> None:
    """Draw a frame around each line of text."""
    pen = ImageDraw.Draw(photo)
    for line in lines:
        left, top, width, height = line.box
        corners = (left, top, left + width, top + height)
        sides = (photo.width, photo.height, photo.width, photo.height)
        box = [share * side for share, side in zip(corners, sides, strict=True)]
        around = (box[0] - FRAME, box[1] - FRAME, box[2] + FRAME, box[3] + FRAME)
        pen.rectangle(around, outline=FRAME_COLOUR, width=FRAME)


def _address(path: Path, time: float | None = None) -> str:
    """Return the `file:` address of a file, of a video at a time; empty if it is not there.

    Every byte of a name that means something in an address is escaped: # ? % quotes, a newline, and
    bytes that are no UTF-8.
    """
    if not os.path.exists(path):  # noqa: PTH110 - a path with a NUL is not there, too
        return ""
    moment = "" if time is None else f"#t={time:.3f}"
    return path.absolute().as_uri() + moment


def _shown(name: str) -> str:
    """Return a name as a page can show it: no control characters, no bytes that are no UTF-8."""
    return printable(readable(name))


def _digest(style: str) -> str:
    """Hash a style, so that the page's policy allows this one and no other."""
    return base64.b64encode(sha256(style.encode("utf-8")).digest()).decode("ascii")


def _data_uri(photo: Image.Image) -> str:
    """Encode a photo as a `data:` address."""
    jpeg = io.BytesIO()
    photo.save(jpeg, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii")
