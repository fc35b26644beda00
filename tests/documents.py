"""Screenshots and pages of text, drawn: other words, the same look."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_WORDS = (
    "the flat is taken call them again later please now fine see you at nine bring map and water "
    "sure invoice amount total due order house street letter contract between parties shall agree "
    "upon terms payment within thirty days delivery goods services provided according"
)
WORDS = _WORDS.split()


def chat(seed: int, *, dark: bool = False, font: int = 44) -> Image.Image:
    """Draw a screenshot of a chat."""
    dice = random.Random(seed)
    letters = ImageFont.load_default(size=font)
    paper, ink = ((11, 20, 26), (230, 230, 230)) if dark else ((255, 255, 255), (0, 0, 0))
    bubbles = [(0, 92, 75), (32, 44, 51)] if dark else [(220, 248, 198), (235, 235, 235)]
    image = Image.new("RGB", (1080, 2160), paper)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1080, 140), fill=(7, 94, 84))
    for row in range(10):
        x, y = (60, 360)[row % 2], 200 + 180 * row
        draw.rounded_rectangle((x, y, x + 640, y + 120), 20, fill=bubbles[row % 2])
        said = " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, 3)))
        draw.text((x + 30, y + 35), said, fill=ink, font=letters)
    return image


def lines(seed: int, count: int = 55) -> list[str]:
    """Return lines of a letter, each as long as the others."""
    dice = random.Random(seed)
    return [" ".join(dice.choice(WORDS) for _ in range(24))[:85] for _ in range(count)]


def page(text: Sequence[str], *, font: int = 26) -> Image.Image:
    """Draw a page of a letter, as scanned with 150 dots an inch."""
    letters = ImageFont.load_default(size=font)
    image = Image.new("RGB", (1240, 1754), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(text):
        draw.text((90, 90 + number * (font + 3)), line, fill=(20, 20, 20), font=letters)
    return image
