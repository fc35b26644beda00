"""What a command leaves behind that is killed at a random instant.

    python benchmarks/kills.py [--kills 200] [--again 0.25] [--seed 0] [--signal KILL] [COMMAND...]

Makes a small library of drawn photos. Each command runs to its end once, which tells how long it
takes. Then it runs again and again on the same library and is killed after a random share of that
time, until `--kills` runs were killed. A share of the runs is followed by the same command once
more, without a kill. Prints one JSON object that counts, by command:

| outcome | meaning |
|---|---|
| killed | the command had not ended; goes on until there are so many |
| lost | a photo that was committed is not found any more: must be 0 |
| damaged | `check` finds something grave: must be 0 |
| traceback | an exception that is none of ours: must be 0 |
| process | a process of the command still runs after 3 s: must be 0 |
| outside | a file has changed that is neither in the library nor in the result: must be 0 |
| half | a file of the result bears its real name and is not whole: must be 0 |
| not completed | the same command, once more, fails, or leaves something over: must be 0 |
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

import faiss

from indexer.core.encoder import Encoder
from indexer.core.errors import TwinlensError
from indexer.core.types import Kind
from indexer.library.library import Library
from indexer.library.verify import check
from retrieval.cli import main as twinlens
from retrieval.models import load_encoder, registry
from retrieval.runtime import select_encoder
from tests.fakes import COLOURS, GENERIC, ColourEncoder, draw
from tests.tiny import colour_pairs, tiny_model

ENCODERS = {
    name: ColourEncoder(name=name, fingerprint=f"of {name}", generic=GENERIC)
    for name in ("builtin", "other")
}
PAIRS = [f"{first}-{second}.png" for first, second in product(COLOURS, COLOURS)]
FIRST, LATER = PAIRS[:24], PAIRS[24:32]
_SHORTEST = 0.05  # seconds that a command takes
SECONDS = 120  # that a command may take
PATIENCE = 3.0  # seconds until the processes of a killed command have ended
ENDINGS = (0, 3, 4)  # done, done but for skipped files, nothing to do

Judge = Callable[[Path], list[str]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command that writes.

    Attributes:
        arguments: of the command line; `{home}` is the folder of the bench.
        damage: what is wrong with the library before.
        may_lose: photos that it may take from the library, by name.
        is_new: whether there is no library before.
        once: whether it has nothing to do once it is done, and says so as a failure.
        judge: looks at the result, and says what is wrong with it.
    """

    arguments: str
    damage: Callable[[Path], None] | None = None
    may_lose: frozenset[str] = frozenset()
    is_new: bool = False
    once: bool = False
    judge: Judge = lambda _home: []


def cut_an_index(home: Path) -> None:
    """Break a saved index."""
    path = min((home / "library" / "ann").iterdir())
    path.write_bytes(path.read_bytes()[:-9])


def flip_a_path(home: Path) -> None:
    """Break the catalog."""
    path = home / "library" / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    data[data.index(os.fsencode(home / "photos" / FIRST[0]))] ^= 1
    path.write_bytes(data)


def exported(home: Path) -> list[str]:
    """Compare what was exported with the photos."""
    found = list((home / "out").glob("*.png"))
    whole = {path.read_bytes() for path in (home / "photos").iterdir()}
    return [f"{path.name} is half a photo" for path in found if path.read_bytes() not in whole]


def page(home: Path) -> list[str]:
    """Look whether a contact sheet is whole."""
    path = home / "out" / "page.html"
    is_half = path.exists() and not path.read_text().rstrip().endswith("</html>")
    return ["half a contact sheet"] * is_half


def trained(home: Path) -> list[str]:
    """Look whether a model that was written can be loaded."""
    if not (home / "out" / "model.safetensors").exists():
        return []
    try:
        load_encoder(str(home / "out"), "cpu")
    except TwinlensError as error:
        return [str(error)]
    return []


