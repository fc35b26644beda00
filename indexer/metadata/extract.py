"""Combine all metadata sources of a photo or a video.

| value | first source that has it |
|---|---|
| title, caption, rating | sidecar, XMP, IPTC, EXIF, the texts of a PNG |
| keywords, names of faces | all sources together |
| date | when the picture was made: sidecar, EXIF, XMP, IPTC; else when the file was made |
| position | sidecar, EXIF, XMP |
| place, if there is no position | sidecar, XMP, IPTC |
| camera, lens | EXIF, sidecar, XMP |

The TIFF directories of a camera RAW count as EXIF, and so do the container tags of a video. Each
source is read on its own: if one is broken, only its values are lost. A date is the camera's clock
as written; its time zone is dropped. Videos that store only universal time get the local time of
this machine: see `indexer.metadata.dates`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import MAX_SIDECAR_BYTES, read_regular
from indexer.core.gazetteer import gazetteer
from indexer.core.types import Metadata
from indexer.media.containers import xmp_packet
from indexer.media.image import BAD_DATA, opened, orientation
from indexer.metadata.exif import XMP_TAG, from_exif, raw_exif
from indexer.metadata.iptc import from_iptc
from indexer.metadata.png_text import from_png_texts, png_texts
from indexer.metadata.source import NOTHING, SourceMetadata, first, unique
from indexer.metadata.video_tags import XMP_NAME, from_tags
from indexer.metadata.xmp import BAD_XMP, from_xmp, packet_of

METADATA_VERSION = 2
"""Raise it when more is read: photos of another version are read again, not embedded again."""

MAX_KEYWORDS = 1_000

_HEAD_BYTES = 1 << 20  # of a CR3, in which its boxes of tags lie
_LYING = 5  # from this orientation on, the camera was held upright and width is height


def with_place(about: Metadata) -> Metadata:
    """Name the position of a photo, if it has one; the towns of the world take 0.2 s to load.

    Names that the file has and the map lacks, a part of a city or another language, stay before it.
    """
    if about.latitude is None or about.longitude is None:
        return about
    name = gazetteer().name(about.latitude, about.longitude)
    known = {part.casefold() for part in name.split(", ")}
    written = (part for part in about.place.split(", ") if part.casefold() not in known)
    return replace(about, place=", ".join(filter(None, (*written, name))))


def read_metadata(source: Path | bytes, *, sidecar: Path | None = None) -> Metadata:
    """Read what a photo says about itself; never fails, whatever the file holds.

    Args:
        source: a file, or its bytes.
        sidecar: the `.xmp` file beside it; its values go first.
    """
    size, data = (0, 0), source if isinstance(source, bytes) else b""
    exif = xmp = iptc = NOTHING
    try:
        data = source if isinstance(source, bytes) else read_regular(source)
        with opened(data) as image:
            exif = _attempt(lambda: from_exif(image.getexif()))
            xmp = _attempt(lambda: from_xmp(packet_of(image, data)))
            iptc = _attempt(lambda: from_iptc(image))
            size = image.size if orientation(image) < _LYING else image.size[::-1]
    except (*BAD_DATA, FileUnreadable):
        size = (0, 0)
    texts = _attempt(lambda: from_png_texts(png_texts(data)))
    return _merged(_beside(sidecar), exif=exif, xmp=xmp, iptc=iptc, texts=texts, size=size)


def read_raw_metadata(
    data: bytes, *, size: tuple[int, int], sidecar: Path | None = None
) -> Metadata:
    """Read what a camera RAW says about itself; never fails, whatever it holds.

    Args:
        data: the file.
        size: width and height of the upright photo in pixels.
        sidecar: the `.xmp` file beside it; its values go first.
    """
    exif = Image.Exif()
    with suppress(*BAD_DATA):
        exif = raw_exif(data)
    return _merged(
        _beside(sidecar),
        exif=_attempt(lambda: from_exif(exif)),
        xmp=_attempt(lambda: from_xmp(exif.get(XMP_TAG) or xmp_packet(data[:_HEAD_BYTES]))),
        size=size,
    )


def read_video_metadata(
    tags: Mapping[str, str], *, size: tuple[int, int], sidecar: Path | None = None
) -> Metadata:
    """Read what a video says about itself; arguments as of `read_raw_metadata`.

    Args:
        tags: by the names of its format, as FFmpeg reads them.
        size: width and height of the upright frames in pixels.
        sidecar: the `.xmp` file beside it.
    """
    packet = tags.get(XMP_NAME, "").encode(errors="surrogateescape")
    return _merged(
        _beside(sidecar),
        exif=_attempt(lambda: from_tags(tags)),
        xmp=_attempt(lambda: from_xmp(packet)),
        size=size,
    )


def _beside(sidecar: Path | None) -> SourceMetadata:
    """Read a sidecar, if there is one."""
    return _attempt(lambda: from_xmp(_content(sidecar))) if sidecar else NOTHING


def _content(path: Path) -> bytes:
    """Read the file beside a photo."""
    return read_regular(path, MAX_SIDECAR_BYTES)


def _merged(
    sidecar: SourceMetadata,
    *,
    exif: SourceMetadata,
    xmp: SourceMetadata,
    iptc: SourceMetadata = NOTHING,
    texts: SourceMetadata = NOTHING,
    size: tuple[int, int],
) -> Metadata:
    """Choose among the sources, value by value; see the module's table."""
    told, clocks = (sidecar, xmp, iptc, exif, texts), (exif, xmp, iptc, texts)
    dates = (sidecar.taken, sidecar.digitized, *(each.taken for each in clocks))
    latitude, longitude = first(each.position for each in (sidecar, *clocks)) or (None, None)
    words = unique(word for each in told for word in each.keywords)
    return Metadata(
        taken=first((*dates, *(each.digitized for each in clocks))),
        latitude=latitude,
        longitude=longitude,
        place=", ".join(first(each.place for each in told) or ()),
        camera=first(each.camera for each in (exif, sidecar, xmp)) or "",
        lens=first(each.lens for each in (exif, sidecar, xmp)) or "",
        rating=first(each.rating for each in told),
        keywords=words[:MAX_KEYWORDS],
        title=first(each.title for each in told) or "",
        caption=first(each.caption for each in told) or "",
        width=size[0],
        height=size[1],
    )


def _attempt(read: Callable[[], SourceMetadata]) -> SourceMetadata:
    """Read one source; a broken one says nothing."""
    try:
        return read()
    except (*BAD_XMP, FileUnreadable):
        return NOTHING
