"""The wire format between a decoder process and its parent: frames of a header and a body.

A response carries the mark of its request and its own length, so nothing else that a decoder
prints can be taken for a response.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any, TypeAlias

Header: TypeAlias = dict[str, Any]
"""What JSON can say."""

MARK_BYTES = 8

_LENGTHS = struct.Struct(f"<{MARK_BYTES}sIQ")
_MOST_HEADER = 100_000_000  # bytes; a thousand keywords of ten thousand letters have some 60 MB


class ProtocolError(ValueError):
    """What came is not what was asked for."""


def send(stream: IO[bytes], mark: bytes, header: Header, body: bytes = b"") -> None:
    """Write one frame: mark, lengths of header and body, the header as JSON, the body."""
    head = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(mark, len(head), len(body)))
    stream.write(head)
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes], *, mark: bytes = b"", most: int) -> tuple[bytes, Header, bytes]:
    """Read one frame.

    Args:
        stream: where from.
        mark: what the frame must bear; empty for any.
        most: bytes of its body.

    Raises:
        EOFError: the other side has gone.
        Garbled: the frame bears another mark, is too long, or has no proper header.
    """
    found, head, body = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if (mark and found != mark) or head > _MOST_HEADER or body > most:
        raise ProtocolError("a frame of another mark or length")
    try:
        header = json.loads(_exactly(stream, head))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a header that is no JSON") from error
    if not isinstance(header, dict):
        raise ProtocolError("a header without names")
    return found, header, _exactly(stream, body)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    """Read so many bytes."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