CASES = {
    "index": Case(arguments="index {home}/photos {home}/later"),
    "index anew": Case(arguments="index {home}/photos", is_new=True),
    "index a change": Case(
        arguments="index {home}/photos",
        damage=lambda home: shutil.copy(home / "later" / LATER[0], home / "photos" / FIRST[0]),
    ),
    "reindex": Case(arguments="reindex --model other"),
    "forget": Case(arguments="forget {home}/photos/red-red.png", may_lose=frozenset({FIRST[0]})),
    "move-root": Case(arguments="move-root {home}/photos {home}/moved", once=True),
    "tune": Case(arguments="tune --recall 0.9 --exact-up-to 0"),
    "check --repair": Case(
        arguments="check --repair", damage=flip_a_path, may_lose=frozenset({FIRST[0]})
    ),
    "check --repair of an index": Case(arguments="check --repair", damage=cut_an_index),
    "export": Case(arguments="export red --to {home}/out --top 0 --threshold 0", judge=exported),
    "export --link": Case(arguments="export red --to {home}/out --top 0 --threshold 0 --link"),
    "search --html": Case(arguments="search red --html {home}/out/page.html", judge=page),
    "learn": Case(arguments="learn Rex {home}/photos/red-red.png --like red --model {home}/tiny"),
    "train": Case(
        arguments="train --pairs {home}/pairs/pairs.jsonl --init {home}/tiny --out {home}/out "
        "--epochs 2 --batch-size 14 --captions 2 --device cpu --checkpoint-every 1",
        judge=trained,
    ),
}


class Bench:
    """A library whose commands are killed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("user", "here", "temporary"):
            (home / name).mkdir()
        for folder, names in (("photos", FIRST), ("later", LATER)):
            for name in names:
                draw(home / folder / name, *name[:-4].split("-"), size=(16, 16))
        shutil.copytree(home / "photos", home / "moved")
        shutil.copytree(home / "photos", home / "kept-photos")
        colour_pairs(home / "pairs")
        tiny_model(home / "tiny")
        self._libraries = {name: self._made(name) for name in ("builtin", "tiny")}

    def _made(self, model: str) -> Path:
        """Make the library of a model, to be copied."""
        self.start(f"index {{home}}/photos --model {self._spec(model)}").wait()
        kept = self.home / f"kept-{model}"
        (self.home / "library").rename(kept)
        return kept

    def _spec(self, model: str) -> str:
        """Name a model on the command line."""
        return str(self.home / model) if model == "tiny" else model

    def restore(self, case: Case) -> None:
        """Make all as it was before the command."""
        for name in ("library", "out", "photos"):
            shutil.rmtree(self.home / name, ignore_errors=True)
        shutil.copytree(self.home / "kept-photos", self.home / "photos")
        (self.home / "out").mkdir()
        if not case.is_new:
            model = "tiny" if "{home}/tiny" in case.arguments else "builtin"
            shutil.copytree(self._libraries[model], self.home / "library")
            if case.damage is not None:
                case.damage(self.home)

    def start(self, arguments: str) -> Child:
        """Start a command in a process of its own."""
        return Child(self.home, [part.format(home=self.home) for part in arguments.split()])

    def run(self, case: Case) -> float:
        """Run a command to its end; return how long that took, in seconds."""
        self.restore(case)
        began = time.monotonic()
        child = self.start(case.arguments)
        code = child.wait()
        taken = time.monotonic() - began
        assert code in ENDINGS, child.said()
        return taken

    def kill(
        self, case: Case, seconds: float, sent: signal.Signals, *, again: bool
    ) -> Iterator[tuple[str, str]]:
        """Kill a command after a time; yield what came of it, and what is wrong."""
        self.restore(case)
        before, others = self._held(case), self._others()
        child = self.start(case.arguments)
        time.sleep(seconds)
        if child.end(sent):
            yield "killed", ""
        if "Traceback" in child.said():
            yield "traceback", child.said()
        if child.leaves_processes():
            yield "process", ""
        if self._others() != others:
            yield "outside", str(self._others() ^ others)
        yield from (("half", fault) for fault in case.judge(self.home))
        yield from self._judged(case, before)
        if again:
            yield from (("not completed", fault) for fault in self._completed(case, before))

    def _judged(self, case: Case, before: set[str]) -> Iterator[tuple[str, str]]:
        """Look at the library."""
        folder = self.home / "library"
        if not (folder / "catalog.sqlite").exists():
            return
        grave = [finding for finding in check(folder) if finding.grave]
        if grave and case.damage is None:
            yield "damaged", str(grave)
        lost = before - case.may_lose - self._held(case)
        if lost:
            yield "lost", str(lost)

    def _completed(self, case: Case, before: set[str]) -> Iterator[str]:
        """Run the command again, without a kill."""
        child = self.start(case.arguments)
        code = child.wait()
        if code not in ENDINGS and not (case.once and code == 2):
            yield f"ended with {code}: {child.said()}"
        yield from map(str, self.home.rglob("*.part*"))
        yield from (f"{found.path} {found.fault}" for found in check(self.home / "library"))
        yield from case.judge(self.home)
        lost = before - case.may_lose - self._held(case)
        if lost:
            yield f"lost {lost}"

    def _held(self, case: Case) -> set[str]:
        """Return the photos that a library finds, by name."""
        folder = self.home / "library"
        if not (folder / "catalog.sqlite").exists():
            return set()
        try:
            with Library.open(folder) as library:
                ids = library.catalog.item_ids(Kind.PHOTO).tolist()
                records = library.records(ids)
                assert len(records) == library.counts()[Kind.PHOTO]
        except TwinlensError:
            assert case.damage is not None
            return set()
        return {record.path.name for record in records}

    def _others(self) -> set[tuple[str, int, int]]:
        """Return all files that no command may change: name, size and date."""
        ours = {"library", "out", "cache", "said"}
        found = (path for path in self.home.rglob("*") if path.is_file())
        return {
            (str(path.relative_to(self.home)), path.stat().st_size, path.stat().st_mtime_ns)
            for path in found
            if path.relative_to(self.home).parts[0] not in ours
        }


class Child:
    """A command in a process of its own, made by a fork: nothing has to be imported again."""

    def __init__(self, home: Path, arguments: Sequence[str]) -> None:
        self._mark = f"TWINLENS_CACHE={home / 'cache'}".encode()
        self._said = home / "said"
        self.pid = os.fork()
        if not self.pid:
            _command(home, arguments)

    def end(self, sent: signal.Signals) -> bool:
        """Send a signal and wait; tell whether the command had not ended by itself."""
        os.kill(self.pid, sent)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code in (-sent, 128 + sent)

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def said(self) -> str:
        """Return what it printed."""
        return self._said.read_text(errors="replace") if self._said.exists() else ""

    def leaves_processes(self) -> bool:
        """Tell whether any process that it started still runs after some time."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if not any(map(self._is_ours, Path("/proc").glob("[0-9]*"))):
                return False
            time.sleep(0.02)
        return True

    def _is_ours(self, process: Path) -> bool:
        """Tell whether a process was started by it; what it inherited tells."""
        try:
            return self._mark in (process / "environ").read_bytes()
        except OSError:
            return False


