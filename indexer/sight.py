"""What is seen of one file: its pictures, and what it says about itself.

All that parses the bytes of a photo, a RAW, a video or a sidecar is called from here, and this is
called in processes of their own alone: see `indexer.decoding`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from indexer.formats import Form
from indexer.metadata import read_metadata, read_raw_metadata, read_video_metadata
from indexer.photos import decoded
from indexer.raws import read_raw
from indexer.squares import Square
from indexer.types import Metadata
from indexer.videos import read_video


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a file is looked at.

    Attributes:
        form: how it is read.
        size_hint: pixels a side that are needed.
        max_megapixels: larger ones are refused.
        frames: of one video, at most.
        allow_truncated: read what is there of a photo that ends too early.
        square: the pictures are cut to it; whole, if it is None.
        sidecar: path of the `.xmp` file beside it, empty for none.
        pictures: whether they are wanted, or only what the file says.
    """

    form: Form
    size_hint: int
    max_megapixels: float
    frames: int
    allow_truncated: bool
    square: Square | None = None
    sidecar: str = ""
    pictures: bool = True


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Pictures, their times in a video, and what the file says; its position has no name yet.

    `remark` says what is wrong with a file whose picture is there all the same.
    """

    photos: tuple[Image.Image, ...]
    about: Metadata
    times: tuple[float, ...] = ()
    remark: str = ""


def see(body: bytes, look: Look) -> Seen:
    """Look at a file.

    Args:
        body: its content; of a video its path.
        look: how.

    Raises:
        FileUnreadable: the reason, fit for a list of skipped files.
    """
    seen = _whole(body, look)
    if look.square is None:
        return seen
    return replace(seen, photos=tuple(map(look.square.cut, seen.photos)))


def _whole(body: bytes, look: Look) -> Seen:
    """Look at a file; its pictures are not cut."""
    sidecar = Path(look.sidecar) if look.sidecar else None
    size_hint, cap = look.size_hint, look.max_megapixels
    if look.form == Form.VIDEO:
        path = Path(os.fsdecode(body))
        most = look.frames if look.pictures else 1
        video = read_video(path, size_hint=size_hint, max_megapixels=cap, most=most)
        size = (video.width, video.height)
        return Seen(
            photos=tuple(frame.image for frame in video.frames if look.pictures),
            about=read_video_metadata(video.tags, size=size, sidecar=sidecar),
            times=tuple(frame.time for frame in video.frames if look.pictures),
        )
    if look.form == Form.RAW:
        raw = read_raw(body, size_hint=size_hint, max_megapixels=cap)
        about = read_raw_metadata(body, size=(raw.width, raw.height), sidecar=sidecar)
        return Seen(photos=(raw.image,) if look.pictures else (), about=about)
    about = read_metadata(body, sidecar=sidecar)
    if not look.pictures:
        return Seen(photos=(), about=about)
    photo = decoded(body, size_hint=size_hint, max_megapixels=cap)
    return Seen(photos=(photo.image,), about=about, remark=photo.remark)


def look_back(values: Mapping[str, Any]) -> Look:
    """Return the look whose fields `asdict` gave. Of a square that says more, no more is read."""
    square = values["square"]
    if square is not None:
        square = Square(**{each.name: square[each.name] for each in fields(Square)})
    return Look(**{**values, "square": square})


def written(about: Metadata) -> dict[str, Any]:
    """Return metadata as what JSON can say."""
    return asdict(about) | {"taken": about.taken.isoformat() if about.taken else None}


def read_back(values: Mapping[str, Any]) -> Metadata:
    """Return the metadata that `written` wrote."""
    taken = datetime.fromisoformat(values["taken"]) if values["taken"] else None
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Metadata(**{**values, **lists, "taken": taken})
