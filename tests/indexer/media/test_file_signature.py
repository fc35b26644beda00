"""What a file is by its first bytes, and which files of other suffixes are passed over."""

from __future__ import annotations

import io
import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from indexer.core.file_types import OTHER_SUFFIXES, SUFFIXES, MediaType
from indexer.ingest.pipeline import index_folders
from indexer.ingest.walker import FoundFile, UnknownFile, WalkOptions, walk
from indexer.library.library import Library
from indexer.media.file_signature import HEAD, form_in, sniffed
from tests.fakes import ColourEncoder, draw


def _picture(form: str, mode: str = "RGB") -> bytes:
    data = io.BytesIO()
    Image.new(mode, (32, 24), "red").save(data, form)
    return data.getvalue()


def _video(container: str, codec: str) -> bytes:
    data = io.BytesIO()
    with av.open(data, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(30):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), dtype=np.uint8), "rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return data.getvalue()


@pytest.mark.parametrize(
    "form", ["JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "AVIF"]
)
def test_a_picture_is_told_by_its_content(form: str) -> None:
    assert sniffed(_picture(form)[:HEAD]) == MediaType.PICTURE


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "mpeg4"),
        ("mov", "mpeg4"),
        ("matroska", "mpeg4"),
        ("avi", "mpeg4"),
        ("vob", "mpeg2video"),
        ("mpeg", "mpeg1video"),
        ("mpegts", "mpeg2video"),
        ("asf", "mpeg4"),
        ("flv", "flv"),
    ],
)
def test_a_video_is_told_by_its_content(container: str, codec: str) -> None:
    assert sniffed(_video(container, codec)[:HEAD]) == MediaType.VIDEO


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"BM is how this text begins, which is no bitmap",
        b"Get this, a text of many letters" * 20,
        b"\0\0\0\x20ftypM4A sound",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"OggS" + b"\0" * 24 + b"OpusHead",
        b"const a = 1;",
    ],
)
def test_what_is_neither(head: bytes) -> None:
    assert sniffed(head) is None


def test_the_suffix_goes_first_and_other_suffixes_are_not_opened(tmp_path: Path) -> None:
    for name, form in (
        ("a.jpg", MediaType.PICTURE), ("a.txt", MediaType.TEXT), ("a", MediaType.PICTURE),
        ("a.JPG~", MediaType.PICTURE), ("a.pdf", None), ("a.jpg.part", None), ("a.thm", None),
        ("gone", None),
    ):  # fmt: skip
        if name != "gone":
            (tmp_path / name).write_bytes(_picture("JPEG"))
        assert form_in(tmp_path / name) == form
    assert not OTHER_SUFFIXES & SUFFIXES.keys()


def test_a_pipe_of_unknown_suffix_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert form_in(tmp_path / "pipe") is None


def test_hidden_and_ignored_files_are_neither_opened_nor_counted(tmp_path: Path) -> None:
    for name in (".a.doc", "b.doc", "c", "d.xmp", "desktop.ini"):
        (tmp_path / name).write_bytes(b"text")
    (tmp_path / "private").write_bytes(_picture("PNG"))
    (tmp_path / ".twinlensignore").write_text("private\n")
    found = list(walk([tmp_path], options=WalkOptions()))
    assert found == [UnknownFile(suffix=".doc"), UnknownFile(suffix="")]


def test_a_run_reads_them_and_counts_the_others(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    draw(photos / "a.png", "red")
    for number, name in enumerate(["dji_fly_photo", "x.weird", "y.jpg_large", "z.JPG~", "m.mpo"]):
        image = Image.new("RGB", (40 + number, 30), "blue")
        image.save(photos / name, "MPO" if name == "m.mpo" else "JPEG")
    Image.new("RGB", (50, 30), "green").save(photos / "t.tga")
    (photos / "film").write_bytes(_video("vob", "mpeg2video"))
    for name in ("b.doc", "c.doc", "d.zip", "README", "e.xmp"):
        (photos / name).write_bytes(b"text")
    encoder = ColourEncoder()
    with Library.create(tmp_path / "library", encoder) as library:
        done = index_folders(library, encoder, [photos])
        again = index_folders(library, encoder, [photos])
    assert (done.photos, done.videos, done.skipped) == (7, 1, ())
    assert done.passed_over == {".doc": 2, "": 1, ".zip": 1}
    assert (again.unchanged, again.passed_over) == (8, done.passed_over)


def test_found_has_the_kind_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(_picture("PNG"))
    (found,) = walk([tmp_path], options=WalkOptions())
    assert isinstance(found, FoundFile)
