"""Commands as processes of their own, with what they cost; tables of it; the machine.

Only the standard library is imported here: on Linux a child's peak memory counts from that of its
parent, so what starts the commands must be small.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

THREAD_SETTINGS = re.compile(r"(OMP|MKL|OPENBLAS|ORT|TORCH|VECLIB|NUMEXPR)_.*THREADS")
TAIL = 2_000  # characters of a failed command's last words


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to start, where, and with which additions to the environment."""

    argv: Sequence[str]
    cwd: Path = field(default_factory=Path.cwd)
    env: Mapping[str, str] = field(default_factory=dict)
    own: bool = False  # sees PYTHONPATH, so that twinlens may be run from its repository
    done: tuple[int, ...] = (0,)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a command took: seconds, seconds of all cores, bytes of its largest process."""

    wall: float
    cpu: float
    peak: int
    output: str


def run(command: Command, *, cores: int | None = None) -> Cost:
    """Run a command to its end, on the first `cores` cores alone if a number is given.

    Raises:
        SystemExit: it failed; with its last words.
    """
    with TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*_pinned(cores), *command.argv],
            cwd=command.cwd,
            env=_environment(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode not in command.done:
        raise SystemExit(
            f"{' '.join(command.argv)} ended with {process.returncode}:\n{said[-TAIL:]}"
        )
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(wall=wall, cpu=cpu, peak=usage.ru_maxrss * 1024, output=said)


def _pinned(cores: int | None) -> list[str]:
    """Return what goes before a command to keep it on some cores."""
    return ["taskset", "-c", f"0-{cores - 1}"] if cores else []


def _environment(command: Command) -> dict[str, str]:
    """Let each tool choose its threads from the cores it sees, and look for nothing on a hub.

    Compiled modules are kept, as those of an installed package are.
    """
    left = {name: value for name, value in os.environ.items() if not THREAD_SETTINGS.match(name)}
    left.pop("PYTHONDONTWRITEBYTECODE", None)
    if not command.own:
        left.pop("PYTHONPATH", None)
    return left | {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"} | dict(command.env)


def machine() -> str:
    """Describe the machine in a line."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    flags = set((re.search(r"^flags\s*: (.*)$", info, re.MULTILINE) or ["", ""])[1].split())
    units = [title for flag, title in _UNITS.items() if flag in flags]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    cores = len(os.sched_getaffinity(0))
    busy = os.getloadavg()[0]
    return (
        f"{name[1] if name else platform.processor()}, {cores} cores, {memory:.0f} GiB, "
        f"{', '.join(units) or 'plain'}; {platform.system()} {platform.release()}; "
        f"load {busy:.1f} at the start"
    )


_UNITS = {"avx512f": "AVX-512", "avx512_bf16": "bf16", "avx512_vnni": "VNNI", "amx_bf16": "AMX"}


def version(python: Path | str, *packages: str) -> str:
    """Return the versions of packages in an environment: "rclip 4.0.8, onnxruntime 1.32.0"."""
    code = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    done = subprocess.run(
        [str(python), "-c", code, *packages], check=True, capture_output=True, text=True
    )
    versions = zip(packages, done.stdout.split(), strict=True)
    return ", ".join(f"{package} {found}" for package, found in versions)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table: whose it is, and repeated measurements by column."""

    name: str
    values: Mapping[str, Sequence[float]]


def show(rows: Iterable[Row], *, formats: Mapping[str, str]) -> None:
    """Print medians and, in brackets, their range as a table in Markdown."""
    print("| |" + "|".join(f" {column} " for column in formats) + "|")
    print("|---" * (len(formats) + 1) + "|")
    for row in rows:
        cells = (_cell(row.values.get(column, ()), form) for column, form in formats.items())
        print(f"| {row.name} | " + " | ".join(cells) + " |")
    print(flush=True)


def _cell(values: Sequence[float], form: str) -> str:
    """Write a median and the range around it."""
    if not values:
        return "–"
    low, middle, high = (form.format(value) for value in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide measurements that were made in the same round."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def as_json(title: str, rows: Iterable[Row], about: Mapping[str, str]) -> str:
    """Return a table with all its measurements as one line of JSON."""
    return json.dumps(
        {"table": title, **about, "rows": {row.name: dict(row.values) for row in rows}}
    )
