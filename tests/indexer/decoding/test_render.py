"""There is one way to decode: in processes of their own, whoever asks."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.decoding.pool import shared_decoders
from indexer.decoding.render import picture_size, read_data, read_picture
from indexer.media.image import read_photo
from tests.clips import clip, scene
from tests.fakes import draw

ROOT = Path(__file__).parents[3]
PARSERS = (
    *("media.image", "media.image_repair", "media.content_hash", "media.raw", "media.video"),
    *("metadata.exif", "metadata.extract", "decoding.task"),
)
"""The modules of `indexer` that read what files hold; the process of a decoder imports them."""

READERS = {
    "read_photo",
    "decoded",
    "mended",
    "read_raw",
    "read_video",
    "read_frame",
    "read_metadata",
    "opened",
}
READERS |= {"read_raw_metadata", "read_video_metadata", "decode", "header", "shown_digest"}


def _decodes(path: Path) -> list[str]:
    """Name what a module calls, or imports, that decodes a file where it is."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            parsers = {f"indexer.{name}" for name in PARSERS}
            names = {alias.name for alias in node.names}
            found += sorted(names & READERS) if node.module in parsers else []
            found += [node.module] if node.module.split(".")[0] in ("av", "rawpy") else []
        elif isinstance(node, ast.Attribute) and node.attr == "open":
            found += ["Image.open"] if ast.unparse(node.value) == "Image" else []
    return found


def test_nothing_else_decodes() -> None:
    modules = [*ROOT.glob("indexer/**/*.py"), *ROOT.glob("retrieval/**/*.py")]
    assert len(modules) > 250
    names = (*PARSERS, "decoding.worker")
    inside = {ROOT / "indexer" / f"{name.replace('.', '/')}.py" for name in names}
    decoding = {str(path): _decodes(path) for path in modules if path not in inside}
    assert {path: names for path, names in decoding.items() if names} == {}


def test_a_photo_is_that_of_read_photo(tmp_path: Path) -> None:
    data = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(data, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(data.getvalue())
    want = read_photo(data.getvalue(), size_hint=16)
    for got in (
        read_picture(tmp_path / "a.jpg", size_hint=16),
        read_data(data.getvalue(), size_hint=16),
    ):
        assert (got.size, got.tobytes()) == (want.size, want.tobytes())
    assert picture_size(tmp_path / "a.jpg") == (90, 60)  # upright


def test_a_frame_of_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip(Path("a.mp4"), [(scene("red"), 2), (scene("blue"), 2)])
    red, _, blue = read_picture(Path("a.mp4"), size_hint=8, time=3.0).getpixel((2, 2))
    assert blue > 200 > 50 > red


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    for path in (tmp_path / "a.jpg", Path("/dev/zero"), tmp_path):
        with pytest.raises(FileUnreadable, match=r"not a regular file|is a directory"):
            read_picture(path, size_hint=8)
    with pytest.raises(FileUnreadable, match="no such file"):
        read_picture(tmp_path / "gone.jpg", size_hint=8)


def test_many_threads_share_the_decoders(tmp_path: Path) -> None:
    """A process does not end with the thread that first asked for it."""
    path, sizes = draw(tmp_path / "a.png", "red"), []
    want = read_picture(path, size_hint=8).size

    def look() -> None:
        sizes.append(read_picture(path, size_hint=8).size)

    for _ in range(3):
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sizes == [want] * 12
    assert len(shared_decoders()._all) <= 5


def test_a_process_that_looked_at_a_photo_ends_as_ever(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", "red")
    code = (
        "from pathlib import Path; from indexer.decoding.render import read_picture\n"
        f"print(read_picture(Path({str(path)!r}), size_hint=8).mode)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "RGB\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_has_decoders_of_its_own(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", "red")
    code = (
        "import os; from pathlib import Path; from indexer.decoding.render import read_picture\n"
        f"look = lambda: read_picture(Path({str(path)!r}), size_hint=8).mode\n"
        "print(look(), flush=True)\n"
        "child = os.fork()\n"
        "if not child: print(look(), flush=True); os._exit(0)\n"
        "os.waitpid(child, 0); print(look())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "RGB\n" * 3, "")
