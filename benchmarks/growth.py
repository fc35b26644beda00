"""How the cost of a library grows with its size: index, update, search, memory, disk.

    python benchmarks/growth.py --photos 100000 > 100000.json      # one size a run
    python benchmarks/growth.py --photos 100000 --folder 100000    # all in one folder
    python benchmarks/growth.py --plot growth.png 10000.json 100000.json

The library is made up: files of a few bytes in folders of a thousand, with dates, places, cameras
and keywords as photos have them, and random unit vectors of 256 dimensions. The encoder draws its
vectors, so that what is measured is our own part: no figure holds the time of a model. Prints one
JSON object; seconds are of CPU, of this process and those it started, but for those named wall.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from indexer.catalog.changes import FileState
from indexer.core.encoder import Vectors
from indexer.core.types import Hubness, Kind, Metadata
from indexer.ingest.pipeline import index_folders
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.metadata.extract import METADATA_VERSION

DIM, COMMIT = 256, 256
MORE = 100  # photos that are added
THROUGH = 1_000  # photos that go through the whole line, decoding and all
CAMERAS = ("Apple iPhone 12", "Canon EOS R5", "Nikon D750", "Sony ILCE-7M3")
RARE = "Fujifilm X100V"  # of every hundredth photo
FIRST, DAYS = datetime(2010, 1, 1), 3650
PLACES = (("Rome, Italy", 41.9, 12.5), ("Oslo, Norway", 59.9, 10.75), ("Lima, Peru", -12.0, -77.0))

Figures: TypeAlias = dict[str, Any]

DRAWN = {
    "CPU seconds": {
        "index_seconds_1000": "1,000 photos indexed",
        "add_100_seconds": "100 photos more",
        "unchanged_seconds": "nothing changed",
        "cold_query_seconds": "a search, cold",
    },
    "MB": {"unchanged_peak_mb": "nothing changed", "cold_query_peak_mb": "a search, cold"},
}
"""What is drawn, by axis."""


class RandomEncoder:
    """Unit vectors at random; see `indexer.core.encoder.Encoder`."""

    name, fingerprint, dim, image_size, hubness = "random", "f0", DIM, 64, Hubness()

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def vectors(self, rows: int) -> Vectors:
        """Draw unit vectors. Shape (rows, 256)."""
        drawn = self._rng.standard_normal((rows, DIM), dtype=np.float32)
        unit: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return unit

    def bank(self, kind: Kind) -> Vectors:
        """Return a bank as large as the built-in model's. Shape (1000, 256)."""
        del kind
        return self.vectors(1_000)

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed photos."""
        return self.vectors(len(images))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts."""
        return self.vectors(len(texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=10_000, metavar="N")
    parser.add_argument("--folder", type=int, default=1_000, metavar="N", help="photos in each")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep files and library here")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw what other runs printed")
    parser.add_argument("figures", type=Path, nargs="*", metavar="JSON", help="of these runs")
    asked = parser.parse_args()
    if asked.plot:
        draw_growth([json.loads(file.read_text()) for file in asked.figures], asked.plot)
        return
    if asked.home:
        print(json.dumps(measured(asked.home, asked.photos, asked.folder), indent=2))
        return
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(measured(Path(home), asked.photos, asked.folder), indent=2))


