"""Read the text that a picture shows: lines with their places (OCR).

It runs in decoder processes alone. RapidOCR finds and reads the lines with PP-OCRv6, whose models
lie in its wheel, on OpenVINO; so nothing is fetched. It reads Chinese, Japanese, and languages in
Latin letters.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.core.errors import FileUnreadable, UsageError
from indexer.core.types import TextLine

LONGEST_SIDE = 2_000
"""Pixels of a picture whose text is read: letters of a page of A4 have 20 then."""

SIZE_HINT = 750
"""Of the decoder, whose answer has at least twice as many pixels on the shorter side."""

SURE = 0.5
"""The least confidence of a line, the mean probability of its letters; lower ones are noise."""

SURE_ALONE = 0.9
"""The same of a line of a single letter: most shapes of a picture look like some letter."""

MOST_OF_PICTURE = 0.5
"""A single letter that covers so much of a picture is the picture itself, taken for a letter."""

GLANCE_SIDE = 640
"""Pixels of a picture at a glance, which tells whether it shows text: lines are seen, not read."""

GLANCE_HINT = 240
"""Of the decoder, for a glance."""

GLANCE_LINES = 6
"""Of the largest lines of a glance: if one is read, the picture shows text."""

_FIND = {"use_det": True, "use_cls": False, "use_rec": False}
_READ = {"use_det": False, "use_cls": False, "use_rec": True}
_BOTH = {"use_det": True, "use_cls": False, "use_rec": True}
"""The steps of one call: the reader keeps those of the last call where none are named. Lines that
stand on their head are rare, and telling them would cost time."""

PACKAGE = "rapidocr"


def check_text_reader() -> None:
    """Refuse to read text where the package that reads it is missing.

    Raises:
        UsageError: says how to install it.
    """
    if find_spec(PACKAGE) is None:
        raise UsageError(
            f"reading text in photos needs the package {PACKAGE}; install it with: "
            "pip install 'twinlens[ocr]'"
        )


def reader_name() -> str:
    """Name what reads, with its major version: what another one read is read again."""
    return f"{PACKAGE} {version(PACKAGE).partition('.')[0]}"


def shows_text(image: Image.Image) -> bool:
    """Tell at a glance whether a picture shows text; it costs a tenth of reading it.

    Args:
        image: RGB, upright. Shape (height, width, 3).

    Raises:
        FileUnreadable: the reader is not installed.
    """
    small = image.copy()
    small.thumbnail((GLANCE_SIDE, GLANCE_SIDE))
    found = _reader(glance=True)(_pixels(small), **_FIND)
    if found.boxes is None:
        return False
    scale = image.width / small.width
    corners = np.asarray(found.boxes)  # (lines, 4, 2)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1) * scale
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    largest = boxes[np.argsort(-sizes)[:GLANCE_LINES]].astype(int).tolist()
    return any(_is_line(image.crop(box)) for box in map(tuple, largest))


def _is_line(image: Image.Image) -> bool:
    """Tell whether a part of a picture can be read as one line."""
    if min(image.size) < 2:
        return False
    read = _reader()(_pixels(image), **_READ)
    lines = zip(read.txts or (), read.scores or (), strict=True)
    return any(
        not is_noise(TextLine(text=text, confidence=float(score), box=(0.0, 0.0, 0.0, 0.0)))
        for text, score in lines
    )


def read_lines(image: Image.Image) -> tuple[TextLine, ...]:
    """Read the lines of a picture, from top to bottom.

    Args:
        image: RGB, upright. Shape (height, width, 3).

    Raises:
        FileUnreadable: the reader is not installed.
    """
    small = image.copy()
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    found = _reader()(_pixels(small), **_BOTH)
    if found.txts is None:
        return ()
    lines = (
        TextLine(text=text.strip(), confidence=round(float(score), 3), box=_box(corners, small))
        for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True)
    )
    return tuple(line for line in lines if not is_noise(line))


def is_noise(line: TextLine) -> bool:
    """Tell whether a line is more likely a shape than text."""
    letters = sum(char.isalnum() for char in line.text)
    if letters > 1:
        return line.confidence < SURE
    return not letters or line.confidence < SURE_ALONE or line.share > MOST_OF_PICTURE


def _box(corners: NDArray[np.float32], image: Image.Image) -> tuple[float, float, float, float]:
    """Return left, top, width and height as shares of the picture, of a quadrangle (4, 2)."""
    size = np.array(image.size, dtype=np.float64)
    low = np.clip(np.asarray(corners).min(axis=0) / size, 0, 1)
    high = np.clip(np.asarray(corners).max(axis=0) / size, 0, 1)
    left, top, width, height = (round(float(each), 4) for each in (*low, *(high - low)))
    return left, top, width, height


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return a picture as the reader takes it: BGR. Shape (height, width, 3)."""
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


@cache
def _reader(*, glance: bool = False) -> Any:
    """Load the models; the first picture compiles them, which takes a second or two."""
    try:
        package: Any = import_module(PACKAGE)
    except ImportError as error:
        raise FileUnreadable(f"its text needs the package {PACKAGE}") from error
    engine = package.EngineType.OPENVINO
    # The reader makes small pictures larger; a glance does not.
    sides = {"Det.limit_side_len": GLANCE_SIDE // 2} if glance else {}
    return package.RapidOCR(
        params={
            **{f"{part}.engine_type": engine for part in ("Det", "Cls", "Rec")},
            "EngineConfig.openvino.inference_num_threads": 1,
            "Global.log_level": "critical",
            **sides,
        }
    )
