"""Draw docs/page.webp: the page of `twinlens serve` with photos of the demo.

    python scripts/screenshot.py [--query WORDS] [--out docs/page.webp] [--width 1280] [--dark]

The photos come with scikit-image and scikit-learn; data/demo/photos.jsonl has their licences. It
needs the extras `serve` and `demo`, playwright, and Chromium (its path in CHROMIUM, or on PATH).
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import sync_playwright

PHOTOS = (
    *(f"skimage/data/{name}" for name in ("astronaut.png", "camera.png", "chelsea.png")),
    *(f"skimage/data/{name}" for name in ("coffee.png", "coins.png", "horse.png")),
    *(
        f"skimage/data/{name}"
        for name in (
            "hubble_deep_field.jpg",
            "moon.png",
            "motorcycle_left.png",
            "motorcycle_right.png",
            "rocket.jpg",
        )
    ),
    *(f"sklearn/datasets/images/{name}" for name in ("china.jpg", "flower.jpg")),
)
"""Of the demo's photos those that are photographs of things, and neither textures nor cells."""

TWINLENS = (sys.executable, "-m", "retrieval.cli")
HEIGHT = 720
QUALITY = 82


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--query", default="a motorcycle")
    parser.add_argument("--out", type=Path, default=Path("docs/page.webp"))
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = indexed(Path(folder))
        server = subprocess.Popen(
            [*TWINLENS, "serve", "--library", library, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            address = address_of(server)
            picture = drawn(f"{address}?{urlencode({'q': options.query})}", options)
        finally:
            server.terminate()
            server.wait()
    Image.open(io.BytesIO(picture)).save(options.out, quality=QUALITY, method=6)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")


def indexed(folder: Path) -> Path:
    """Copy the photos, index them, and return the library."""
    photos = folder / "photos"
    photos.mkdir()
    for name in PHOTOS:
        package, _, inside = name.partition("/")
        found = find_spec(package)
        if found is None or found.origin is None:
            raise SystemExit(f"no package {package}; install it with: pip install 'twinlens[demo]'")
        shutil.copy(Path(found.origin).parent / inside, photos)
    library = folder / "photos.lib"
    subprocess.run([*TWINLENS, "index", photos, "--library", library], check=True)
    return library


def address_of(server: subprocess.Popen[str]) -> str:
    """Wait for the line that names the address, and return it."""
    assert server.stdout is not None
    for line in server.stdout:
        if "http://" in line:
            return "http://" + line.split("http://")[1].split(";")[0].split()[0]
    raise SystemExit("the server ended before it named its address")


def drawn(address: str, options: argparse.Namespace) -> bytes:
    """Open a page, wait until all its pictures stand, and return it as a PNG."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": options.width, "height": HEIGHT},
            color_scheme="dark" if options.dark else "light",
            reduced_motion="reduce",
        )
        page.goto(address)
        page.wait_for_selector(".tile img.loaded")
        page.wait_for_function("() => !document.querySelector('.tile img:not(.loaded)')")
        picture = page.screenshot()
        browser.close()
    return picture


if __name__ == "__main__":
    main()
