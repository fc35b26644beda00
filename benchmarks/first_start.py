"""What a person waits for at the very first start, with the model that ships.

    python benchmarks/first_start.py --photos DIR [--count 16] [--runs 3]

Each run has a cache and a library of its own, both empty: the first index of the first `count`
photos of DIR by name, the first search, a later one, and the first search with an instruction. Each
is a process of its own, `python -m retrieval.cli`, timed from its start to its end. Prints one JSON
object with the median of the runs: seconds of the clock, and of the processor with all child
processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SEARCH = ("search", "a dog", "--threshold", "0", "-f")


def main() -> None:
    """Run the commands, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    photos = sorted(options.photos.glob("*.jpg"))[: options.count]
    commands = {
        "first index": ("index", *map(str, photos)),
        "first search": SEARCH,
        "later search": SEARCH,
        "first search with an instruction": (*SEARCH, "--instruct", "no people"),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as home:
            for name, arguments in commands.items():
                taken[name].append(timed(Path(home), arguments))
    print(
        json.dumps(
            {
                name: {"seconds": median(wall), "CPU seconds": median(cpu)}
                for name, runs in taken.items()
                for wall, cpu in [zip(*runs, strict=True)]
            },
            indent=1,
        )
    )


def timed(home: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Run a command; return seconds of the clock, and of the processor."""
    folders = {"TWINLENS_CACHE": str(home / "cache"), "TWINLENS_LIBRARY": str(home / "library")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "retrieval.cli", *arguments]
    subprocess.run(command, env=os.environ | folders, capture_output=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(wall, 2), round(cpu, 2)


if __name__ == "__main__":
    main()