def _command(home: Path, arguments: Sequence[str]) -> NoReturn:
    """Be the command."""
    try:
        os.chdir(home / "here")
        os.environ |= {
            "TWINLENS_LIBRARY": str(home / "library"),
            "TWINLENS_CACHE": str(home / "cache"),
            "HOME": str(home / "user"),
            "TMPDIR": str(home / "temporary"),
        }
        said = os.open(home / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
        registry.load_encoder = _encoder
        select_encoder.quick_encoder = _encoder
        faiss.omp_set_num_threads(1)  # the threads that this process had are not in its fork
        signal.alarm(SECONDS)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        twinlens(list(arguments))
        os._exit(0)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


def _encoder(spec: str = "builtin", *_: object, **__: object) -> Encoder:
    """Return an encoder for colours; the tiny model where it is named."""
    return ENCODERS.get(spec) or load_encoder(spec, "cpu")


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill commands, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=list(CASES), metavar="COMMAND")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--again", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT"), default="KILL")
    options = parser.parse_args(arguments)
    sent = signal.Signals[f"SIG{options.signal}"]
    counts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home))
        for name in options.commands:
            rng, case = random.Random(options.seed), CASES[name]
            taken = max(bench.run(case) for _ in range(2))
            found: Counter[str] = Counter()
            while found["killed"] < options.kills:
                seconds, again = rng.random() * taken, rng.random() < options.again
                found["runs"] += 1
                found["again"] += again
                killed = found["killed"]
                for outcome, told in bench.kill(case, seconds, sent, again=again):
                    found[outcome] += 1
                    if told:
                        print(name, outcome, round(seconds, 4), told, file=sys.stderr, flush=True)
                if found["killed"] == killed:  # the machine is quieter than before
                    taken = max(0.9 * taken, _SHORTEST)
            counts[name] = {"seconds": round(taken, 3), **found}
            print(name, counts[name], file=sys.stderr, flush=True)
    print(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