def measured(home: Path, count: int, folder: int) -> Figures:
    """Make a library of so many photos, unless it is there, and measure it."""
    figures: Figures = {"photos": count, "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    library, photos = home / "library", home / "photos"
    if not library.exists():
        figures["commit_seconds_1000"] = seconds(lambda: make(home, count, folder)) / count * 1e3
    with Library.open(library) as opened:
        figures["index_seconds_1000"] = through(opened, home) / THROUGH * 1e3
        figures["unchanged_seconds"] = seconds(lambda: update(opened, photos))
        figures["add_100_seconds"] = add(opened, home)
    figures["unchanged_peak_mb"] = peak_of("unchanged", home)
    figures["cold_query_peak_mb"] = peak_of("query", home)
    figures["cold_query_seconds"] = seconds(lambda: peak_of("query", home))
    figures |= bytes_a_photo(library, count)
    return {name: _short(each) for name, each in figures.items()}


def _short(figure: float | int | str) -> float | int | str:
    """Drop digits that mean nothing."""
    return round(figure, 4) if isinstance(figure, float) else figure


def draw_growth(runs: Sequence[Figures], path: Path) -> None:
    """Draw seconds and memory against photos, all axes logarithmic: flat lines do not grow."""
    from matplotlib.figure import Figure  # the runs themselves shall be small

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (label, lines) in zip(figure.subplots(1, 2), DRAWN.items(), strict=True):
        for name, title in lines.items():
            axes.plot(
                [run["photos"] for run in runs], [run[name] for run in runs], "o-", label=title
            )
        axes.set(xscale="log", yscale="log", xlabel="photos", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def make(home: Path, count: int, folder: int) -> None:
    """Commit photos as the index line does, `COMMIT` at a time."""
    encoder = RandomEncoder()
    with Library.create(home / "library", encoder) as library:
        for start in range(0, count, COMMIT):
            numbers = range(start, min(start + COMMIT, count))
            vectors = encoder.vectors(len(numbers))
            files = [
                entry(home / "photos" / f"{number // folder:05}", number, row[None], count)
                for number, row in zip(numbers, vectors, strict=True)
            ]
            library.commit(IndexBatch(entries=files, roots=[home / "photos"] if not start else ()))
        library.refresh_index()


def state_of(path: Path, reader: str) -> FileState:
    """Return the state of a photo as the index line notes it."""
    status = path.stat()
    return FileState(
        path=path,
        kind=Kind.PHOTO,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        digest=blake2b(path.read_bytes(), digest_size=16).digest(),
        reader=reader,
        stamp=f"{METADATA_VERSION} 0",
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
    )


def entry(folder: Path, number: int, vector: Vectors, count: int) -> BatchEntry:
    """Write a file of a few bytes and describe it as the index line would a photo."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"IMG_{number:07}.jpg"
    path.write_bytes(str(number).encode())
    state = state_of(path, reader="growth")
    return BatchEntry(state=state, texts=("",), vectors=vector, about=described(number, count))


def described(number: int, count: int) -> Metadata:
    """Return what a photo says: all have a date, half a position, a few keywords and a caption."""
    place, latitude, longitude = PLACES[number % len(PLACES)]
    placed, told = number % 2 == 0, number % 50 == 7
    return Metadata(
        taken=FIRST + timedelta(days=number * DAYS // count, seconds=number % 86_400),
        latitude=latitude if placed else None,
        longitude=longitude if placed else None,
        place=place if placed else "",
        camera=RARE if number % 100 == 0 else CAMERAS[number % len(CAMERAS)],
        lens="24-70mm F2.8",
        rating=number % 6 or None,
        keywords=("family", "holiday") if told else (),
        caption="Our first evening by the sea" if told else "",
        width=6000 if number % 3 else 4000,
        height=4000 if number % 3 else 6000,
    )


def through(library: Library, home: Path) -> float:
    """Send photos of 500 px through the whole line; return the seconds it took."""
    folder = draw(home / "through", THROUGH)
    taken = seconds(lambda: index_folders(library, RandomEncoder(), [folder]))
    library.forget(folder)
    return taken


def add(library: Library, home: Path) -> float:
    """Return the seconds that 100 photos more take, where their folder alone is walked."""
    folder = draw(home / "more", MORE)
    taken = seconds(lambda: index_folders(library, RandomEncoder(), [folder]))
    library.forget(folder)
    return taken


def draw(folder: Path, count: int) -> Path:
    """Draw photos of 500 x 375 px, no two alike."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 64, (375, 500, 3), dtype=np.uint8)
    for number in range(count):
        light = rng.integers(0, 192, (5, 5, 3), dtype=np.uint8)
        smooth = Image.fromarray(light).resize((500, 375), Image.Resampling.BICUBIC)
        Image.fromarray(np.asarray(smooth) + grain // 2).save(folder / f"{number:04}.jpg")
    return folder


def update(library: Library, photos: Path) -> None:
    """Index what is there already."""
    report = index_folders(library, RandomEncoder(), [photos])
    assert report.unchanged == library.catalog.count(Kind.PHOTO), report


def seconds(action: Callable[[], object]) -> float:
    """Run once and return seconds of CPU, those of processes that it started and ended too."""
    before = sum(_cpu())
    action()
    return sum(_cpu()) - before


def _cpu() -> Iterator[float]:
    """Yield the seconds of CPU of this process and of its children."""
    for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(whose)
        yield from (usage.ru_utime, usage.ru_stime)


TASKS = {
    "unchanged": "update(library, home / 'photos')",
    "query": "library.records([hit.id for hit in library.search(query, Kind.PHOTO, 10)[0]])",
}
"""What a process of its own does with an open library."""


def peak_of(task: str, home: Path) -> float:
    """Run a task in a process of its own; return its peak memory in MB, Python and all (Linux)."""
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from growth import Kind, Library, RandomEncoder, update
home, query = Path({str(home)!r}), RandomEncoder().vectors(1)
with Library.open(home / "library") as library:
    {TASKS[task]}
status = Path("/proc/self/status").read_text()  # getrusage would tell of the parent, too
print(status.partition("VmHWM:")[2].split()[0])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1e3


def bytes_a_photo(library: Path, count: int) -> Figures:
    """Return the bytes a photo of each part of the library."""
    sizes: dict[str, int] = {}
    for path in library.rglob("*"):
        if path.is_file():
            part = path.relative_to(library).parts[0].split(".")[0]
            sizes[part] = sizes.get(part, 0) + path.stat().st_size
    parts = {f"bytes_{part}": sizes.get(part, 0) / count for part in ("catalog", "vectors", "ann")}
    return {**parts, "bytes_a_photo": sum(sizes.values()) / count}


if __name__ == "__main__":
    main()
