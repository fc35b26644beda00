"""Measure reading text in photos: the words that are read, and what it adds to an index run.

    python benchmarks/picture_text.py PHOTOS [--photos 60] [--seed 0]

Words: eight lines in each of three languages and five fonts, as they are drawn and as a camera sees
them (`tests/drawn_text.py`). CPU: photos of PHOTOS, made as large as a phone's (12 megapixels), are
indexed and then read by the installed commands; seconds are those of the commands and of all their
processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from indexer.core.text_normalization import tokens
from indexer.media.picture_text import read_lines
from tests.drawn_text import FONTS, TEXTS, Style, page, photographed

LARGE = (4032, 3024)


def main() -> None:
    """Print a table of words, then the CPU seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for how in ("drawn", "photographed"):
        shares = [_share_read(how, lang, at) for lang in TEXTS for at in range(len(FONTS))]
        print(
            f"words read, {how}: {np.mean(shares):.4f} (least of {len(shares)}: {min(shares):.4f})"
        )
    _cost(options.folder, options.photos, options.seed)


def _share_read(how: str, language: str, number: int) -> float:
    """Return the share of the words of a page that are read."""
    lines = TEXTS[language]
    dark = {"ink": (235, 235, 240), "paper": (24, 26, 32)} if number == 2 else {}
    image = page(lines, Style(font=FONTS[number], size=30 + 2 * number, **dark))
    if how == "photographed":
        image = photographed(image, seed=number)
    asked = Counter(token for line in lines for token in tokens(line))
    found = Counter(token for line in read_lines(image) for token in tokens(line.text))
    return (asked & found).total() / asked.total()


def _cost(folder: Path, count: int, seed: int) -> None:
    """Index large photos, read them, and print the CPU seconds of both."""
    rng = np.random.default_rng(seed)
    paths = sorted(folder.rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as scratch:
        photos, library = Path(scratch, "photos"), Path(scratch, "library")
        photos.mkdir()
        for number in rng.choice(len(paths), count, replace=False).tolist():
            with Image.open(paths[number]) as photo:
                photo.convert("RGB").resize(LARGE).save(photos / f"{number}.jpg", quality=90)
        warm = Path(scratch, "warm")
        _cpu("index", str(next(photos.iterdir())), "--library", str(warm))
        index = _cpu("index", str(photos), "--library", str(library))
        read = _cpu("read", "--library", str(library))
    print(f"{count} photos of 12 megapixels: index {index:.1f} CPU-s, read {read:.1f} CPU-s")


def _cpu(*command: str) -> float:
    """Run a command; return the CPU seconds of it and of its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "retrieval.cli", *command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
