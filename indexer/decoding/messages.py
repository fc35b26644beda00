"""Decode requests and results, and how they are encoded for the pipe to a decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from PIL import Image

from indexer.core.file_types import MediaType
from indexer.core.resize import ImageInputSpec
from indexer.core.types import Metadata, TextLine
from indexer.decoding.frames import Header, ProtocolError
from indexer.decoding.webp import is_thumbnail, most_bytes

DIGEST_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class DecodeRequest:
    """A request to decode a file.

    Attributes:
        form: how it is read.
        size_hint: pixels a side that are needed.
        max_megapixels: larger ones are refused.
        frames: of one video, at most.
        allow_truncated: read what is there of a photo that ends too early.
        square: the pictures are cut to it; whole, if it is None.
        sidecar: path of the `.xmp` file beside it, empty for none.
        pictures: whether they are wanted, or only what the file says.
        one: the one picture that stands for the file is wanted, and nothing that the file says.
        time: with `one`, of the frame of a video, in seconds; None for the frame amid it.
        page: with `one`, the number of a frame or page from 0; None for the one that tells most.
        counts: the bits a colour and the number of frames or pages are wanted, too.
        digest: a hash of all that the file shows is wanted, and nothing else.
        thumbnail: with `one`, the picture is wanted as WebP that fits into a square of so many
            pixels a side; 0 for the pixels themselves.
        lines: the text that the picture shows is wanted, and nothing else.
    """

    form: MediaType
    size_hint: int
    max_megapixels: float
    frames: int
    allow_truncated: bool = False
    square: ImageInputSpec | None = None
    sidecar: str = ""
    pictures: bool = True
    one: bool = False
    time: float | None = None
    page: int | None = None
    counts: bool = False
    digest: bool = False
    thumbnail: int = 0
    lines: bool = False

    @property
    def most(self) -> int:
        """The largest number of pictures."""
        if self.digest or self.lines or self.thumbnail or not self.pictures:
            return 0
        return self.frames if self.form == MediaType.VIDEO and not self.one else 1

    @property
    def most_bytes(self) -> int:
        """The largest number of bytes of all pictures, in RGB, or of the thumbnail."""
        if self.thumbnail:
            return most_bytes(self.thumbnail)
        pixels = self.square.size**2 if self.square else int(self.max_megapixels * 1e6)
        return 3 * self.most * pixels


@dataclass(frozen=True, kw_only=True)
class DecodedFile:
    """The decoded pictures of a file, their times in a video, and the file's metadata.

    `remark` says what is wrong with a file whose picture is there all the same. `depth`, in bits a
    colour, `pages`, `digest` and `lines` are those of the file, where they were asked for. `webp`
    is the thumbnail in place of the pictures.
    """

    photos: tuple[Image.Image, ...]
    about: Metadata
    times: tuple[float, ...] = ()
    remark: str = ""
    depth: int = 0
    pages: int = 0
    digest: bytes = b""
    webp: bytes = b""
    lines: tuple[TextLine, ...] = ()


def look_back(values: Mapping[str, Any]) -> DecodeRequest:
    """Return the look whose fields `asdict` gave. Of a square that says more, no more is read."""
    square = values["square"]
    if square is not None:
        square = ImageInputSpec(**{each.name: square[each.name] for each in fields(ImageInputSpec)})
    return DecodeRequest(**{**values, "square": square})


def answer(seen: DecodedFile) -> tuple[Header, bytes]:
    """Return what was seen as a frame: `seen_back` reads it."""
    sizes = [image.size for image in seen.photos]
    told = {
        "sizes": sizes,
        "times": seen.times,
        "about": written(seen.about),
        "remark": seen.remark,
        "counts": (seen.depth, seen.pages) if seen.pages else (),
        "digest": seen.digest.hex(),
        "lines": [asdict(line) for line in seen.lines],
    }
    return told, seen.webp or b"".join(image.tobytes() for image in seen.photos)


def seen_back(told: Header, pixels: bytes, look: DecodeRequest) -> DecodedFile:
    """Return what `answer` was given, if that can be an answer to the look.

    Raises:
        Garbled: it cannot: other pictures, sizes or lengths than were asked for.
    """
    try:
        sizes = [(_count(width), _count(height)) for width, height in told["sizes"]]
        times = tuple(float(time) for time in told["times"])
        about, remark = read_back(told["about"]), _word(told["remark"])
        depth, pages = map(_count, told["counts"]) if look.counts else (0, 0)
        digest = bytes.fromhex(told["digest"])
        lines = tuple(map(_line, told["lines"])) if look.lines else ()
        if len(digest) != (DIGEST_BYTES if look.digest else 0):
            raise ValueError("a digest of another length")
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProtocolError(f"an answer of another form: {error}") from error
    if look.thumbnail:
        if sizes or not is_thumbnail(pixels, look.thumbnail):
            raise ProtocolError("no thumbnail of the size that was asked for")
        return DecodedFile(photos=(), about=about, webp=pixels)
    lengths = [3 * width * height for width, height in sizes]
    square = look.square and (look.square.size, look.square.size)
    if len(sizes) > look.most or sum(lengths) != len(pixels) or len(times) not in (0, len(sizes)):
        raise ProtocolError("an answer of another length")
    if square and any(size != square for size in sizes):
        raise ProtocolError("pictures of another size")
    photos, at = [], 0
    for size, length in zip(sizes, lengths, strict=True):
        photos.append(Image.frombytes("RGB", size, pixels[at : at + length]))
        at += length
    return DecodedFile(
        photos=tuple(photos),
        times=times,
        about=about,
        remark=remark,
        depth=depth,
        pages=pages,
        digest=digest,
        lines=lines,
    )


def written(about: Metadata) -> dict[str, Any]:
    """Return metadata as what JSON can say."""
    return asdict(about) | {"taken": about.taken.isoformat() if about.taken else None}


def read_back(values: Mapping[str, Any]) -> Metadata:
    """Return the metadata that `written` wrote.

    Raises:
        ValueError, TypeError, LookupError: it did not write this.
    """
    if not all(isinstance(value, _TYPES[name]) for name, value in values.items()):
        raise TypeError("a value of another type")
    taken = datetime.fromisoformat(values["taken"]) if values["taken"] else None
    lists = {name: tuple(map(_word, values[name])) for name in ("keywords", "also")}
    return Metadata(**{**values, **lists, "taken": taken})


def _line(value: Mapping[str, Any]) -> TextLine:
    """Return a line of text that one can be: shares of a picture, and a probability."""
    box = tuple(float(share) for share in value["box"])
    confidence = float(value["confidence"])
    if len(box) != 4 or not all(0 <= number <= 1 for number in (*box, confidence)):
        raise ValueError("a line of text beyond its picture")
    return TextLine(text=_word(value["text"]), confidence=confidence, box=box)


def _count(value: Any) -> int:
    """Return a number of pixels, bits or pages that is one."""
    if type(value) is not int or value <= 0:
        raise ValueError(f"{value} pixels, bits or pages")
    return value


def _word(value: Any) -> str:
    """Return a text that is one."""
    if not isinstance(value, str):
        raise TypeError("a word that is no text")
    return value


_TYPES: dict[str, Any] = {
    "taken": str | None,
    "latitude": float | int | None,
    "longitude": float | int | None,
    "place": str,
    "camera": str,
    "lens": str,
    "rating": int | None,
    "keywords": list | tuple,
    "title": str,
    "caption": str,
    "width": int,
    "height": int,
    "also": list | tuple,
}
"""What each field of `Metadata` is in JSON."""
