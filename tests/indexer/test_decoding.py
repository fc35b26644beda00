"""Photos decoded in processes: the same pixels, and a file that breaks one costs itself alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from indexer.decoding import DecodeOptions, Decoders
from indexer.errors import FileUnreadable
from indexer.photos import read_photo
from tests.fakes import draw

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(DecodeOptions(), size_hint=16) as decoders:
        yield decoders


def _noise(format_: str, side: int = 48) -> bytes:
    """A photo of noise, the same each time."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    data = BytesIO()
    Image.fromarray(pixels).save(data, format_)
    return data.getvalue()


def _huge() -> bytes:
    """150 megapixels in 150 KB."""
    data = BytesIO()
    Image.new("L", (15_000, 10_000)).save(data, "PNG", compress_level=9)
    return data.getvalue()


def _children() -> list[int]:
    """The processes that this one has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_the_pixels_are_those_of_read_photo(decoders: Decoders, format_: str) -> None:
    data = _noise(format_)
    image, wanted = decoders.photo(data), read_photo(data, size_hint=16)
    assert (image.mode, image.size) == (wanted.mode, wanted.size)
    assert image.tobytes() == wanted.tobytes()


def test_the_reason_is_that_of_read_photo(decoders: Decoders) -> None:
    for data in (b"", b"no photo", _noise("JPEG")[:500]):
        with pytest.raises(FileUnreadable) as here:
            read_photo(data, size_hint=16)
        with pytest.raises(FileUnreadable) as there:
            decoders.photo(data)
        assert str(there.value) == str(here.value)


def test_a_truncated_photo_is_read_where_that_is_allowed() -> None:
    whole = _noise("JPEG", 256)
    with Decoders(DecodeOptions(allow_truncated=True), size_hint=128) as decoders:
        image = decoders.photo(whole[: len(whole) // 2])
    above, below = np.asarray(image)[:64], np.asarray(image)[-64:]
    assert np.array_equal(above, np.asarray(Image.open(BytesIO(whole)))[:64])
    assert (below == below[0, 0]).all()  # one grey


def test_memory_has_a_cap() -> None:
    options = DecodeOptions(memory_bytes=600_000_000)
    with Decoders(options, size_hint=16) as decoders:
        with pytest.raises(FileUnreadable, match="memory"):
            decoders.photo(_huge())
        assert decoders.photo(_noise("PNG")).size == (48, 48)


def test_time_has_a_limit_and_the_next_photo_a_new_process() -> None:
    with Decoders(DecodeOptions(seconds=0.05), size_hint=16) as decoders:
        with pytest.raises(FileUnreadable, match=r"took longer than 0\.05 s"):
            decoders.photo(_huge())
    with Decoders(DecodeOptions(), size_hint=16) as decoders:
        assert decoders.photo(_noise("PNG")).size == (48, 48)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the process in /proc")
@pytest.mark.parametrize(
    ("how", "reason"),
    [(signal.SIGSEGV, "crashed its decoder (SIGSEGV)"), (signal.SIGKILL, "its decoder was killed")],
)
def test_a_crash_costs_one_file(how: signal.Signals, reason: str) -> None:
    before = set(_children())
    with Decoders(DecodeOptions(), size_hint=16) as decoders:
        decoders.photo(_noise("PNG"))
        (child,) = set(_children()) - before
        threading.Timer(0.1, os.kill, (child, how)).start()
        with pytest.raises(FileUnreadable) as caught:
            for _ in range(50):
                decoders.photo(_huge())
        assert str(caught.value).startswith(reason)
        assert decoders.photo(_noise("PNG")).size == (48, 48)
        (other,) = set(_children()) - before
        assert other != child
    assert set(_children()) == before, "a process was left behind"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the process in /proc")
def test_a_process_that_died_while_idle_is_no_ones_fault() -> None:
    before = set(_children())
    with Decoders(DecodeOptions(), size_hint=16) as decoders:
        decoders.photo(_noise("PNG"))
        (child,) = set(_children()) - before
        os.kill(child, signal.SIGKILL)
        time.sleep(0.1)
        assert decoders.photo(_noise("PNG")).size == (48, 48)


def test_a_decoder_is_light() -> None:
    heavy = "{'torch', 'faiss', 'sqlalchemy', 'indexer.catalog'}"
    code = f"import indexer.decoder_process, sys; print({heavy} & set(sys.modules))"
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
    decoders: Decoders, format_: str, changes: list[tuple[float, int]], kept: float, tail: bytes
) -> None:
    data = bytearray(_noise(format_, 24))
    for where, byte in changes:
        data[int(where * len(data))] = byte
    mutated = bytes(data[: int(kept * len(data))]) + tail
    try:
        image = decoders.photo(mutated)
    except FileUnreadable as error:
        assert str(error)
        assert "decoder" not in str(error)
    else:
        assert image.mode == "RGB"
