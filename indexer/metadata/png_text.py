"""Read the texts of a PNG: title, description, the prompt of an image generator, XMP.

Pillow refuses a picture if a text is too long or has a wrong checksum; here such a text is read as
far as possible. Anything beyond `MOST_BYTES` is ignored.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import suppress

from indexer.media.containers import SIGNATURE, chunks
from indexer.metadata.dates import read_date
from indexer.metadata.generation_prompts import KEYS, described
from indexer.metadata.source import SourceMetadata, caption, first, text, unique

MOST_BYTES = 4_000_000
"""Of one text, unpacked: a workflow of ComfyUI has some 100 KB."""

_XMP = "xml:com.adobe.xmp"
_TITLES = ("title", "headline")
_CAPTIONS = ("description", "caption", "subject")


def png_texts(data: bytes) -> dict[str, str]:
    """Return the texts of a PNG by their names in small letters; none of another format."""
    found: dict[str, str] = {}
    if data.startswith(SIGNATURE):
        for name, body, _ in chunks(data):
            if name in _READERS:
                with suppress(ValueError, zlib.error):
                    key, words = _READERS[name](body)
                    found.setdefault(key.decode("latin-1").lower(), words)
    return found


def xmp_of(texts: Mapping[str, str]) -> bytes:
    """Return the XMP packet among the texts of a PNG."""
    return texts.get(_XMP, "").encode(errors="ignore")


def from_png_texts(texts: Mapping[str, str]) -> SourceMetadata:
    """Read the texts that people and programs write. What made the picture is no word of it."""
    captions = [caption(text(texts.get(key))) for key in _CAPTIONS]
    prompts = [caption(text(described(texts.get(key, "")))) for key in KEYS]
    words = text(texts.get("keywords")).replace(";", ",").split(",")
    dates = (read_date(text(texts.get(key))) for key in ("creation time", "create-date"))
    return SourceMetadata(
        digitized=first(dates),
        title=first(text(texts.get(key)) for key in _TITLES) or "",
        caption="\n".join(unique((*captions, *prompts))),
        keywords=tuple(filter(None, map(text, words))),
    )


def _plain(body: bytes) -> tuple[bytes, str]:
    """Read `tEXt`: a name, zero, Latin-1."""
    key, _, words = body.partition(b"\0")
    return key, _latin(words[:MOST_BYTES])


def _packed(body: bytes) -> tuple[bytes, str]:
    """Read `zTXt`: a name, zero, the method, packed Latin-1."""
    key, _, rest = body.partition(b"\0")
    return key, _latin(_unpacked(rest[1:]))


def _international(body: bytes) -> tuple[bytes, str]:
    """Read `iTXt`: a name, whether it is packed, the method, language, translated name, UTF-8."""
    key, _, rest = body.partition(b"\0")
    is_packed, rest = rest[:1] == b"\1", rest[2:]
    _, _, rest = rest.partition(b"\0")
    _, _, words = rest.partition(b"\0")
    return key, (_unpacked(words) if is_packed else words[:MOST_BYTES]).decode(errors="replace")


def _latin(words: bytes) -> str:
    """Decode Latin-1, or the UTF-8 that programs write in its place."""
    try:
        return words.decode()
    except UnicodeDecodeError:
        return words.decode("latin-1")


def _unpacked(packed: bytes) -> bytes:
    """Unpack a text as far as it is whole."""
    unpack, words = zlib.decompressobj(), b""
    for at in range(0, len(packed), 1 << 12):
        with suppress(zlib.error):
            words += unpack.decompress(packed[at : at + (1 << 12)], MOST_BYTES - len(words))
            if len(words) < MOST_BYTES:
                continue
        break
    return words


_READERS = {b"tEXt": _plain, b"zTXt": _packed, b"iTXt": _international}
