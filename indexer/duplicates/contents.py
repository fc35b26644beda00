"""The contents of a photo file, and the comparison of two files.

Two files have the same contents if they have the same bytes or show the same: see
`indexer.media.content_hash`. Camera RAW files are compared by their bytes only. Files are decoded
in the decoder processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_types import MediaType, form_of
from indexer.core.types import Metadata
from indexer.decoding.messages import DecodeRequest
from indexer.decoding.render import looked_at, read_picture
from indexer.duplicates.similarity import Picture, picture
from indexer.media.image import MAX_MEGAPIXELS, read_bytes

_SMALL = 64  # pixels a side of what small pictures are made from
_TELLING_PAGES = 5  # of an animation, that are compared as pictures


@dataclass(frozen=True, kw_only=True)
class FileContents:
    """The contents of a photo file.

    Attributes:
        width: of the upright picture in pixels; of a RAW, of the photo it is of.
        height: likewise.
        depth: bits a colour.
        pages: frames of an animation, pages of a document.
        digest: of the bytes; equal for equal files.
        picture: to compare with others.
        about: what the file and its sidecar say about it.
        is_damaged: whether it is damaged beside its picture.
    """

    width: int
    height: int
    depth: int
    pages: int
    digest: bytes
    picture: Picture
    about: Metadata
    is_damaged: bool = False


def contents(path: Path) -> FileContents:
    """Look at a photo or RAW file.

    Raises:
        FileUnreadable: the reason.
    """
    data, beside = read_bytes(path), _sidecar(path)
    look = DecodeRequest(
        form=_form(path),
        size_hint=_SMALL,
        max_megapixels=MAX_MEGAPIXELS,
        frames=1,
        sidecar=str(beside or ""),
        counts=True,
    )
    seen = looked_at(data, look)
    if not seen.about.width or not seen.about.height:
        raise FileUnreadable("its header gives no size")
    return FileContents(
        width=seen.about.width,
        height=seen.about.height,
        depth=seen.depth,
        pages=seen.pages,
        digest=_digest(data),
        picture=picture(seen.photos[0]),
        about=seen.about,
        is_damaged=bool(seen.remark),
    )


def all_it_shows(path: Path) -> bytes:
    """Return a hash of all that a file shows; equal for files that hold the same.

    Raises:
        FileUnreadable: the reason.
    """
    data = read_bytes(path)
    if _form(path) == MediaType.RAW:
        return _digest(data)
    look = DecodeRequest(
        form=MediaType.PICTURE, size_hint=1, max_megapixels=MAX_MEGAPIXELS, frames=1, digest=True
    )
    return looked_at(data, look).digest


def telling_pages(pages: int) -> Sequence[int | None]:
    """Return which frames or pages are compared as pictures; None for the one that there is."""
    if pages == 1:
        return [None]
    last = _TELLING_PAGES - 1
    return sorted({(pages - 1) * number // last for number in range(_TELLING_PAGES)})


def grey_detail(path: Path, page: int | None, side: int) -> Image.Image:
    """Return a page in grey, its longer side at most so many pixels.

    Raises:
        FileUnreadable: the reason.
    """
    grey = read_picture(path, size_hint=side // 2, page=page).convert("L")
    grey.thumbnail((side, side), Image.Resampling.BOX)
    return grey


def _form(path: Path) -> MediaType:
    """Return how a photo or RAW is read."""
    return MediaType.RAW if form_of(path) == MediaType.RAW else MediaType.PICTURE


def _sidecar(path: Path) -> Path | None:
    """Return the `.xmp` file beside a photo, if there is one."""
    names = (f"{path.name}.xmp", f"{path.name}.XMP", f"{path.stem}.xmp", f"{path.stem}.XMP")
    return next((each for each in map(path.with_name, names) if each.is_file()), None)


def _digest(data: bytes) -> bytes:
    """Hash the bytes of a file."""
    return blake2b(data, digest_size=16).digest()
