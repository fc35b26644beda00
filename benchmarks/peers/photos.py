"""Photos of a given size, made from any photos: cropped, enlarged, grained, written as JPEG.

    python benchmarks/peers/photos.py --photos FOLDER --out DIR --count 600 --size 500 375

What enlargement loses in detail, grain gives back, so that a file has the bytes of a camera's and
costs as much to decode. The same photos give the same files. scikit-image's are the default.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

QUALITY = 90
GRAIN = 6.0  # standard deviation; gives 3.3 MB for 12 megapixels, 60 KB for 500 x 375
SUFFIXES = {".jpg", ".jpeg", ".png"}
LEAST = 200  # pixels of the shorter side; smaller pictures are no photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=None, help="default: scikit-image's")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375), metavar=("W", "H"))
    asked = parser.parse_args()
    sources = usable(asked.photos or scikit_image())
    asked.out.mkdir(parents=True, exist_ok=True)
    for number in range(asked.count):
        photo = drawn(sources, number, (asked.size[0], asked.size[1]))
        photo.save(asked.out / f"IMG_{number:05}.jpg", quality=QUALITY)


def scikit_image() -> Path:
    """Return the folder of the photos that scikit-image's wheel carries."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("name a folder with --photos, or: pip install scikit-image")
    return Path(spec.origin).parent / "data"


def usable(folder: Path) -> list[Path]:
    """List photos large enough, in an order that does not depend on the disk."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    found = [path for path in files if min(_size(path)) >= LEAST]
    if not found:
        raise SystemExit(f"no photo of {LEAST} pixels a side or more below {folder}")
    return found


def _size(path: Path) -> tuple[int, int]:
    """Read width and height."""
    with Image.open(path) as photo:
        return photo.size


def drawn(sources: list[Path], number: int, size: tuple[int, int]) -> Image.Image:
    """Make photo `number`: part of one of the sources, enlarged, with grain of its own."""
    rng = np.random.default_rng(number)
    with Image.open(sources[int(rng.integers(len(sources)))]) as source:
        photo = source.convert("RGB")
    side = [int(length * rng.uniform(0.6, 1.0)) for length in photo.size]
    left, top = (
        int(rng.integers(whole - part + 1)) for whole, part in zip(photo.size, side, strict=True)
    )
    photo = photo.crop((left, top, left + side[0], top + side[1]))
    photo = ImageOps.fit(photo, size, Image.Resampling.BICUBIC)
    grain = rng.normal(scale=GRAIN, size=(size[1], size[0], 1)).astype(np.float32)
    return Image.fromarray((np.asarray(photo) + grain).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
