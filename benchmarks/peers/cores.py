"""Photos a second against cores, drawn: twinlens, its peers, and twinlens' stages alone.

    python benchmarks/peers/cores.py --work DIR --plot benchmarks/cores.png

The same runs as `index.py` has for photos of 500 pixels, kept on one core, two, and so on.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from statistics import median

from index import FORMATS, Measured, lines, measure, prepare_twinlens
from measure import machine, show
from prepare import make_photos, with_work, work_of
from tools import TOOLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    with_work(parser)
    most = len(os.sched_getaffinity(0))
    powers = [2**power for power in range(most.bit_length())]
    parser.add_argument("--cores", type=int, nargs="+", default=powers)
    parser.add_argument("--count", type=int, default=200, help="photos of 500 pixels")
    parser.add_argument(
        "--tools", nargs="+", choices=TOOLS, default=["twinlens", "rclip", "open_clip"]
    )
    parser.add_argument("--plot", type=Path, required=True)
    asked = parser.parse_args()
    work = work_of(asked)
    tools = [TOOLS[name](work) for name in asked.tools]
    make_photos(work, "500px", asked.count, asked.photos)
    prepare_twinlens(tools)
    print(f"{machine()}\n{work.arch}, random weights; " + "; ".join(tool.version for tool in tools))
    found = {
        cores: measure(work, tools, "500px", asked.repeats, cores=cores) for cores in asked.cores
    }
    for cores, measured in found.items():
        print(f"\n{asked.count} photos of 500px on {cores} cores\n")
        show(lines(measured), formats=FORMATS)
    if asked.json:
        print(json.dumps({"machine": machine(), "cores": found}))
    draw(found, asked.plot)


def draw(found: dict[int, Measured], path: Path) -> None:
    """Draw medians against cores, both axes logarithmic: a straight rise is a perfect one."""
    from matplotlib.figure import Figure  # after all runs: the parent of measured commands is small

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name in next(iter(found.values())):
        rates = [median(measured[name]["photos/s"]) for measured in found.values()]
        style = ":" if name.endswith("alone") else "-"
        axes.plot(list(found), rates, f"o{style}", label=name)
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="photos a second")
    axes.set_xticks(list(found), labels=[str(cores) for cores in found])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
