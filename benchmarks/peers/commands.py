"""What whole commands cost, start and end included: twinlens and rclip with the same weights.

    python benchmarks/peers/commands.py --work DIR [--count 400] [--rows 100000]

Each round, each tool makes a library of 16 photos and one of `--count`, adds 16 photos to the
second, and searches it; then both search `--rows` vectors without photos. Every command is a
process of its own; files come from memory, and the model is known. rclip's indexing ends with a
search, so twinlens is shown alone and with one. CPU seconds are of all cores. Peak memory is what
the system counts for the largest process, with the pages of files that it maps.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from measure import Command, Cost, Row, as_json, machine, ratios, run, show
from prepare import FEW, HERE, Work, make_photos, say, with_work, work_of
from tools import Rclip, Twinlens

QUERY = "a dog running on the beach"
BUILTIN = "the same, built-in model"
Costs = dict[str, list[Cost]]
"""What a tool's commands took, by what they did, one for each round."""

FORMATS = {
    "CPU s": "{:.2f}",
    "rclip's": "{:.2f}",
    "of its CPU": "{:.2f}×",
    "wall s": "{:.2f}",
    "of its wall": "{:.2f}×",
    "peak MB": "{:.0f}",
    "of its peak": "{:.2f}×",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    with_work(parser)
    parser.add_argument("--count", type=int, default=400, help="photos of 500 pixels")
    parser.add_argument("--rows", type=int, default=100_000, help="vectors of the large library")
    asked = parser.parse_args()
    work = work_of(asked)
    twinlens, rclip = Twinlens(work), Rclip(work)
    make_photos(work, "500px", asked.count + FEW, asked.photos)
    twinlens.blank(work.arch, twinlens.spec)  # the model is known then
    cold = prepared(twinlens, rclip, asked.rows)
    about = f"{work.arch}, random weights; {twinlens.version}; {rclip.version}"
    print(f"{machine()}\n{about}\n")
    ours: Costs = defaultdict(list)
    theirs: Costs = defaultdict(list)
    for number in range(asked.repeats):
        say(f"round {number + 1} of {asked.repeats}, load {os.getloadavg()[0]:.1f}")
        for tool, found in ((twinlens, ours), (rclip, theirs)):
            for name, cost in one_round(tool, work):
                found[name].append(cost)
        for name, (own, other) in cold.items():
            ours[name].append(run(own))
            theirs[name].append(run(other))
        if number + 1 < asked.repeats:
            show(lines(ours, theirs, asked.count), formats=FORMATS)  # so far
    rows = list(lines(ours, theirs, asked.count))
    show(rows, formats=FORMATS)
    print(per_photo(ours, theirs, asked.count))
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    if asked.json:
        print(as_json("whole commands", rows, {"machine": machine(), "about": about}))


def one_round(tool: Twinlens | Rclip, work: Work) -> Iterator[tuple[str, Cost]]:
    """Run a tool's commands once, and yield what each did and took."""
    photos = sorted(work.photos("500px").iterdir())
    home, folder = fresh(work, photos[:FEW])
    yield "new16", run(tool.index(folder, home))
    yield "search16", run(tool.search(home, QUERY))
    home, folder = fresh(work, photos[:-FEW])
    yield "new", run(tool.index(folder, home))
    link(photos[-FEW:], folder)
    yield "more16", run(tool.index(folder, home))
    yield "search", run(tool.search(home, QUERY))


def fresh(work: Work, photos: list[Path]) -> tuple[Path, Path]:
    """Return an empty home for a library, and a folder of photos beside it."""
    run_folder = work.folder / "run"
    shutil.rmtree(run_folder, ignore_errors=True)
    home, folder = run_folder / "home", run_folder / "photos"
    home.mkdir(parents=True)
    folder.mkdir()
    link(photos, folder)
    return home, folder


def link(photos: list[Path], folder: Path) -> None:
    """Put photos into a folder, without copies."""
    for photo in photos:
        os.link(photo, folder / photo.name)


def prepared(twinlens: Twinlens, rclip: Rclip, rows: int) -> dict[str, tuple[Command, Command]]:
    """Build the large libraries unless they are there; return what asks twinlens and rclip."""
    home = twinlens.work.folder / "cold"
    ours, builtin = home / f"{twinlens.work.arch}-{rows}", home / f"builtin-{rows}"
    theirs = home / f"rclip-{twinlens.work.arch}-{rows}"
    photos = home / "photos"  # rclip answers about the folder it runs in
    photos.mkdir(parents=True, exist_ok=True)
    size = ["--rows", str(rows), "--photos", str(photos)]
    if not ours.exists():
        run(rclip.index(photos, theirs))  # makes the database
        blank = twinlens.blank(twinlens.work.arch, twinlens.spec)
        build(blank, ours, *size, "--rclip", str(theirs))
    if not builtin.exists():
        build(twinlens.blank("builtin", "builtin"), builtin, *size)
    other = rclip.search(theirs, QUERY)
    asked = {f"cold search, {rows:,} photos": ours, BUILTIN: builtin}
    return {
        name: (twinlens.command("search", QUERY, "--library", str(library)), other)
        for name, library in asked.items()
    }


def build(blank: Path, out: Path, *more: str) -> None:
    """Make a library in a process of its own."""
    say(f"building {out}")
    script = [sys.executable, str(HERE / "libraries.py"), "--blank", str(blank)]
    run(Command(argv=[*script, "--out", str(out), *more], own=True))


def lines(ours: Costs, theirs: Costs, count: int) -> Iterator[Row]:
    """Yield the table: each command of twinlens beside rclip's of the same round."""
    for name, with_search, shown in SHOWN:
        found = ours[name]
        if with_search:
            searches = ours["search16" if name == "new16" else "search"]
            found = [both(one, other) for one, other in zip(found, searches, strict=True)]
        yield row(shown.format(count), found, theirs[name])
    for name in ours:
        if name not in KEYS:
            yield row(name, ours[name], theirs[name])


SHOWN = (
    ("new16", False, "16 photos, new library"),
    ("new16", True, "the same, then a search"),
    ("new", False, "{} photos, new library"),
    ("new", True, "the same, then a search"),
    ("more16", False, "16 more photos"),
    ("more16", True, "the same, then a search"),
    ("search", False, "cold search, {} photos"),
)
KEYS = frozenset({"new16", "search16", "new", "more16", "search"})


def both(one: Cost, other: Cost) -> Cost:
    """Return what two commands took, one after the other."""
    return Cost(
        wall=one.wall + other.wall,
        cpu=one.cpu + other.cpu,
        peak=max(one.peak, other.peak),
        output=other.output,
    )


def row(name: str, ours: list[Cost], theirs: list[Cost]) -> Row:
    """Return a line of the table."""
    columns = {"cpu": ("CPU s", "of its CPU"), "wall": ("wall s", "of its wall")}
    values: dict[str, list[float]] = {"rclip's": [cost.cpu for cost in theirs]}
    for field, (absolute, relative) in columns.items():
        mine = [getattr(cost, field) for cost in ours]
        values[absolute] = mine
        values[relative] = ratios(mine, [getattr(cost, field) for cost in theirs])
    peaks = [cost.peak / 1e6 for cost in ours]
    values["peak MB"] = peaks
    values["of its peak"] = ratios(peaks, [cost.peak / 1e6 for cost in theirs])
    return Row(name=name, values=values)


def per_photo(ours: Mapping[str, list[Cost]], theirs: Mapping[str, list[Cost]], count: int) -> str:
    """Say what one photo more costs each tool, without start and end."""
    mine, other = (
        [
            1e3 * (many.cpu - few.cpu) / (count - FEW)
            for many, few in zip(found["new"], found["new16"], strict=True)
        ]
        for found in (ours, theirs)
    )
    told = ", ".join(f"{one:.1f} and {two:.1f}" for one, two in zip(mine, other, strict=True))
    return f"CPU ms a photo, twinlens and rclip, each round: {told}"


if __name__ == "__main__":
    main()
