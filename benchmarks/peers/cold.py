"""What one `search "words"` costs from a standing start, on a library of 100,000 photos.

    python benchmarks/peers/cold.py --work DIR [--rows 100000]

twinlens and rclip hold the same vectors and answer in turn, each in a process of its own; files
come from memory. CPU seconds are of all cores. Peak memory is what the system counts for the
process, with the pages of files that it maps.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from measure import Command, Row, as_json, machine, ratios, run, show
from prepare import HERE, say, with_work, work_of
from tools import Rclip, Twinlens

QUERY = "a dog running on the beach"
BUILTIN = "twinlens, its own model"
FORMATS = {
    "CPU s": "{:.2f}",
    "of rclip's CPU": "{:.2f}×",
    "wall s": "{:.2f}",
    "peak MB": "{:.0f}",
    "of rclip's peak": "{:.2f}×",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    with_work(parser)
    parser.add_argument("--rows", type=int, default=100_000)
    asked = parser.parse_args()
    work = work_of(asked)
    twinlens, rclip = Twinlens(work), Rclip(work)
    commands = prepared(twinlens, rclip, asked.rows)
    about = f"{work.arch}, random weights; {twinlens.version}; {rclip.version}"
    print(f'{machine()}\n{about}\n\n{asked.rows:,} photos, "{QUERY}"\n')
    rows = compared(commands, asked.repeats)
    show(rows, formats=FORMATS)
    if asked.json:
        print(as_json("cold search", rows, {"machine": machine(), "about": about}))


def prepared(twinlens: Twinlens, rclip: Rclip, rows: int) -> dict[str, Command]:
    """Build the libraries unless they are there; return what asks them."""
    home = twinlens.work.folder / "cold"
    ours, builtin = home / f"{twinlens.work.arch}-{rows}", home / f"builtin-{rows}"
    theirs = home / f"rclip-{twinlens.work.arch}-{rows}"
    photos = home / "photos"  # rclip answers about the folder it runs in
    photos.mkdir(parents=True, exist_ok=True)
    size = ["--rows", str(rows), "--photos", str(photos)]
    if not ours.exists():
        blank = twinlens.blank(twinlens.work.arch, twinlens.spec)
        build(blank, ours, *size, "--rclip", str(theirs))
    if not builtin.exists():
        build(twinlens.blank("builtin", "builtin"), builtin, *size)
    return {
        twinlens.name: twinlens.command("search", QUERY, "--library", str(ours)),
        BUILTIN: twinlens.command("search", QUERY, "--library", str(builtin)),
        rclip.name: rclip.command(photos, theirs, "--no-indexing", QUERY),
    }


def build(blank: Path, out: Path, *more: str) -> None:
    """Make a library in a process of its own."""
    say(f"building {out}")
    script = [sys.executable, str(HERE / "libraries.py"), "--blank", str(blank)]
    run(Command(argv=[*script, "--out", str(out), *more], own=True))


def compared(commands: dict[str, Command], repeats: int) -> list[Row]:
    """Ask in turn, once to warm up and then so often."""
    measured: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(repeats + 1):
        for name, command in commands.items():
            cost = run(command)
            if number:
                measured[name]["CPU s"].append(cost.cpu)
                measured[name]["wall s"].append(cost.wall)
                measured[name]["peak MB"].append(cost.peak / 1e6)
    theirs = measured[Rclip.name]
    for name, found in measured.items():
        if name != Rclip.name:
            found["of rclip's CPU"] = ratios(found["CPU s"], theirs["CPU s"])
            found["of rclip's peak"] = ratios(found["peak MB"], theirs["peak MB"])
    return [Row(name=name, values=found) for name, found in measured.items()]


if __name__ == "__main__":
    main()
