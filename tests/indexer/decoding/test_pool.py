"""Photos decoded in processes: the same pixels, and a file that breaks one costs itself alone."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from indexer.core.errors import FileUnreadable, Unaffordable
from indexer.core.file_types import MediaType
from indexer.core.resize import ImageInputSpec, Resize
from indexer.decoding.memory_budget import budget
from indexer.decoding.messages import DecodeRequest
from indexer.decoding.pool import DecodeOptions, DecodePool
from indexer.media.image import read_photo
from indexer.metadata.extract import read_metadata

ROOT = Path(__file__).parents[3]

in_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds the process in /proc"
)


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecodePool]:
    with DecodePool(DecodeOptions(), size_hint=16) as decoders:
        yield decoders


@cache
def _noise(format_: str, side: int = 48) -> bytes:
    """A photo of noise, the same each time."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    data = BytesIO()
    Image.fromarray(pixels).save(data, format_)
    return data.getvalue()


def _photo(decoders: DecodePool, data: bytes) -> Image.Image:
    """The one picture of a photo."""
    (photo,) = decoders.see(MediaType.PICTURE, data).photos
    return photo


def _huge() -> bytes:
    """100 megapixels of one bit, 400 MB as RGB, in a few KB."""
    data = BytesIO()
    Image.new("1", (10_000, 10_000)).save(data, "PNG")
    return data.getvalue()


