"""The decoder process, which decodes files one by one: `python -m indexer.decoding.worker`.

It imports Pillow, LibRaw, FFmpeg and numpy, but no FAISS, no SQLite and no model. Requests come on
stdin and results go to stdout, both as frames: see `indexer.decoding.frames`. Both streams are
moved away first, so a library that prints cannot write into them. The process may start no
program, use no network and write no file: see `indexer.decoding.sandbox`. It ends when its parent
ends.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from dataclasses import dataclass
from typing import IO

from PIL import Image, ImageFile

from indexer.core.errors import FileUnreadable
from indexer.decoding.frames import Header, ProtocolError, receive, send
from indexer.decoding.messages import answer, look_back
from indexer.decoding.sandbox import confine, follow_parent
from indexer.decoding.task import decode

NO_MEMORY = "too large for the memory that decoding may take"

_FREE = 64_000_000  # bytes that a file may take unasked; a photo of 12 megapixels takes some 100 MB
_MOST_REQUEST = 2_000_000_000  # bytes; no larger file is read


def main() -> None:
    """Answer every request with RGB pictures and what the file says, or with a reason why not."""
    parent, memory = int(sys.argv[1]), int(sys.argv[2])
    requests, answers = _taken(sys.stdin.fileno(), "rb"), _taken(sys.stdout.fileno(), "wb")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    warnings.simplefilter("ignore")
    follow_parent(parent)
    confine()
    try:
        while True:
            mark, header, body = receive(requests, most=_MOST_REQUEST)
            leave = _Leave(requests, answers, mark, memory + len(body))
            send(answers, mark, *_answered(header, body, leave))
    except (EOFError, BrokenPipeError, ConnectionError, ProtocolError):
        os._exit(0)


@dataclass
class _Leave:
    """The memory that one request may take, in bytes of address space: `base` and what is granted.

    The parent grants more for a large file, once there is room for it beside others.
    """

    requests: IO[bytes]
    answers: IO[bytes]
    mark: bytes
    base: int
    granted: int = 0

    def __post_init__(self) -> None:
        _limit_memory(self.base)

    def claim(self, need: int) -> None:
        """Wait for leave to take so many bytes in all.

        Raises:
            FileUnreadable: it is not given.
        """
        if need <= max(_FREE, self.granted):
            return
        send(self.answers, self.mark, {"claims": need})
        _, given, _ = receive(self.requests, mark=self.mark, most=0)
        if "reason" in given:
            raise FileUnreadable(str(given["reason"]))
        self.granted = need
        _limit_memory(self.base + need)


def _answered(header: Header, body: bytes, leave: _Leave) -> tuple[Header, bytes]:
    """Look at one file. Nothing else runs here, so Pillow's globals may be set."""
    look = look_back(header)
    ImageFile.LOAD_TRUNCATED_IMAGES = look.allow_truncated
    Image.MAX_IMAGE_PIXELS = int(look.max_megapixels * 1e6)
    try:
        return answer(decode(body, look, leave.claim))
    except FileUnreadable as error:
        return {"reason": str(error)}, b""
    except MemoryError:
        return {"reason": NO_MEMORY}, b""


def _taken(descriptor: int, mode: str) -> IO[bytes]:
    """Take a standard stream away: nothing that prints reaches it, and no program inherits it."""
    stream: IO[bytes] = os.fdopen(os.dup(descriptor), mode)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    return stream


def _limit_memory(limit: int) -> None:
    """Cap the address space, in bytes, where the system can; beyond it Pillow gets no memory."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    capped = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (capped, hard))


if __name__ == "__main__":
    main()
