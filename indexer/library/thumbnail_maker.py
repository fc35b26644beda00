"""Make thumbnails in decoder processes, a few at a time."""

from __future__ import annotations

import os
import threading

from indexer.core.file_types import MediaType
from indexer.decoding.pool import DecodeOptions, DecodePool
from indexer.decoding.render import thumbnail_request

_MOST_AT_ONCE = 4
_SECONDS = 30.0  # for one file that a person waits for
_IDLE_SECONDS = 60.0  # after which the processes, of some 50 MB each, end


class ThumbnailMaker:
    """Decoder processes that end when nobody asks for a while. Any thread may ask; close it."""

    def __init__(self, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._turn = threading.Semaphore(max(1, min(_MOST_AT_ONCE, os.cpu_count() or 1)))
        self._decoders = DecodePool(DecodeOptions(seconds=_SECONDS), size_hint=1)
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._rest: threading.Timer | None = None

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            self._decoders.close()
            if self._rest is not None:
                self._rest.cancel()

    def made(self, form: MediaType, body: bytes, pixels: int, time: float | None) -> bytes:
        """Make a WebP file that fits into a square.

        Args:
            form: how the file is read.
            body: its content; of a video its path.
            pixels: a side of the square.
            time: of the frame that is shown, in seconds; None for the one that stands for a file.

        Raises:
            FileUnreadable: the reason.
        """
        try:
            with self._turn:
                return self._decoders.look(body, thumbnail_request(form, pixels, time=time)).webp
        finally:
            self._rest_later()

    def _rest_later(self) -> None:
        """End the processes after a while, unless they are needed again."""
        with self._lock:
            if self._rest is not None:
                self._rest.cancel()
            self._rest = threading.Timer(self._idle_seconds, self._decoders.rest)
            self._rest.daemon = True
            self._rest.start()