def _children() -> list[int]:
    """The processes that this one has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


@contextmanager
def _stopped(decoders: DecodePool) -> Iterator[int]:
    """The process of some decoders, stopped: the photo it gets is one that it never finishes."""
    before = set(_children())
    _photo(decoders, _noise("PNG"))
    (child,) = set(_children()) - before
    os.kill(child, signal.SIGSTOP)
    yield child


def _end(child: int, how: signal.Signals) -> None:
    """Let a stopped process die."""
    os.kill(child, how)
    os.kill(child, signal.SIGCONT)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_the_pixels_are_those_of_read_photo(decoders: DecodePool, format_: str) -> None:
    data = _noise(format_)
    image, wanted = _photo(decoders, data), read_photo(data, size_hint=16)
    assert (image.mode, image.size) == (wanted.mode, wanted.size)
    assert image.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("resize", list(Resize))
def test_pictures_are_cut_to_the_square_that_is_wanted(resize: Resize) -> None:
    square = ImageInputSpec(size=16, resize=resize)
    data = BytesIO()
    Image.open(BytesIO(_noise("PNG"))).resize((90, 60)).save(data, "JPEG")
    with DecodePool(DecodeOptions(), size_hint=16, square=square) as decoders:
        (got,) = decoders.see(MediaType.PICTURE, data.getvalue()).photos
    want = square.cut(read_photo(data.getvalue(), size_hint=16))
    np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


def test_a_photo_whose_square_is_too_large_costs_itself_alone() -> None:
    """Its shorter side of one pixel becomes 256: the longer one becomes millions."""
    data = BytesIO()
    Image.new("RGB", (1, 60_000)).save(data, "PNG")
    square = ImageInputSpec(size=256, resize=Resize.SHORTEST)
    with DecodePool(DecodeOptions(), size_hint=256, square=square) as decoders:
        with pytest.raises(FileUnreadable, match="too large for the memory"):
            decoders.see(MediaType.PICTURE, data.getvalue())
        assert _photo(decoders, _noise("PNG")).size == (256, 256)


def test_what_a_file_says_is_read_there_too(decoders: DecodePool, tmp_path: Path) -> None:
    data, sidecar = BytesIO(), tmp_path / os.fsdecode(b"caf\xe9.xmp")
    exif = Image.Exif()
    exif[0x0132], exif[0x010E] = "2019:07:14 10:20:30", "A dune"
    Image.new("RGB", (4, 3)).save(data, "JPEG", exif=exif)
    sidecar.write_text(
        '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description'
        ' xmlns:x="http://ns.adobe.com/xap/1.0/" x:Rating="4"/></r:RDF>'
    )
    wanted = read_metadata(data.getvalue(), sidecar=sidecar)
    assert (wanted.rating, wanted.caption, wanted.width) == (4, "A dune", 4)
    assert wanted.taken == datetime(2019, 7, 14, 10, 20, 30)
    for pictures in (True, False):
        seen = decoders.see(MediaType.PICTURE, data.getvalue(), sidecar=sidecar, pictures=pictures)
        assert (seen.about, len(seen.photos)) == (wanted, pictures)


def test_the_reason_is_that_of_read_photo(decoders: DecodePool) -> None:
    for data in (b"", b"no photo", _noise("JPEG")[:500]):
        with pytest.raises(FileUnreadable) as here:
            read_photo(data, size_hint=16)
        with pytest.raises(FileUnreadable) as there:
            _photo(decoders, data)
        assert str(there.value) == str(here.value)


def test_a_truncated_photo_is_read_where_that_is_allowed() -> None:
    whole = _noise("JPEG", 256)
    with DecodePool(DecodeOptions(allow_truncated=True), size_hint=128) as decoders:
        image = _photo(decoders, whole[: len(whole) // 2])
    above, below = np.asarray(image)[:64], np.asarray(image)[-64:]
    assert np.array_equal(above, np.asarray(Image.open(BytesIO(whole)))[:64])
    assert (below == below[0, 0]).all()  # one grey


def test_memory_has_a_cap() -> None:
    options = DecodeOptions(memory_bytes=450_000_000)
    with DecodePool(options, size_hint=16) as decoders:
        with pytest.raises(FileUnreadable, match="memory"):
            _photo(decoders, _huge())
        assert _photo(decoders, _noise("PNG")).size == (48, 48)


@in_proc
def test_time_has_a_limit_and_the_next_photo_a_new_process() -> None:
    with DecodePool(DecodeOptions(seconds=5), size_hint=16) as decoders:
        with _stopped(decoders), pytest.raises(FileUnreadable, match="took longer than 5 s"):
            _photo(decoders, _noise("PNG"))
        assert _photo(decoders, _noise("PNG")).size == (48, 48)


@in_proc
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (signal.SIGSEGV, r"crashed its decoder \(SIGSEGV\)"),
        (signal.SIGKILL, "its decoder was killed"),
    ],
)
def test_a_crash_costs_one_file(how: signal.Signals, reason: str) -> None:
    before = set(_children())
    with DecodePool(DecodeOptions(), size_hint=16) as decoders:
        with _stopped(decoders) as child:
            threading.Timer(0.2, _end, (child, how)).start()
            with pytest.raises(FileUnreadable, match=reason):
                _photo(decoders, _noise("PNG"))
        assert _photo(decoders, _noise("PNG")).size == (48, 48)
    assert set(_children()) == before, "a process was left behind"


@in_proc
def test_a_process_that_died_while_idle_is_no_ones_fault() -> None:
    before = set(_children())
    with DecodePool(DecodeOptions(), size_hint=16) as decoders:
        _photo(decoders, _noise("PNG"))
        (child,) = set(_children()) - before
        os.kill(child, signal.SIGKILL)
        time.sleep(0.1)
        assert _photo(decoders, _noise("PNG")).size == (48, 48)


STRANGE = {
    "a library that prints": "print('x' * 100); sys.stdout.flush(); os.write(1, b'x' * 100)",
    "an answer to an older request": "forged(b'12345678')",
    "an answer that is too long": "forged(mark, body=bytes(4_000_000))",
    "an answer of other pictures": "forged(mark, sizes=[[9, 9]], body=bytes(9))",
    "claims without end": "[leave.claim(70_000_000 + n) for n in range(100)]",
    "a claim of nothing": "pipe.send(leave.answers, mark, {'claims': -1}); time.sleep(60)",
    "silence": "sys.exit(0)",
}
"""What a decoder that was taken over may do in place of an answer."""

_TAKEN_OVER = """
import os, sys, time
from indexer.decoding.pool import worker as process
from indexer.decoding.pool import frames
honest, count = process._answered, [0]
def answered(header, body, leave):
    mark = leave.mark
    def forged(mark, body=b"", sizes=()):
        about = {"place": "forged"}
        frames.send(leave.answers, mark, {"sizes": sizes, "times": [], "about": about}, body)
        os._exit(0)
    if body.startswith(b"STRANGE"):
        STRANGE
        body = PHOTO
    return honest(header, body, leave)
process._answered = answered
process.main()
"""


@in_proc
@pytest.mark.parametrize("does", STRANGE.values(), ids=STRANGE.keys())
def test_what_a_decoder_says_is_believed_only_if_it_is_an_answer(
    does: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that takes its decoder over gets a reason, or what it shows; the next one is read."""
    code = _TAKEN_OVER.replace("STRANGE\n", does + "\n").replace("PHOTO", repr(_noise("PNG")))
    monkeypatch.setattr("indexer.decoding.pool._COMMAND", ("-P", "-c", code))
    before, honest = set(_children()), read_photo(_noise("PNG"), size_hint=16).tobytes()
    found: str | bytes
    with DecodePool(DecodeOptions(seconds=10), size_hint=16) as decoders:
        try:
            found = _photo(decoders, b"STRANGE").tobytes()
        except FileUnreadable as error:
            found = str(error)
        assert found == honest or "its decoder" in found
        assert _photo(decoders, _noise("PNG")).size == (48, 48)
    assert set(_children()) == before


