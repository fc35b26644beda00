"""The decode task of one file: its pictures and its metadata.

All code that parses the bytes of a photo, a RAW file, a video or a sidecar is called from here.
This module runs only in decoder processes: see `indexer.decoding.pool`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path

from indexer.core.file_types import MediaType
from indexer.core.types import Metadata, TextLine
from indexer.decoding.messages import DecodedFile, DecodeRequest
from indexer.media.content_hash import depth_and_pages, shown_digest
from indexer.media.image import BAD_DATA, Claim, decoded, free, opened, read_photo
from indexer.media.picture_text import GLANCE_HINT, read_lines, shows_text
from indexer.media.raw import read_raw
from indexer.media.thumbnail import as_webp, colour_profile
from indexer.media.video import read_frame, read_video
from indexer.metadata.extract import read_metadata, read_raw_metadata, read_video_metadata

_FEWEST = 0.95
"""Share of the pixels a side that is enough for a thumbnail: a JPEG of 4,000 pixels is decoded to
1,000 in place of 1,024 in 60 % of the time."""

_USUAL_SHAPE = 3 / 4  # shorter to longer side, where it is not known before decoding

_RAW_BITS = 14  # of a sensor, where the file does not say; more than a JPEG's


def decode(body: bytes, look: DecodeRequest, claim: Claim = free) -> DecodedFile:
    """Decode a file.

    Args:
        body: its content; of a video its path.
        look: how.
        claim: told how much memory a picture takes, before it is decoded.

    Raises:
        FileUnreadable: the reason, fit for a list of skipped files.
    """
    if look.digest:
        return DecodedFile(photos=(), about=Metadata(), digest=shown_digest(body, claim))
    if look.thumbnail:
        return DecodedFile(photos=(), about=Metadata(), webp=_thumbnail(body, look, claim))
    if look.lines:
        return DecodedFile(photos=(), about=Metadata(), lines=_lines(body, look, claim))
    seen = _one(body, look, claim) if look.one else _whole(body, look, claim)
    if look.square is None:
        return seen
    return replace(seen, photos=tuple(map(look.square.cut, seen.photos)))


def _lines(body: bytes, look: DecodeRequest, claim: Claim) -> tuple[TextLine, ...]:
    """Read the text that a file shows; one that shows none at a glance is not decoded again."""
    (small,) = _one(body, replace(look, size_hint=GLANCE_HINT), claim).photos
    if not shows_text(small):
        return ()
    (photo,) = _one(body, look, claim).photos
    return read_lines(photo)


def _one(body: bytes, look: DecodeRequest, claim: Claim) -> DecodedFile:
    """See the one picture that stands for a file."""
    size_hint, cap = look.size_hint, look.max_megapixels
    if look.form == MediaType.VIDEO:
        path = Path(os.fsdecode(body))
        photo = read_frame(path, look.time, size_hint=size_hint, max_megapixels=cap, claim=claim)
    elif look.form == MediaType.RAW:
        photo = read_raw(body, size_hint=size_hint, max_megapixels=cap, claim=claim).image
    else:
        photo = read_photo(
            body, size_hint=size_hint, max_megapixels=cap, claim=claim, page=look.page
        )
    return DecodedFile(photos=(photo,), about=Metadata())


def _thumbnail(body: bytes, look: DecodeRequest, claim: Claim) -> bytes:
    """Encode the one picture that stands for a file as a small WebP file."""
    profile, shape = b"", _USUAL_SHAPE
    if look.form == MediaType.PICTURE:
        with suppress(*BAD_DATA), opened(body) as image:  # decoding says what is wrong
            profile = colour_profile(image)
            shape = min(image.size) / max(image.size)
    hint = ceil(_FEWEST * look.thumbnail * shape / 2)
    (photo,) = _one(body, replace(look, size_hint=hint), claim).photos
    return as_webp(photo, look.thumbnail, profile)


def _whole(body: bytes, look: DecodeRequest, claim: Claim) -> DecodedFile:
    """Look at a file; its pictures are not cut."""
    sidecar = Path(look.sidecar) if look.sidecar else None
    size_hint, cap = look.size_hint, look.max_megapixels
    if look.form == MediaType.VIDEO:
        path = Path(os.fsdecode(body))
        most = look.frames if look.pictures else 1
        video = read_video(path, size_hint=size_hint, max_megapixels=cap, most=most, claim=claim)
        size = (video.width, video.height)
        return DecodedFile(
            photos=tuple(frame.image for frame in video.frames if look.pictures),
            about=read_video_metadata(video.tags, size=size, sidecar=sidecar),
            times=tuple(frame.time for frame in video.frames if look.pictures),
        )
    if look.form == MediaType.RAW:
        raw = read_raw(body, size_hint=size_hint, max_megapixels=cap, claim=claim)
        about = read_raw_metadata(body, size=(raw.width, raw.height), sidecar=sidecar)
        photos = (raw.image,) if look.pictures else ()
        return DecodedFile(photos=photos, about=about, depth=_RAW_BITS, pages=1)
    if not look.pictures:
        return DecodedFile(photos=(), about=read_metadata(body, sidecar=sidecar))
    photo = decoded(body, size_hint=size_hint, max_megapixels=cap, claim=claim)
    about = read_metadata(body, sidecar=sidecar)
    depth, pages = depth_and_pages(body) if look.counts else (0, 0)
    return DecodedFile(
        photos=(photo.image,), about=about, remark=photo.remark, depth=depth, pages=pages
    )
