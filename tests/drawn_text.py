"""Pictures of text, drawn by tests and benchmarks: pages, screens and signs, also photographed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "DejaVuSans-Bold")
"""Five fonts that the wheel of matplotlib carries."""

TEXTS = {
    "en": (
        "Invoice number 20415, due within thirty days",
        "Please transfer the total amount to our account",
        "Departure at gate seventeen, boarding closes early",
        "Your parcel was delivered to the neighbour yesterday",
        "The library opens on weekdays from nine until six",
        "Remember to water the plants and feed the cat",
        "Chapter twelve: the lighthouse keeper returns home",
        "Copyright reserved, reproduction only with permission",
    ),
    "de": (
        "Rechnung Nummer 20415, zahlbar innerhalb von dreißig Tagen",
        "Bitte überweisen Sie den Gesamtbetrag auf unser Konto",
        "Abfahrt von Gleis siebzehn, die Türen schließen selbsttätig",
        "Ihr Paket wurde gestern beim Nachbarn abgegeben",
        "Die Bücherei öffnet werktags von neun bis achtzehn Uhr",
        "Vergiss nicht, die Blumen zu gießen und die Katze zu füttern",
        "Zwölftes Kapitel: der Leuchtturmwärter kehrt zurück",
        "Alle Rechte vorbehalten, Nachdruck nur mit Genehmigung",
    ),
    "fr": (
        "Facture numéro 20415, payable dans les trente jours",
        "Veuillez virer le montant total sur notre compte",
        "Départ du quai dix-sept, fermeture automatique des portes",
        "Votre colis a été déposé hier chez le voisin",
        "La bibliothèque ouvre en semaine de neuf heures à midi",
        "Pensez à arroser les plantes et à nourrir le chat",
        "Chapitre douze : le gardien du phare rentre chez lui",
        "Tous droits réservés, reproduction interdite sans accord",
    ),
}
"""Lines as documents and screens show them, in three languages."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How text is drawn: a font of `FONTS`, its size in pixels, ink and paper as RGB."""

    font: str = FONTS[0]
    size: int = 32
    ink: tuple[int, int, int] = (20, 20, 20)
    paper: tuple[int, int, int] = (250, 250, 248)


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Load one of `FONTS`."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{name}.ttf"), size)


def page(
    lines: Sequence[str], style: Style, *, size: tuple[int, int] = (1240, 1754)
) -> Image.Image:
    """Draw lines below each other; a line that is too long for the page goes on below."""
    image = Image.new("RGB", size, style.paper)
    pen, face = ImageDraw.Draw(image), font(style.font, style.size)
    margin = size[0] // 12
    top = margin
    for line in lines:
        for part in _wrapped(line, face, size[0] - 2 * margin):
            pen.text((margin, top), part, fill=style.ink, font=face)
            top += int(1.6 * style.size)
        top += int(0.8 * style.size)
    return image


def _wrapped(line: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a line at spaces so that each part fits a width in pixels."""
    parts: list[str] = []
    for word in line.split():
        longer = f"{parts[-1]} {word}" if parts else word
        if parts and face.getlength(longer) <= width:
            parts[-1] = longer
        else:
            parts.append(word)
    return parts


def photographed(image: Image.Image, seed: int, behind: Image.Image | None = None) -> Image.Image:
    """Return a page as a camera sees it: turned, in perspective, unevenly lit, soft and noisy.

    Args:
        image: the page.
        seed: the same one gives the same photo.
        behind: what lies around the page; grey without.
    """
    rng = np.random.default_rng(seed)
    width, height = image.size
    size = (int(width * 1.25), int(height * 1.25))
    ground = (
        behind.convert("RGB").resize(size) if behind else Image.new("RGB", size, (120, 110, 100))
    )
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    moved = corners + np.array([0.125 * width, 0.125 * height])
    moved += rng.uniform(-0.07, 0.07, (4, 2)) * [width, height]
    back = _perspective(moved, corners)
    seen = image.transform(size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC)
    mask = Image.new("L", image.size, 255).transform(size, Image.Transform.PERSPECTIVE, back)
    ground.paste(seen, mask=mask)
    soft = ground.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.1)))
    light = np.linspace(rng.uniform(0.6, 0.9), rng.uniform(0.9, 1.1), size[0])[None, :, None]
    noise = rng.normal(0, rng.uniform(3, 9), (size[1], size[0], 3))
    pixels = np.clip(np.asarray(soft, dtype=float) * light + noise, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _perspective(source: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """Return the eight numbers that map four corners (4, 2) to four others, as Pillow wants."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(wanted)).tolist())
