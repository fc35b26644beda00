"""Photos a second of an index run: twinlens, its peers, and what decoding and encoding allow.

    python benchmarks/peers/index.py --work DIR [--photos FOLDER] [--tools twinlens rclip open_clip]

Each tool indexes the same photos from nothing, in turn, `--repeats` times. A rate is of the photos
beyond the first 16: their time is that of the whole command less that of one on 16 photos, so that
no tool pays for its start. `whole command` is with it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from measure import Command, Cost, Row, as_json, machine, ratios, run, show
from prepare import FEW, HERE, Work, make_photos, say, with_work, work_of
from tools import TOOLS, Loop, Rclip, Tool, Twinlens

Measured = dict[str, dict[str, list[float]]]
"""Repeated measurements by tool and column."""

STAGES = ("decode alone", "encode alone")
"""What `stages.py` measures of twinlens."""

FORMATS = {
    "photos/s": "{:.1f}",
    "twinlens is faster": "{:.2f}×",
    "whole command, photos/s": "{:.1f}",
    "CPU ms a photo": "{:.1f}",
    "peak MB": "{:.0f}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    with_work(parser)
    parser.add_argument("--count", type=int, default=600, help="photos of 500 pixels")
    parser.add_argument("--large", type=int, default=200, help="photos of 12 megapixels")
    parser.add_argument(
        "--tools", nargs="+", choices=TOOLS, default=["twinlens", "rclip", "open_clip"]
    )
    asked = parser.parse_args()
    work = work_of(asked)
    tools = [TOOLS[name](work) for name in asked.tools]
    print(f"{machine()}\n{work.arch}, random weights; " + "; ".join(tool.version for tool in tools))
    for size, count in (("500px", asked.count), ("12mp", asked.large)):
        if count <= FEW:
            continue
        make_photos(work, size, count, asked.photos)
        prepare_twinlens(tools)
        agreement(work, size)
        measured = measure(work, tools, size, asked.repeats)
        title = f"{count} photos of {size}"
        rows = list(lines(measured))
        print(f"\n{title}\n")
        show(rows, formats=FORMATS)
        limits(measured)
        if asked.json:
            print(as_json(title, rows, {"machine": machine(), "arch": work.arch}))


def measure(
    work: Work, tools: Sequence[Tool], size: str, repeats: int, cores: int | None = None
) -> Measured:
    """Run tools and stages in turn, so often."""
    measured: Measured = defaultdict(lambda: defaultdict(list))
    for number in range(repeats):
        for tool in tools:
            say(f"{size}, round {number + 1} of {repeats}: {tool.name}")
            few, all_ = (
                indexed(tool, work.photos(size, few=few), cores=cores) for few in (True, False)
            )
            count = len(list(work.photos(size).iterdir()))
            found = measured[tool.name]
            found["photos/s"].append((count - FEW) / (all_.wall - few.wall))
            found["whole command, photos/s"].append(count / all_.wall)
            found["CPU ms a photo"].append(1e3 * (all_.cpu - few.cpu) / (count - FEW))
            found["peak MB"].append(all_.peak / 1e6)
            say(f"  {found['photos/s'][-1]:.1f} photos/s")
        for tool in tools:
            if isinstance(tool, Twinlens):
                for stage, rate in stages(tool, size, cores).items():
                    measured[stage]["photos/s"].append(rate)
                    say(f"  {stage}: {rate:.1f} photos/s")
    return measured


def prepare_twinlens(tools: Sequence[Tool]) -> None:
    """Let twinlens know the model."""
    for tool in tools:
        if isinstance(tool, Twinlens):
            tool.blank(tool.work.arch, tool.spec)


def agreement(work: Work, size: str) -> None:
    """Index a few photos with each tool, and print whether the vectors are the same."""
    homes = {tool: work.folder / "agreement" / tool.__name__ for tool in (Twinlens, Rclip, Loop)}
    for tool, home in homes.items():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        run(tool(work).index(work.photos(size, few=True), home))
    script = [sys.executable, str(HERE / "agreement.py")]
    ours = ["--library", str(homes[Twinlens] / "library")]
    theirs = ["--rclip", str(homes[Rclip] / "db.sqlite3")]
    loop = ["--loop", str(homes[Loop] / "vectors.npy")]
    print("\n" + run(Command(argv=[*script, *ours, *theirs, *loop], own=True)).output)


def indexed(tool: Tool, photos: Path, *, cores: int | None) -> Cost:
    """Index a folder from nothing."""
    home = tool.work.folder / "run"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    return run(tool.index(photos, home), cores=cores)


def stages(tool: Twinlens, size: str, cores: int | None) -> dict[str, float]:
    """Return photos a second of twinlens' decoding alone, and of its encoding alone."""
    script = [sys.executable, str(HERE / "stages.py"), "--model", tool.spec]
    argv = [*script, "--photos", str(tool.work.photos(size))]
    done = run(Command(argv=argv, own=True), cores=cores)
    rates: dict[str, float] = json.loads(done.output.splitlines()[-1])
    return rates


def lines(measured: Measured) -> Iterator[Row]:
    """Yield the rows of the table: every tool beside twinlens, in the same round."""
    ours = measured.get(Twinlens.name)
    for name, found in measured.items():
        values = dict(found)
        if ours and name not in (Twinlens.name, *STAGES):
            values["twinlens is faster"] = ratios(ours["photos/s"], found["photos/s"])
        yield Row(name=name, values=values)


def limits(measured: Measured) -> None:
    """Compare the whole line with its slower stage, and with both stages on the same cores."""
    if Twinlens.name not in measured:
        return
    line, decode, encode = (measured[name]["photos/s"] for name in (Twinlens.name, *STAGES))
    slower = [min(pair) for pair in zip(decode, encode, strict=True)]
    both = [1 / (1 / one + 1 / other) for one, other in zip(decode, encode, strict=True)]
    against = {
        "the slower stage alone": ratios(line, slower),
        "both stages, one after the other": ratios(line, both),
    }
    rows = [
        Row(name=f"the whole line against {name}", values={"ratio": found})
        for name, found in against.items()
    ]
    show(rows, formats={"ratio": "{:.2f}"})


if __name__ == "__main__":
    main()
