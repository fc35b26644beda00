"""A folder of photos, a video and texts for the tests of the page: all that a library can hold.

The photos are those of scikit-image and scikit-learn, and drawn ones. Dates, places, cameras and
keywords are stamped here, so that every count that the page shows can be said beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import skimage
import sklearn
from PIL import Image, ImageDraw, ImageOps

from tests.clips import clip

ROME, BEIJING, PARIS = (41.9, 12.5), (39.9, 116.4), (48.86, 2.35)
SCIKIT_IMAGE = Path(skimage.__file__).parent / "data"
SCIKIT_LEARN = Path(sklearn.__file__).parent / "datasets" / "images"

HOSTILE_NAME = '<img src=x onerror="window.pwned=1">.jpg'
HOSTILE_WORDS = "<script>window.pwned=1</script><b>bold</b>"
HOSTILE_CAMERA = '"><svg onload=window.pwned=1>'

CAPTIONS = (
    "A tabby cat looks into the camera.",
    "A cup of coffee on a wooden table.",
    "A rocket on the launch pad.",
    "A red motorcycle.",
    f"Words with {HOSTILE_WORDS}",
)

DRAWN = 60
"""Drawn photos: enough that the page has to scroll."""

DESCRIPTION, MAKE, MODEL, RATING = 0x010E, 0x010F, 0x0110, 0x4746
EXIF, GPS, TAKEN, LENS = 0x8769, 0x8825, 0x9003, 0xA434
_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What is written into a photo: `taken` as EXIF has it, `place` as degrees north and east."""

    taken: str = ""
    place: tuple[float, float] | None = None
    make: str = ""
    model: str = ""
    lens: str = ""
    rating: int = 0
    keywords: Sequence[str] = ()
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Album:
    """The folder, and where its parts are."""

    folder: Path

    @property
    def cat(self) -> Path:
        """A tabby cat: Rome, June 2019, Fujifilm X100V, the keywords cat and animals."""
        return self.folder / "2019-rome" / "cat.jpg"

    @property
    def coffee(self) -> Path:
        """A cup of coffee: Rome, the same day, Canon EOS R5, five stars, the keyword breakfast."""
        return self.folder / "2019-rome" / "coffee.jpg"

    @property
    def drawn(self) -> list[Path]:
        """The drawn photos, of a month each, from January 2010."""
        return [self.folder / "drawn" / f"drawn-{number:02}.jpg" for number in range(DRAWN)]


def make_album(album: Album) -> None:
    """Write all files."""
    folder = album.folder
    _real_photos(album)
    for number in range(5):  # of one thing, to learn a name from
        _view(SCIKIT_IMAGE / "chelsea.png", folder / "rex" / f"rex-{number + 1}.jpg", number)
    for number, path in enumerate(album.drawn):
        taken = f"{2010 + number // 12}:{number % 12 + 1:02}:15 12:00:00"
        _drawn(path, number, Stamp(taken=taken))
    _film(folder / "film.mp4")
    (folder / "captions.txt").write_text("\n".join(CAPTIONS), encoding="utf-8")
    (folder / "broken.jpg").write_bytes(album.coffee.read_bytes()[:200])


def stamped(source: Path | Image.Image, target: Path, stamp: Stamp, longest: int = 480) -> None:
    """Write a photo as a JPEG with what the stamp says."""
    image = source if isinstance(source, Image.Image) else Image.open(source)
    picture = image.convert("RGB")
    picture.thumbnail((longest, longest))
    target.parent.mkdir(parents=True, exist_ok=True)
    items = "".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in stamp.keywords)
    xmp = _XMP.format(items=items).encode() if items else b""
    picture.save(target, "JPEG", quality=88, exif=_exif(stamp), xmp=xmp)


def _exif(stamp: Stamp) -> Image.Exif:
    exif = Image.Exif()
    plain = {MAKE: stamp.make, MODEL: stamp.model, RATING: stamp.rating, DESCRIPTION: stamp.caption}
    for tag, value in plain.items():
        if value:
            exif[tag] = value
    inner = {TAKEN: stamp.taken, LENS: stamp.lens}
    exif.get_ifd(EXIF).update({tag: value for tag, value in inner.items() if value})
    if stamp.place:
        north, east = stamp.place
        exif.get_ifd(GPS).update({1: "N", 2: (north, 0, 0), 3: "E", 4: (east, 0, 0)})
    return exif


