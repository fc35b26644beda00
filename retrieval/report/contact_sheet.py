"""The contact sheet: queries and what they found, as one self-contained HTML file.

Photos are embedded as small JPEGs, so the file can be mailed or kept. It runs no script and
fetches nothing.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from indexer.errors import FileUnreadable
from indexer.pictures import read_picture
from indexer.reach import NOT_REACHABLE, unreachable
from indexer.types import Kind, spot

THUMBNAIL = 480  # pixels of the longer side: sharp at 240 CSS pixels on a dense screen
QUALITY = 80  # of the JPEG; about 30 KB a thumbnail


class Answer(Protocol):
    """One answer of a search, as the sheet shows it; `retrieval.search.Hit` is one."""

    @property
    def rank(self) -> int:
        """Place among the answers, from 1."""

    @property
    def score(self) -> float:
        """Higher is better."""

    @property
    def match(self) -> float | None:
        """How likely it is a match, from 0 to 1, where that is known."""

    @property
    def kind(self) -> Kind:
        """A photo or a text."""

    @property
    def path(self) -> Path:
        """The file it lies in."""

    @property
    def text(self) -> str:
        """The passage that was found; empty for a photo."""

    @property
    def time(self) -> float | None:
        """How many seconds into its video a frame is shown; None for what is no frame."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One query and its answers. The query is `words` or a `photo`; or `title` says what they are.

    `aside` says below it what else was asked: an instruction, filters.

    `captions` are shown in place of scores, one an answer, in the order of rank.
    """

    answers: Sequence[Answer]
    words: str = ""
    photo: Path | None = None
    title: str = ""
    aside: str = ""
    captions: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A photo as the page embeds it; without `uri`, `reason` says why it cannot be shown."""

    name: str
    path: str
    uri: str = ""
    reason: str = ""


def contact_sheet(rows: Iterable[Row], path: Path, *, title: str, note: str = "") -> None:
    """Write the queries and their answers to `path` as one HTML file.

    Args:
        rows: what was asked and found, in the order of the page.
        path: the file to write; its folder must exist.
        title: the heading.
        note: one line below it, e.g. which model searched how many photos.

    Raises:
        OSError: the file cannot be written.
    """
    template = _environment().get_template("contact_sheet.html")
    page = template.render(rows=list(rows), title=title, note=note)
    path.write_text(page, encoding="utf-8", errors="replace")


def _environment() -> Environment:
    """Make the template engine: it escapes every value and fails on a missing one."""
    environment = Environment(
        loader=PackageLoader("retrieval", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture"] = _picture
    environment.filters["away"] = _away
    return environment


def _away(path: Path) -> str:
    """Say that a file is not reachable, if it is not."""
    return NOT_REACHABLE if unreachable([path]) else ""


def _picture(path: Path, time: float | None = None) -> _Picture:
    """Read a photo or a frame as a thumbnail, or say why it cannot be shown."""
    name, where = spot(path.name, time), spot(str(path), time)
    try:
        uri = _data_uri(read_picture(path, time=time, size_hint=THUMBNAIL // 2))
    except FileUnreadable as error:
        reason = f"{NOT_REACHABLE}: {error}" if _away(path) else str(error)
        return _Picture(name=name, path=where, reason=reason)
    return _Picture(name=name, path=where, uri=uri)


def _data_uri(photo: Image.Image) -> str:
    """Shrink a photo and encode it as a `data:` address."""
    photo.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    photo.save(jpeg, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii")
