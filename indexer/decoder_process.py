"""The process in which photos are decoded, one by one: `python -m indexer.decoder_process`.

It knows Pillow, LibRaw, FFmpeg and numpy, no FAISS, no SQLite and no model. Requests come on
stdin, answers go to stdout; both are frames, see `send`. It ends when stdin does, so it never
outlives its parent.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import warnings
from typing import IO, Any, TypeAlias

from PIL import ImageFile

from indexer.errors import FileUnreadable
from indexer.sight import look_back, see, written

Header: TypeAlias = dict[str, Any]
"""What JSON can say."""

_LENGTHS = struct.Struct("<IQ")


def send(stream: IO[bytes], header: Header, body: bytes) -> None:
    """Write one frame: the lengths of header and body, the header as JSON, the body."""
    head = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(head), len(body)))
    stream.write(head)
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Header, bytes]:
    """Read one frame.

    Raises:
        EOFError: the other side has gone.
    """
    head, body = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, head)), _exactly(stream, body)


def main() -> None:
    """Answer every request with RGB pictures and what the file says, or with a reason why not."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    warnings.simplefilter("ignore")
    _limit_memory(int(sys.argv[1]))
    while True:
        try:
            header, data = receive(requests)
            send(answers, *_answer(header, data))
        except (EOFError, BrokenPipeError):
            os._exit(0)


def _answer(header: Header, body: bytes) -> tuple[Header, bytes]:
    """Look at one file. Nothing else runs here, so Pillow's global may be set."""
    look = look_back(header)
    ImageFile.LOAD_TRUNCATED_IMAGES = look.allow_truncated
    try:
        seen = see(body, look)
    except FileUnreadable as error:
        return {"reason": str(error)}, b""
    except MemoryError:
        return {"reason": "too large for the memory that decoding may take"}, b""
    sizes = [image.size for image in seen.photos]
    about = written(seen.about)
    told = {"sizes": sizes, "times": seen.times, "about": about, "remark": seen.remark}
    return told, b"".join(image.tobytes() for image in seen.photos)


def _limit_memory(limit: int) -> None:
    """Cap the address space, in bytes, where the system can; beyond it Pillow gets no memory."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    capped = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (capped, hard))


def _exactly(stream: IO[bytes], count: int) -> bytes:
    """Read so many bytes."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


if __name__ == "__main__":
    main()
