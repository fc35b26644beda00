"""Pictures of a file for people: a photo, the preview of a RAW file, or a frame of a video.

They are decoded in the same child processes as files for a library (`indexer.decoding.pool`).
"""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_types import MediaType
from indexer.decoding.messages import DecodedFile, DecodeRequest
from indexer.media.file_signature import form_in
from indexer.media.image import MAX_MEGAPIXELS, read_bytes

_ANY_MEGAPIXELS = 100_000.0  # what is in a library was decoded before; memory is the limit


def read_picture(
    path: Path,
    *,
    size_hint: int,
    time: float | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    page: int | None = None,
) -> Image.Image:
    """Read the picture that a file shows, by its suffix; see `indexer.media.image.read_photo`.

    Args:
        path: of the file.
        size_hint: pixels a side that are needed.
        time: of a frame, in seconds; None for the one that stands for its video.
        max_megapixels: larger ones are refused.
        page: the number of a frame or page of a photo; None for the one that tells most.

    Raises:
        FileUnreadable: the reason.
    """
    form = form_in(path) or MediaType.PICTURE
    look = DecodeRequest(
        form=form,
        size_hint=size_hint,
        max_megapixels=max_megapixels,
        frames=1,
        one=True,
        time=time,
        page=page,
    )
    return looked_at(_body(path, form), look).photos[0]


def read_data(data: bytes, *, size_hint: int) -> Image.Image:
    """Read the photo that some bytes are; see `indexer.media.image.read_photo`.

    Raises:
        FileUnreadable: the reason.
    """
    look = DecodeRequest(
        form=MediaType.PICTURE,
        size_hint=size_hint,
        max_megapixels=MAX_MEGAPIXELS,
        frames=1,
        one=True,
    )
    return looked_at(data, look).photos[0]


def thumbnail_request(
    form: MediaType, pixels: int, *, time: float | None = None, page: int | None = None
) -> DecodeRequest:
    """Return the request for a WebP file that fits into a square of so many pixels a side."""
    return DecodeRequest(
        form=form,
        size_hint=1,
        max_megapixels=_ANY_MEGAPIXELS,
        frames=1,
        allow_truncated=True,
        one=True,
        time=time,
        page=page,
        thumbnail=pixels,
    )


def picture_size(path: Path) -> tuple[int, int]:
    """Read width and height in pixels of a photo or a RAW, upright.

    Raises:
        FileUnreadable: the reason.
    """
    form = form_in(path) or MediaType.PICTURE
    return _size(_body(path, form), form)


def data_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels of the photo that some bytes are, upright.

    Raises:
        FileUnreadable: the reason.
    """
    return _size(data, MediaType.PICTURE)


def _size(body: bytes, form: MediaType) -> tuple[int, int]:
    """Return the size that a file's header gives, upright."""
    look = DecodeRequest(
        form=form, size_hint=1, max_megapixels=MAX_MEGAPIXELS, frames=1, pictures=False
    )
    about = looked_at(body, look).about
    if not about.width or not about.height:
        raise FileUnreadable("its header gives no size")
    return about.width, about.height


def looked_at(body: bytes, look: DecodeRequest) -> DecodedFile:
    """Look at a file in a process that is kept for the next one."""
    from indexer.decoding.pool import shared_decoders  # a search by words needs none of it

    return shared_decoders().look(body, look)


def _body(path: Path, form: MediaType) -> bytes:
    """Return what a decoder is sent of a file: of a video its path, else its bytes."""
    return os.fsencode(path.absolute()) if form == MediaType.VIDEO else read_bytes(path)
