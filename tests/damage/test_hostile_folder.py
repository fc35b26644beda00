"""A folder in which everything is wrong: each file costs itself alone, by name and reason."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from indexer.decoding.pool import DecodeOptions
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexReport
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check
from indexer.media.image import TRUNCATED
from tests.fakes import ColourEncoder, draw

NAMES = [
    b"line\nbreak.png",
    b"'quotes' \"and\" `more` $(rm).png",
    b"latin-1 caf\xe9.png",
    b"-rf.png",
    b" spaces .png",
    b"%s%n{}.png",
    "\u202egnp.exe.png".encode(),
    "é".encode() * 125 + b"x.png",
]
"""Names of good photos; the last has 255 bytes, the most that file systems take."""

NO_RAW = "broken or unknown camera RAW (Unsupported file format or not RAW file)"
NO_VIDEO = "broken or unknown video (invalid data found when processing input)"


class Restless(ColourEncoder):
    """Rewrites a file while the run is under way."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        with self._path.open("ab") as file:
            file.write(b"more")
        return super().encode_images(images)


def _png(width: int, height: int) -> bytes:
    """A PNG of any claimed size, whose data are a few zeros."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1_000))),
        (b"IEND", b""),
    )
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, body in chunks:
        crc = zlib.crc32(kind + body)
        parts.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc))
    return b"".join(parts)


def _jpeg() -> bytes:
    """A JPEG of noise, some 40 KB."""
    pixels = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    data = BytesIO()
    Image.fromarray(pixels).save(data, "JPEG")
    return data.getvalue()


def _fill(folder: Path) -> None:
    """Make the folder."""
    folder.mkdir()
    for name in NAMES:
        draw(folder / os.fsdecode(name), "red")
    (folder / "a.png").write_bytes((folder / "-rf.png").read_bytes())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("I am a text.\n" * 100)
    (folder / "zeros.jpg").write_bytes(bytes(5_000))
    (folder / "cut.jpg").write_bytes(_jpeg()[:-10_000])
    (folder / "head only.jpg").write_bytes(_jpeg()[:300])
    (folder / "bomb.png").write_bytes(_png(30_000, 30_000))
    (folder / "liar.png").write_bytes(_png(100, 100_000))
    (folder / "nothing.png").write_bytes(_png(0, 0))
    with (folder / "sparse.jpg").open("wb") as file:
        file.truncate(3_000_000_000)
    (folder / "closed.jpg").write_bytes(_jpeg())
    (folder / "closed.jpg").chmod(0)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "a folder.jpg").mkdir()
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.jpg").symlink_to(folder / "gone.jpg")
    (folder / "words.cr2").write_text("I am a text.\n" * 100)
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n")
    with (folder / "sparse.mov").open("wb") as file:
        file.truncate(3_000_000_000)
    os.mkfifo(folder / "pipe.mkv")
    (folder / "binary.txt").write_bytes(b"\0\1\2")
    draw(folder / "zz.png", "blue")


def _index(library: Library, encoder: ColourEncoder, folder: Path, **decode: bool) -> IndexReport:
    options = IndexOptions(batch_size=1, threads=1, decode=DecodeOptions(**decode))
    return index_folders(library, encoder, [folder], options=options)


def _reasons(report: IndexReport) -> dict[str, str]:
    return {skip.path.name: skip.reason for skip in report.skipped}


def test_a_hostile_folder(as_a_user: Path) -> None:
    folder = as_a_user / "photos"
    _fill(folder)
    with (
        socket.socket(socket.AF_UNIX) as listening,
        Library.create(as_a_user / "library", ColourEncoder()) as library,
    ):
        listening.bind(str(folder / "s.jpg"))
        report = _index(library, Restless(folder / "zz.png"), folder)
        wanted = {
            "empty.jpg": "empty file",
            "text.jpg": "not an image Pillow can read",
            "zeros.jpg": "not an image Pillow can read",
            "cut.jpg": TRUNCATED,
            "head only.jpg": TRUNCATED,
            "bomb.png": "900 megapixels, over the limit of 200; "
            "raise it with --max-image-megapixels",
            "liar.png": TRUNCATED,
            "sparse.jpg": "larger than 1,000 MB",
            "words.cr2": NO_RAW,
            "list.mp4": NO_VIDEO,
            "sparse.mov": NO_VIDEO,
            "closed.jpg": "permission denied",
            "nowhere.jpg": "a link that leads nowhere",
            "binary.txt": "not a text: it holds zero bytes",
            "zz.png": "changed while it was read; index again",
        }
        reasons = _reasons(report)
        assert reasons.pop("nothing.png")  # Pillow words it by version
        assert reasons == wanted
        held = {os.fsdecode(name) for name in NAMES} | {"a.png"}
        assert _held(library) == held
        assert report.photos == len(held)

        # The rest is read once it can be; what cannot be is not read again, and listed again.
        (folder / "closed.jpg").chmod(0o600)
        again = _index(library, ColourEncoder(), folder)
        assert again.photos == 2
        assert _held(library) == held | {"closed.jpg", "zz.png"}
        assert _reasons(again).keys() == reasons.keys() - {"closed.jpg", "zz.png"} | {"nothing.png"}

        lenient = _index(library, ColourEncoder(), folder, allow_truncated=True)
        assert {"cut.jpg"} <= _held(library)
        assert "bomb.png" in _reasons(lenient)
        assert check(library.folder) == []


def _held(library: Library) -> set[str]:
    """The names that a search finds."""
    (hits,) = library.search(ColourEncoder().encode_texts(["red"]), Kind.PHOTO, 100)
    names = [record.path.name for record in library.records([hit.id for hit in hits])]
    assert len(names) == len(set(names))
    return set(names)
