"""What a person sees of a file: a photo, the picture of a RAW, a frame of a video."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from indexer.formats import Form
from indexer.photos import MAX_MEGAPIXELS, photo_size, read_bytes, read_photo
from indexer.raws import read_raw
from indexer.sniffing import form_in
from indexer.videos import read_frame


def read_picture(
    path: Path,
    *,
    size_hint: int,
    time: float | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Image.Image:
    """Read the picture that a file shows, by its suffix; see `indexer.photos.read_photo`.

    Args:
        path: of the file.
        size_hint: pixels a side that are needed.
        time: of a frame, in seconds; None for the one that stands for its video.
        max_megapixels: larger ones are refused.

    Raises:
        FileUnreadable: the reason.
    """
    form = form_in(path)
    if form == Form.VIDEO:
        return read_frame(path, time, size_hint=size_hint, max_megapixels=max_megapixels)
    if form == Form.RAW:
        data = read_bytes(path)
        return read_raw(data, size_hint=size_hint, max_megapixels=max_megapixels).image
    return read_photo(path, size_hint=size_hint, max_megapixels=max_megapixels)


def picture_size(path: Path) -> tuple[int, int]:
    """Read width and height in pixels of a photo or a RAW; of a photo as they are stored.

    Raises:
        FileUnreadable: the reason.
    """
    if form_in(path) != Form.RAW:
        return photo_size(path)
    raw = read_raw(read_bytes(path), size_hint=1)
    return raw.width, raw.height
