"""Draw pictures of text, so that `fit_text_gate.py` sees what photos of datasets rarely show.

    python scripts/draw_texts.py PHOTOS DRAWN --count 400 --seed 0

Pages and screens, in five fonts and three languages, as they are and as a camera sees them before
photos of PHOTOS; and signs upon such photos, of many sizes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.drawn_text import FONTS, TEXTS, Style, font, page, photographed

PAGES = ((1240, 1754), (1170, 2532), (1600, 1000), (600, 1600), (1000, 1000))


def main() -> None:
    """Draw as many of each kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    photos = sorted(path for path in options.photos.rglob("*") if path.suffix in (".jpg", ".png"))
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        behind = Image.open(photos[rng.integers(len(photos))]).convert("RGB")
        draw = (_page, _photographed, _sign)[number % 3]
        draw(rng, behind).save(options.out / f"text-{number:04}.jpg", quality=88)


def _page(rng: np.random.Generator, behind: Image.Image) -> Image.Image:
    """Draw a page or a screen, now and then with a picture in it."""
    lines = list(TEXTS[str(rng.choice(list(TEXTS)))])
    rng.shuffle(lines)
    colours = rng.integers(0, 90, 3), rng.integers(190, 256, 3)
    ink, paper = colours if rng.random() < 0.7 else colours[::-1]
    style = Style(
        font=str(rng.choice(FONTS)),
        size=int(rng.integers(22, 70)),
        ink=tuple(map(int, ink)),
        paper=tuple(map(int, paper)),
    )
    drawn = page(lines[: rng.integers(2, 9)], style, size=PAGES[rng.integers(len(PAGES))])
    if rng.random() < 0.3:
        picture = behind.resize((drawn.width // 2, drawn.height // 3))
        drawn.paste(picture, (drawn.width // 4, drawn.height - drawn.height // 3 - 20))
    return drawn


def _photographed(rng: np.random.Generator, behind: Image.Image) -> Image.Image:
    """Draw a page as a camera sees it before a photo."""
    return photographed(_page(rng, behind), int(rng.integers(1 << 30)), behind)


def _sign(rng: np.random.Generator, behind: Image.Image) -> Image.Image:
    """Draw a sign of one to three words upon a photo."""
    photo = behind.resize((900, int(900 * behind.height / behind.width)))
    words = str(rng.choice(TEXTS["en"] + TEXTS["de"])).split()
    first = int(rng.integers(0, max(1, len(words) - 3)))
    text = " ".join(words[first : first + int(rng.integers(1, 4))]).upper()
    face = font(str(rng.choice(FONTS)), int(rng.integers(36, 130)))
    pen = ImageDraw.Draw(photo)
    left, top = int(rng.integers(0, 250)), int(rng.integers(0, photo.height - 100))
    if rng.random() < 0.7:
        colour = tuple(map(int, rng.integers(150, 256, 3)))
        box = pen.textbbox((left, top), text, font=face)
        pen.rectangle((box[0] - 15, box[1] - 15, box[2] + 15, box[3] + 15), fill=colour)
        pen.text((left, top), text, font=face, fill=(10, 10, 30))
    else:
        pen.text((left, top), text, font=face, fill="white", stroke_width=2, stroke_fill="black")
    return photo


if __name__ == "__main__":
    main()
