"""Text in pictures is read: five fonts, three languages, drawn and photographed."""

from __future__ import annotations

from collections import Counter

import pytest

from indexer.core.text_normalization import tokens
from indexer.core.types import TextLine
from indexer.media.picture_text import is_noise, read_lines
from tests.drawn_text import FONTS, TEXTS, Style, page, photographed

pytest.importorskip("rapidocr", reason="the extra ocr is not installed")

STYLES = [
    Style(font=FONTS[0]),
    Style(font=FONTS[1], size=26),
    Style(font=FONTS[2], ink=(235, 235, 240), paper=(24, 26, 32)),
    Style(font=FONTS[3], size=30),
    Style(font=FONTS[4], size=40, ink=(160, 20, 40)),
]


def _share_read(lines: tuple[str, ...], read: tuple[TextLine, ...]) -> float:
    """Return the share of the words of some lines that were read."""
    asked = Counter(token for line in lines for token in tokens(line))
    found = Counter(token for line in read for token in tokens(line.text))
    return (asked & found).total() / asked.total()


@pytest.mark.parametrize("number", range(len(STYLES)))
def test_drawn_words_are_read(number: int) -> None:
    lines = TEXTS[("en", "de", "fr")[number % 3]][number : number + 3]
    drawn = page(lines, STYLES[number], size=(900, 700))
    assert _share_read(lines, read_lines(drawn)) >= 0.95


@pytest.mark.parametrize(("number", "language"), [(0, "de"), (3, "en"), (4, "fr")])
def test_photographed_words_are_read(number: int, language: str) -> None:
    lines = TEXTS[language][:4]
    drawn = page(lines, STYLES[number], size=(900, 800))
    assert _share_read(lines, read_lines(photographed(drawn, seed=number))) >= 0.85


def test_a_line_lies_where_it_was_drawn() -> None:
    (line,) = read_lines(page(["Lighthouse"], Style(size=40), size=(600, 300)))
    left, top, width, height = line.box
    assert (line.text, line.confidence > 0.95) == ("Lighthouse", True)
    # Drawn from (50, 50): 221 pixels wide, 39 high. The reader leaves some room around.
    assert left <= 50 / 600 <= 271 / 600 <= left + width <= 291 / 600
    assert top <= 58 / 300 <= 97 / 300 <= top + height <= 117 / 300
    assert line.share == pytest.approx(width * height)


def test_a_picture_without_text_has_no_lines() -> None:
    assert read_lines(page([], Style(), size=(400, 300))) == ()


@pytest.mark.parametrize(
    ("text", "confidence", "side", "noise"),
    [
        ("Total", 0.9, 0.1, False),
        ("Total", 0.4, 0.1, True),
        ("O", 0.8, 0.1, True),
        ("福", 0.95, 0.1, False),
        ("O", 0.99, 0.99, True),
        ("★", 0.99, 0.1, True),
    ],
)
def test_shapes_that_look_like_a_letter_are_noise(
    text: str, confidence: float, side: float, noise: bool
) -> None:
    line = TextLine(text=text, confidence=confidence, box=(0.0, 0.0, side, side))
    assert is_noise(line) == noise
