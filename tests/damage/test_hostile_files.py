"""Five hundred files made to do harm: each is read or refused, nothing runs, hangs or is written.

Seeds of each format are changed at random, by a fixed seed; beside them lie files that lead
elsewhere: to programs, to other files, to the network.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.decoding.render import read_picture
from indexer.media.image import opened
from tests.clips import clip, scene
from tests.raws import dng

ROOT = Path(__file__).parents[2]
FILES = 500

_RUN = """
import json, os, sys
from pathlib import Path
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.verify import check
from indexer.decoding.pool import DecodeOptions
from indexer.library.library import Library
from tests.fakes import ColourEncoder
folder, library = map(Path, sys.argv[1:])
with Library.create(library, ColourEncoder()) as opened:
    options = IndexOptions(threads=2, decode=DecodeOptions(seconds=20))
    report = index_folders(opened, ColourEncoder(), [folder], options=options)
told = {"held": report.photos + report.videos, "wrong": [str(each) for each in check(library)]}
told["reasons"] = {os.fsencode(skip.path.name).hex(): skip.reason for skip in report.skipped}
print(json.dumps(told | {"pid": os.getpid()}))
"""

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n{} loop\n%%EOF\n"
EPS_BINARY = (
    b"\xc5\xd0\xd3\xc6" + struct.pack("<6I2x", 30, len(POSTSCRIPT), 0, 0, 0, 0) + POSTSCRIPT
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="URL"/></svg>'


def _leading_elsewhere(url: str) -> dict[str, bytes]:
    """Files that name a program, another file or an address, under suffixes that are looked at."""
    playlists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{url}/a.mp4'\n",
        "files": "ffconcat version 1.0\nfile /etc/passwd\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}/'
        "</BaseURL></MPD>",
        "metadata": ";FFMETADATA1\ntitle=a\n",
        "asx": f'[Reference]\nRef1={url}/a.asf\n<asx><entry><ref href="{url}"/></entry></asx>',
        "image2": "%d.jpg\n",
        "lavfi": "movie=/etc/passwd",
        "tty": "\x1b[2J" * 40,
    }
    files = {
        f"{name} as {end[1:]}{end}": text.encode()
        for name, text in playlists.items()
        for end in _ENDS
    }
    for end in (".jpg", ".png", ".tif", ".webp", ".gif", ".heic", ".avif", ".jp2", ".cr2", ".mp4"):
        files[f"ps as {end[1:]}{end}"] = POSTSCRIPT
        files[f"eps as {end[1:]}{end}"] = EPS_BINARY
        files[f"svg as {end[1:]}{end}"] = SVG.replace(b"URL", url.encode())
    files["reference.mov"] = _reference_movie(url)
    return files


_ENDS = (".mp4", ".mkv", ".avi", ".mpg", ".wmv", ".jpg")


def _reference_movie(url: str) -> bytes:
    """A QuickTime movie that names another one."""

    def atom(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), name) + body

    target = url.encode() + b"/a.mov\0"
    reference = atom(b"rdrf", struct.pack(">I4sI", 0, b"url ", len(target)) + target)
    return atom(b"ftyp", b"qt  \0\0\0\0") + atom(b"moov", atom(b"rmra", atom(b"rmda", reference)))


def _bombs() -> dict[str, bytes]:
    """Small files that claim, or hold, much."""
    frame = b"\x21\xf9\x04\0\x01\0\0\0\x2c\0\0\0\0" + struct.pack("<HH", 65_535, 65_535)
    gif = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    text = zlib.compress(bytes(200_000_000), 9)
    whole = _png(8, 8)
    chunks = [_chunk(kind, b"a\0\0" + text) for kind in (b"zTXt", b"iCCP")]
    return {
        "frames.gif": gif + frame * 2_000 + b";",
        "text.png": whole[:33] + b"".join(chunks) + whole[33:],
        "wide.png": _png(2**31 - 1, 1),
        "flat.ppm": b"P6 99999 99999 255\n",
        "zero.bmp": b"BM" + bytes(60),
        "strips.tif": b"II*\0\x08\0\0\0\xff\xff" + b"\x11\x01\x04\0\xff\xff\xff\xff\0\0\0\0" * 99,
        "loop.tif": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    }


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int) -> bytes:
    """A PNG of one colour, or one that claims to be."""
    rows = zlib.compress((b"\0" + bytes(min(width, 99))) * min(height, 99))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _seeds(folder: Path) -> dict[str, bytes]:
    """One small file of each format, by its suffix."""
    with opened(_png(8, 8)):
        pass  # teaches Pillow what it shall write here
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    photo, exif, seeds = Image.fromarray(pixels), Image.Exif(), {}
    exif[0x010F], exif[0x0112], exif[0x010E] = "Canon", 6, "A dune"
    exif.get_ifd(0x8769).update({0x9003: "2019:07:14 18:03:11"})
    for end, form in _FORMS.items():
        more = {"exif": exif} if form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") else {}
        data = BytesIO()
        photo.save(data, form, **more)
        seeds[end] = data.getvalue()
    frames = [photo.rotate(90 * turn) for turn in range(3)]
    for end, form in {".gif": "GIF", ".apng.png": "PNG", ".anim.webp": "WEBP"}.items():
        data = BytesIO()
        frames[0].save(data, form, save_all=True, append_images=frames[1:])
        seeds[end] = data.getvalue()
    seeds[".dng"] = dng(photo, preview=photo)
    for end, codec in {".mp4": "libx264", ".mkv": "libx264", ".avi": "mpeg4"}.items():
        made = clip(folder / f"seed{end}", [(scene("red", "blue"), 0.5)], codec=codec)
        seeds[end] = made.read_bytes()
    return seeds


_FORMS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF"}
_FORMS |= {".heic": "HEIF", ".avif": "AVIF", ".jp2": "JPEG2000", ".ppm": "PPM", ".jxl": "JXL"}


def _changed(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Change a file in one of the ways in which files are made to break their readers."""
    found = bytearray(data)
    match draw.randrange(6):
        case 0:  # some bytes
            for _ in range(draw.randint(1, 12)):
                found[draw.randrange(len(found))] = draw.randrange(256)
        case 1:  # the header, where sizes are
            for _ in range(draw.randint(1, 4)):
                found[draw.randrange(min(64, len(found)))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
        case 2:  # a length
            at = draw.randrange(len(found))
            found[at : at + 4] = draw.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")
            )
        case 3:  # the end is missing, or noise
            found = found[: draw.randrange(len(found))] + draw.randbytes(draw.randint(0, 50))
        case 4:  # a part twice, or of another format
            part = draw.choice((data, other))
            at, cut = draw.randrange(len(found)), draw.randrange(len(part))
            found[at:at] = part[cut : cut + draw.randint(1, 400)]
        case _:  # a hole
            at = draw.randrange(len(found))
            del found[at : at + draw.randint(1, 40)]
    return bytes(found)