@in_proc
def test_decoders_that_are_at_work_end_when_they_are_closed() -> None:
    decoders = DecodePool(DecodeOptions(), size_hint=16)
    with _stopped(decoders) as child:
        threading.Timer(0.2, decoders.close).start()
        started = time.monotonic()
        with pytest.raises(FileUnreadable):
            _photo(decoders, _noise("PNG"))
        assert time.monotonic() - started < 5
    assert child not in _children()
    with pytest.raises(FileUnreadable):
        _photo(decoders, _noise("PNG"))


@in_proc
def test_who_holds_the_other_end_cannot_make_us_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a program would that a decoder started: it lives on, and keeps what the decoder had."""
    code = "import os, time; os.fork() or os.setsid(); print('x', flush=True); time.sleep(20)"
    monkeypatch.setattr("indexer.decoding.pool._COMMAND", ("-c", code))
    with DecodePool(DecodeOptions(seconds=2), size_hint=16) as decoders:
        started = time.monotonic()
        with pytest.raises(FileUnreadable):
            _photo(decoders, _noise("PNG"))
        assert time.monotonic() - started < 10


def test_a_large_file_waits_for_memory_and_time_runs_only_then() -> None:
    options = DecodeOptions(seconds=3)
    with DecodePool(options, size_hint=16) as decoders:
        _photo(decoders, _noise("PNG"))
        with budget().holding(budget().most):
            found: list[Image.Image] = []
            waits = threading.Thread(target=lambda: found.append(_photo(decoders, _huge())))
            waits.start()
            waits.join(4)
            assert waits.is_alive()
            assert _photo(decoders, _noise("PNG")).size == (48, 48)  # a small one does not wait
        waits.join(20)
    assert len(found) == 1


def test_what_takes_more_than_there_is_names_both() -> None:
    options = DecodeOptions(memory_bytes=450_000_000)
    with DecodePool(options, size_hint=16) as decoders, pytest.raises(Unaffordable) as refused:
        _photo(decoders, _huge())
    assert str(refused.value) == (
        "takes 0.8 GB of memory to decode, and decoding may take 0.5 GB here"
    )


@in_proc
def test_a_photo_is_in_memory_once() -> None:
    """49 megapixels with transparency: 200 MB, not 800 MB."""
    data = BytesIO()
    Image.new("RGBA", (7_000, 7_000), (10, 200, 30, 99)).save(data, "PNG", compress_level=1)
    before = set(_children())
    with DecodePool(DecodeOptions(), size_hint=224) as decoders:
        assert _photo(decoders, data.getvalue()).getpixel((0, 0)) == (160, 234, 168)
        (child,) = set(_children()) - before
        status = Path(f"/proc/{child}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    assert peak < 450_000_000  # Python and its libraries take some 60 of them


def test_a_tiff_may_be_as_large_as_the_limit_says() -> None:
    """Pillow's own limit, 179 megapixels, is another."""
    data = BytesIO()
    Image.new("1", (14_000, 13_500), 1).save(data, "TIFF", compression="group4")
    with DecodePool(DecodeOptions(), size_hint=224) as decoders:
        assert _photo(decoders, data.getvalue()).getpixel((0, 0)) == (255, 255, 255)
        assert str(_reason(decoders, data.getvalue(), max_megapixels=188)) == (
            "189 megapixels, over the limit of 188; raise it with --max-image-megapixels"
        )


def _reason(decoders: DecodePool, data: bytes, *, max_megapixels: float) -> FileUnreadable:
    """Why a photo is not read under another limit."""
    look = DecodeRequest(
        form=MediaType.PICTURE, size_hint=16, max_megapixels=max_megapixels, frames=1
    )
    with pytest.raises(FileUnreadable) as refused:
        decoders.look(data, look)
    return refused.value


def test_a_small_animation_of_many_pixels_takes_seconds() -> None:
    """7 KB of 300 frames of 196 megapixels: those amid it are not worth a minute."""
    frame = b"\x21\xf9\x04\0\x01\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 14_000, 14_000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    with DecodePool(DecodeOptions(), size_hint=16) as decoders:
        assert _photo(decoders, head + frame * 300 + b";").size == (33, 33)


def test_a_decoder_is_light() -> None:
    heavy = "{'torch', 'faiss', 'sqlalchemy', 'indexer.catalog.writer'}"
    code = f"import indexer.decoding.worker, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"


mutations = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    format_=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]),
    changes=mutations,
    kept=st.floats(0.1, 1),
    tail=st.binary(max_size=40),
)
def test_no_bytes_break_a_decoder(
    decoders: DecodePool, format_: str, changes: list[tuple[float, int]], kept: float, tail: bytes
) -> None:
    data = bytearray(_noise(format_, 24))
    for where, byte in changes:
        data[int(where * len(data))] = byte
    mutated = bytes(data[: int(kept * len(data))]) + tail
    try:
        answer = _photo(decoders, mutated).mode
    except FileUnreadable as error:
        answer = str(error)
    assert answer
    assert "its decoder" not in answer  # it neither crashed nor was killed
