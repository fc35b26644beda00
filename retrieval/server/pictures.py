"""Pictures that were sent to search with: decoded, kept for a while, named by their content."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from PIL import Image

from retrieval.api import open_picture
from retrieval.server.problems import Problem
from retrieval.server.settings import ServeSettings

SIDE = 1_024
"""A picture is kept at so many pixels a side at most; models read less."""

THUMB_SIDE = 256


@dataclass(frozen=True, kw_only=True)
class SentPicture:
    """A picture that was sent.

    Attributes:
        id: hash of its bytes: the same picture has the same.
        image: decoded, RGB.
        width: pixels of the picture as it was sent, upright.
        height: pixels.
        expires: when it is forgotten unless it is used; seconds since 1970.
    """

    id: str
    image: Image.Image
    width: int
    height: int
    expires: float

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return 3 * self.image.width * self.image.height


class SentPictures:
    """The pictures of a server, within a limit of memory; the oldest go first. Threads may share.

    Args:
        settings: how much is kept, and for how long.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, SentPicture] = OrderedDict()

    def add(self, data: bytes) -> SentPicture:
        """Decode a picture in a process of its own, and keep it.

        Raises:
            QueryInvalid: the bytes are no picture.
        """
        if not data:
            raise Problem("usage", "the body is empty; send the bytes of a picture")
        id_ = hashlib.blake2b(data, digest_size=16).hexdigest()
        with self._lock:
            known = self._used(id_)
        if known is not None:
            return known
        opened = open_picture(data)
        opened.image.thumbnail((SIDE, SIDE))
        return self._keep(SentPicture(id=id_, expires=0.0, **vars(opened)))

    def get(self, id_: str) -> SentPicture:
        """Return a picture by its id.

        Raises:
            Problem: there is none, or no longer.
        """
        with self._lock:
            found = self._used(id_)
        if found is None:
            raise Problem("not_found", f"there is no picture '{id_}', or no longer; send it again")
        return found

    def image(self, id_: str) -> Image.Image | None:
        """Return an open picture by its id, for a query; None if there is none."""
        with self._lock:
            found = self._used(id_)
        return None if found is None else found.image

    def thumb(self, id_: str) -> bytes:
        """Return a small picture by its id, as WebP.

        Raises:
            Problem: there is none, or no longer.
        """
        small = self.get(id_).image.copy()
        small.thumbnail((THUMB_SIDE, THUMB_SIDE))
        written = io.BytesIO()
        small.save(written, "WEBP", quality=80)
        return written.getvalue()

    def _used(self, id_: str) -> SentPicture | None:
        """Return a picture that is there, and keep it longer."""
        self._forget()
        found = self._kept.pop(id_, None)
        return None if found is None else self._put(found)

    def _keep(self, picture: SentPicture) -> SentPicture:
        """Keep a picture, and forget the oldest where there are too many."""
        with self._lock:
            self._kept.pop(picture.id, None)
            kept = self._put(picture)
            self._make_room()
        return kept

    def _make_room(self) -> None:
        """Forget the pictures that were used longest ago, as far as memory wants it."""
        while sum(each.bytes for each in self._kept.values()) > self._settings.picture_bytes:
            self._kept.popitem(last=False)

    def _put(self, picture: SentPicture) -> SentPicture:
        """Make a picture the newest."""
        expires = time.time() + self._settings.picture_seconds
        kept = replace(picture, expires=expires)
        self._kept[picture.id] = kept
        return kept

    def _forget(self) -> None:
        """Forget what has expired."""
        now = time.time()
        for id_ in [id_ for id_, each in self._kept.items() if each.expires < now]:
            del self._kept[id_]
