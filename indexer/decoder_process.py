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
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

from PIL import Image, ImageFile

from indexer.errors import FileUnreadable
from indexer.formats import Form
from indexer.photos import read_photo
from indexer.raws import read_raw
from indexer.videos import read_video

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
    """Answer every request with RGB pictures and their sizes, or with a reason why not."""
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
    """Decode one file. Nothing else runs here, so Pillow's global may be set."""
    ImageFile.LOAD_TRUNCATED_IMAGES = bool(header["allow_truncated"])
    size_hint, cap = int(header["size_hint"]), float(header["max_megapixels"])
    try:
        if header["form"] == Form.VIDEO:
            path = Path(os.fsdecode(body))
            video = read_video(path, size_hint=size_hint, max_megapixels=cap, most=header["frames"])
            told = {"tags": dict(video.tags), "times": [frame.time for frame in video.frames]}
            size = (video.width, video.height)
            return _shown([frame.image for frame in video.frames], size=size, **told)
        if header["form"] == Form.RAW:
            raw = read_raw(body, size_hint=size_hint, max_megapixels=cap)
            return _shown([raw.image], size=(raw.width, raw.height))
        return _shown([read_photo(body, size_hint=size_hint, max_megapixels=cap)])
    except FileUnreadable as error:
        return {"reason": str(error)}, b""
    except MemoryError:
        return {"reason": "too large for the memory that decoding may take"}, b""


def _shown(images: Sequence[Image.Image], **told: Any) -> tuple[Header, bytes]:
    """Return pictures as a frame: their sizes and what is told in the header, then the pixels."""
    sizes = [image.size for image in images]
    return {"sizes": sizes, **told}, b"".join(image.tobytes() for image in images)


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