def _real_photos(album: Album) -> None:
    folder, cat, coffee = album.folder, album.cat, album.coffee
    canon = {"make": "Canon", "model": "Canon EOS R5", "lens": "RF50mm F1.8 STM"}
    fuji = {"make": "FUJIFILM", "model": "X100V"}
    coffee_stamp = Stamp(
        taken="2019:06:02 10:00:00", place=ROME, rating=5, keywords=["breakfast"], **canon
    )
    stamped(SCIKIT_IMAGE / "coffee.png", coffee, coffee_stamp)
    stamped(SCIKIT_IMAGE / "coffee.png", folder / "copies" / "coffee-small.jpg", Stamp(), 240)
    stamped(
        SCIKIT_IMAGE / "chelsea.png",
        cat,
        Stamp(taken="2019:06:02 11:00:00", place=ROME, keywords=["cat", "animals"], **fuji),
    )
    stamped(
        SCIKIT_LEARN / "china.jpg",
        folder / "2021" / "temple.jpg",
        Stamp(taken="2021:09:05 14:00:00", place=BEIJING, keywords=["travel"], **canon),
    )
    stamped(
        SCIKIT_LEARN / "flower.jpg",
        folder / "2022" / "flower.jpg",
        Stamp(taken="2022:05:01 09:30:00", rating=4, keywords=["garden"], **fuji),
    )
    stamped(
        SCIKIT_IMAGE / "motorcycle_left.png",
        folder / "2023" / "motorcycle.jpg",
        Stamp(taken="2023:10:06 15:00:00", place=PARIS, keywords=["travel"], **canon),
    )
    for name in ("astronaut.png", "rocket.jpg", "hubble_deep_field.jpg", "moon.png", "coins.png"):
        target = folder / "space" / Path(name).with_suffix(".jpg").name
        stamped(SCIKIT_IMAGE / name, target, Stamp())
    hostile = Stamp(
        taken="2016:01:01 00:00:00",
        make="",
        model=HOSTILE_CAMERA,
        keywords=[HOSTILE_WORDS],
        caption=HOSTILE_WORDS,
    )
    stamped(SCIKIT_IMAGE / "horse.png", folder / "hostile" / HOSTILE_NAME, hostile)


def _view(source: Path, target: Path, number: int) -> None:
    """Write one view of a photo: a part of it, and every other one mirrored."""
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    step = 18 * number
    part = image.crop((step, step // 2, image.width - 90 + step, image.height - 45 + step // 2))
    picture = ImageOps.mirror(part) if number % 2 else part
    stamped(picture, target, Stamp(taken=f"2018:03:{number + 1:02} 12:00:00"))


def _drawn(target: Path, number: int, stamp: Stamp) -> None:
    """Draw shapes on a gradient, other ones for every number."""
    rng = np.random.default_rng(number)
    width, height = ((320, 213), (213, 320), (320, 320), (320, 160))[number % 4]
    ramp = np.linspace(0, 1, height)[:, None, None]
    above, below = rng.integers(0, 256, (2, 3))
    rows = (above * (1 - ramp) + below * ramp).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(rows, (height, width, 3)).copy())
    pen = ImageDraw.Draw(image)
    for _ in range(4):
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = int(rng.integers(20, 110))
        colour = tuple(int(each) for each in rng.integers(0, 256, 3))
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((left, top, left + size, top + size), fill=colour)
    stamped(image, target, stamp)


def _film(target: Path) -> None:
    """Film a motorcycle for four seconds, then a cat for four."""
    scenes = []
    for name in ("motorcycle_left.png", "chelsea.png"):
        with Image.open(SCIKIT_IMAGE / name) as opened:
            scenes.append((opened.convert("RGB").resize((320, 208)), 4.0))
    clip(target, scenes)
