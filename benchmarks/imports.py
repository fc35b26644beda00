"""Which modules a command loads, and what they cost: `-X importtime`, heaviest packages first.

    python benchmarks/imports.py [--library DIR] [--top 12]

Without a library, one of a single text is made with the built-in model. Times of imports are by the
clock, of one run; a package's is that of its own modules, without what they load in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CLI = [sys.executable, "-m", "retrieval.cli"]
LINE = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)$", re.MULTILINE)
RUNS = 5


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a command loads: modules, and seconds by package; and its CPU seconds."""

    modules: int
    seconds: dict[str, float]
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=None)
    parser.add_argument("--top", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = asked.library or small_library(Path(folder))
        print(f"Python {sys.version.split()[0]}, CPU seconds: median of {RUNS} runs")
        commands = {
            "--help": ["--help"],
            "info": ["info", "--library", str(library)],
            "search": ["search", "a dog", "--library", str(library)],
        }
        for name, arguments in commands.items():
            loaded = measured(arguments)
            print(json.dumps({name: vars(loaded)}) if asked.json else told(name, loaded, asked.top))


def small_library(folder: Path) -> Path:
    """Index one text."""
    (folder / "a.txt").write_text("A dog runs.", encoding="utf-8")
    library = folder / "library"
    arguments = ["index", str(folder / "a.txt"), "--library", str(library)]
    subprocess.run([*CLI, *arguments], check=True, capture_output=True)
    return library


def measured(arguments: list[str]) -> Loaded:
    """Run a command for its imports, and then without that for its time."""
    traced = [CLI[0], "-X", "importtime", *CLI[1:], *arguments]
    said = subprocess.run(traced, check=False, capture_output=True, text=True).stderr
    lines = LINE.findall(said)
    seconds: Counter[str] = Counter()
    for own, _, module in lines:
        seconds[module.partition(".")[0]] += int(own) / 1e6
    cpu = median(cpu_seconds([*CLI, *arguments]) for _ in range(RUNS))
    return Loaded(modules=len(lines), seconds=dict(seconds.most_common()), cpu=cpu)


def cpu_seconds(argv: list[str]) -> float:
    """Return the seconds of all cores that a command takes."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def told(name: str, loaded: Loaded, top: int) -> str:
    """Write the heaviest packages, one a line."""
    heaviest = list(loaded.seconds.items())[:top]
    total = sum(loaded.seconds.values())
    head = f"\n{name}: {loaded.cpu:.2f} s of CPU, {loaded.modules} modules in {total:.2f} s"
    return "\n".join([head, *(f"  {seconds:6.3f} s  {package}" for package, seconds in heaviest)])


if __name__ == "__main__":
    main()
