"""Copies of photos against other photos of the same subject: what tells them apart.

    python benchmarks/duplicates.py --labels caltech101/labels.jsonl [--photos 100] [--seed 0]

`--labels`: a JSONL of `{"image", "label"}`. `--photos` of them are copied in the ways of `CHANGES`:
`near` is the share of copies whose cosine is `NEAR` or more, `least` the lowest correlation of the
small pictures, `alike` the share of `ALIKE` or more, `copies` the share of those that agree in each
tile as well, by `AGREE`. Other photos are ten of each label, the most common labels first; of their
pairs of `NEAR` or more, the largest correlations, how many are of `ALIKE` or more, and how many
would be called copies. `bursts` are shots of the same photos in which something moved, or the
camera did; `words` are a third as many screenshots and pages that have other words. Prints one
JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from indexer.core.encoder import Vectors
from indexer.duplicates.finder import NEAR
from indexer.duplicates.similarity import AGREE, ALIKE, SIDES, agreement, likeness, picture
from indexer.media.image import read_photo
from retrieval.models import TorchEncoder, load_encoder

BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model, "cpu")
    with chosen.labels.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(chosen.seed).permutation(len(rows))
    paths = [chosen.labels.parent / rows[at]["image"] for at in order]
    originals = paths[: chosen.photos]
    photos = [read_photo(path, size_hint=encoder.image_size) for path in originals]
    vectors, pictures = embed(encoder, photos), [picture(photo) for photo in photos]
    result: dict[str, object] = {"model": encoder.name, "photos": len(photos), "seed": chosen.seed}
    for name, change in CHANGES.items():
        files = [change(Image.open(path).convert("RGB")) for path in originals]
        copies = [read_photo(file, size_hint=encoder.image_size) for file in files]
        cosines = (embed(encoder, copies) * vectors).sum(axis=1)
        alike = np.array([likeness(a, picture(b)) for a, b in zip(pictures, copies, strict=True)])
        result[name] = {
            "near": share(cosines >= NEAR),
            "least": round(float(alike.min()), 3),
            "alike": share(alike >= ALIKE),
            "copies": share(are_copies(originals, files)),
        }
    labels = [rows[at]["label"] for at in order]
    result["other photos"] = others(encoder, paths, labels, chosen.photos)
    whole = [read_photo(path, size_hint=SIDES[-1]) for path in originals]
    result["bursts"] = {name: told(map(burst, whole)) for name, burst in BURSTS.items()}
    result["words"] = {
        name: told(map(draw, range(chosen.photos // 3))) for name, draw in WORDS.items()
    }
    print(json.dumps(result))


def others(
    encoder: TorchEncoder, paths: list[Path], labels: list[str], many: int
) -> dict[str, object]:
    """Pairs of photos of one label that are near, the labels with most photos first."""
    common = sorted(sorted(set(labels)), key=labels.count, reverse=True)
    chosen = [at for label in common for at in np.flatnonzero(np.array(labels) == label)[:10]]
    photos = [read_photo(paths[at], size_hint=encoder.image_size) for at in chosen[: 3 * many]]
    vectors, pictures = embed(encoder, photos), [picture(photo) for photo in photos]
    pairs = np.argwhere(np.triu(vectors @ vectors.T, 1) >= NEAR)
    alike = np.array([likeness(pictures[a], pictures[b]) for a, b in pairs])
    return {
        "photos": len(photos),
        "pairs near": len(pairs),
        "largest": np.sort(alike)[::-1][:5].round(3).tolist(),
        "alike": int((alike >= ALIKE).sum()),
        "copies": sum(is_copy(*(greys(paths[chosen[at]]) for at in pair)) for pair in pairs),
    }


def greys(source: Path | bytes | Image.Image) -> Image.Image:
    """A photo as it is compared in detail."""
    if not isinstance(source, Image.Image):
        source = read_photo(source, size_hint=SIDES[-1])
    grey = source.convert("L")
    grey.thumbnail((SIDES[-1] * 5 // 4,) * 2, Image.Resampling.BOX)
    return grey


def is_copy(one: Image.Image, other: Image.Image) -> bool:
    """As `find_duplicates` decides, once the vectors are near."""
    a, b = picture(one), picture(other)
    return likeness(a, b) >= ALIKE and agreement(a, b, lambda _side: (one, other)) >= AGREE


def are_copies(originals: list[Path], files: list[bytes]) -> np.ndarray:
    pairs = zip(originals, files, strict=True)
    return np.array([is_copy(greys(one), greys(other)) for one, other in pairs])


def told(pairs: Iterable[tuple[Image.Image, Image.Image]]) -> dict[str, float]:
    """The share of pairs that the small pictures take for copies, and that all of it does."""
    grey = [(greys(one), greys(other)) for one, other in pairs]
    alike = [likeness(picture(one), picture(other)) >= ALIKE for one, other in grey]
    copies = [is_copy(one, other) for one, other in grey]
    return {"alike": share(np.array(alike)), "copies": share(np.array(copies))}


def moved_thing(photo: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Another shot: noise, and a part of an eighth of each side shows something else."""
    levels = np.asarray(photo) + np.random.default_rng(0).normal(0, 4, np.shape(photo))
    second = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    width, height = photo.size
    left, top = width // 2, height // 2
    second.paste(
        photo.crop((left, top, left + width // 8, top + height // 8)), (width // 3, height // 3)
    )
    return photo, second


def moved_camera(photo: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Another shot: the camera moved by a hundredth of the width."""
    edge = photo.width // 20
    off = max(2, photo.width // 100)
    box = (edge, edge, photo.width - edge, photo.height - edge)
    return photo.crop(box), photo.crop((box[0] + off, box[1], box[2] + off, box[3]))


def chats(seed: int) -> tuple[Image.Image, Image.Image]:
    """Two screenshots of one app."""
    return chat(np.random.default_rng((seed, 0))), chat(np.random.default_rng((seed, 1)))


def chat(dice: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (1080, 2160), "white")
    drawing, font = ImageDraw.Draw(image), ImageFont.load_default(size=44)
    drawing.rectangle((0, 0, 1080, 140), fill=(7, 94, 84))
    for row in range(10):
        x, y = (60, 360)[row % 2], 200 + 180 * row
        fill = ((220, 248, 198), (235, 235, 235))[row % 2]
        drawing.rounded_rectangle((x, y, x + 640, y + 120), 20, fill=fill)
        drawing.text((x + 30, y + 35), said(dice, int(dice.integers(1, 4))), fill=0, font=font)
    return image


def pages(seed: int) -> tuple[Image.Image, Image.Image]:
    """Two pages of a letter."""
    dice = np.random.default_rng(seed)
    return page([said(dice, 12) for _ in range(55)]), page([said(dice, 12) for _ in range(55)])


def other_word(seed: int) -> tuple[Image.Image, Image.Image]:
    """Two pages that differ in one word."""
    dice = np.random.default_rng(seed)
    lines = [said(dice, 12) for _ in range(55)]
    at = int(dice.integers(55))
    return page(lines), page([*lines[:at], "mouse " + lines[at].split(" ", 1)[1], *lines[at + 1 :]])


def other_digit(seed: int) -> tuple[Image.Image, Image.Image]:
    """Two invoices that differ in one digit."""
    dice = np.random.default_rng(seed)
    lines = [said(dice, 12) for _ in range(55)]
    one, other = dice.choice(10, size=2, replace=False)
    amounts = (f"total due: 1{digit}03 EUR" for digit in (one, other))
    first, second = ([*lines[:5], amount, *lines[6:]] for amount in amounts)
    return page(first), page(second)


def page(lines: list[str]) -> Image.Image:
    image = Image.new("RGB", (1240, 1754), "white")
    drawing, font = ImageDraw.Draw(image), ImageFont.load_default(size=26)
    for number, line in enumerate(lines):
        drawing.text((90, 90 + 29 * number), line, fill=(20, 20, 20), font=font)
    return image


def said(dice: np.random.Generator, count: int) -> str:
    letters = "the flat is taken call them again later please now bring map and water sure invoice"
    return " ".join(dice.choice(letters.split(), size=count))


def embed(encoder: TorchEncoder, photos: list[Image.Image]) -> Vectors:
    starts = range(0, len(photos), BATCH)
    return np.concatenate([encoder.encode_images(photos[at : at + BATCH]) for at in starts])


def share(values: np.ndarray) -> float:
    return round(float(values.mean()), 3)


def jpeg(photo: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cut(photo: Image.Image, share: float, left: float = 0.5) -> Image.Image:
    """Cut a part out, `left` of what goes at the left and at the top."""
    width, height = int(photo.width * share), int(photo.height * share)
    x, y = int((photo.width - width) * left), int((photo.height - height) * left)
    return photo.crop((x, y, x + width, y + height))


def half(photo: Image.Image) -> Image.Image:
    return photo.resize((max(1, photo.width // 2), max(1, photo.height // 2)))


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "half the size": lambda photo: jpeg(half(photo)),
    "JPEG quality 30": lambda photo: jpeg(photo, 30),
    "cropped to 95 %": lambda photo: jpeg(cut(photo, 0.95)),
    "cropped to 87 %": lambda photo: jpeg(cut(photo, 0.87)),
    "a corner of 90 %": lambda photo: jpeg(cut(photo, 0.9, 0.0)),
    "brighter by 30 %": lambda photo: jpeg(ImageEnhance.Brightness(photo).enhance(1.3)),
    "contrast + 30 %": lambda photo: jpeg(ImageEnhance.Contrast(photo).enhance(1.3)),
    "grey": lambda photo: jpeg(photo.convert("L").convert("RGB")),
}

BURSTS = {"something moved": moved_thing, "the camera moved": moved_camera}
WORDS = {"chats": chats, "pages": pages, "one word": other_word, "one digit": other_digit}


if __name__ == "__main__":
    main()