def _fill(folder: Path, seeds: Path, url: str) -> int:
    """Make the files; return how many."""
    draw = random.Random(2024)
    found = _seeds(seeds)
    files = _leading_elsewhere(url) | _bombs()
    while len(files) < FILES:
        (end, data), other = draw.choice([*found.items()]), draw.choice([*found.values()])
        files[f"{len(files)}{end}"] = _changed(data, other, draw)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return len(files)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """An address that a file may name."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def _programs(folder: Path) -> Path:
    """Make programs that readers are known to start; each leaves a mark, and holds on."""
    folder.mkdir()
    for name in ("gs", "gswin64c", "convert", "ffmpeg", "dcraw", "rsvg-convert", "xdg-open", "sh"):
        (folder / name).write_text(f"#!/bin/bash\necho {name} >>'{folder}/ran'\nexec sleep 90\n")
        (folder / name).chmod(0o700)
    return folder


def _listed(folder: Path) -> set[tuple[str, int]]:
    """All files below a folder, with their dates."""
    return {(str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def test_five_hundred_hostile_files(tmp_path: Path, listener: socket.socket) -> None:
    photos, library, home = (tmp_path / name for name in ("photos", "library", "home"))
    for each in (home, seeds := tmp_path / "seeds"):
        each.mkdir()
    count = _fill(photos, seeds, f"http://127.0.0.1:{listener.getsockname()[1]}")
    programs = _programs(tmp_path / "bin")
    before = _listed(photos) | _listed(home) | _listed(programs)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(photos), str(library)],
        env=os.environ
        | {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home), "TMPDIR": str(home)}
        | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=150,
        start_new_session=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["held"] + len(told["reasons"]) == count
    for name, reason in told["reasons"].items():
        # Neither an error that nobody foresaw (code 1), nor a file that takes a minute.
        assert "code 1" not in reason, (bytes.fromhex(name), reason)
        assert "took longer" not in reason, (bytes.fromhex(name), reason)
    assert time.monotonic() - started < 120
    assert _listed(photos) | _listed(home) | _listed(programs) == before
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert _decoders_of(told["pid"]) == []


def _decoders_of(parent: int) -> list[str]:
    """The decoders that a process started and that still run; none where there is no /proc."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"indexer.decoding.worker\0{parent}\0".encode() in each.read_bytes():
                found.append(each.parent.name)
    return found


@pytest.mark.parametrize("suffix", sorted([".jpg", ".png", ".tif", ".gif", ".heic", ".jp2"]))
@pytest.mark.parametrize("data", [POSTSCRIPT, EPS_BINARY], ids=["ps", "eps"])
def test_postscript_is_no_photo(
    data: bytes, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow would hand it to Ghostscript, in this process too."""
    programs = _programs(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / f"a{suffix}").write_bytes(data)
    with pytest.raises(FileUnreadable, match="not an image Pillow can read"):
        read_picture(tmp_path / f"a{suffix}", size_hint=8)
    with pytest.raises(OSError, match="cannot identify"), opened(data):
        pass
    assert not (programs / "ran").exists()
