"""What a library does when its disk changes a bit, or cuts a file.

    python benchmarks/flips.py [--flips 2000] [--cuts 50] [--seed 0] [--lists] [--mended 0.2]

Makes a small library of drawn photos with metadata, texts, image tokens and learned names. Then it
flips random bits, one at a time: half of them anywhere in the library, half in a file drawn first,
so that small files are hit, too. And it cuts each file at random lengths. `--lists` gives the
library indexes of lists instead of exact ones. After each damage a process of its own asks the
library all it knows, then `check`, then lets `repair` and an index run mend a share of what was
found, under a limit of memory and time. Prints one JSON object that counts, by file:

| outcome | meaning |
|---|---|
| found | `check` names it; after repair and one index run all is there again, and whole |
| harmless | `check` finds nothing, and all answers are the same |
| unnoticed | `check` finds nothing, and an answer changed: must be 0 |
| not mended | `check` finds it; after repair and index something is missing: 0 but for names |
| beyond mending | the catalog is cut where it names its model and folders: index anew |
| traceback | an exception that is none of ours, or a warning of Python: must be 0 |
| hang, memory | a process took 60 s, or 4 GB: must be 0 |
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import faiss
import numpy as np

from indexer.core.encoder import TokenShape
from indexer.core.errors import LibraryDamaged, TwinlensError
from indexer.core.types import Hubness, Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check, repair
from indexer.vectors.nprobe_tuning import RecallTarget
from retrieval.concepts import Concept, Concepts
from retrieval.search import Searcher
from tests.fakes import COLOURS, ColourEncoder, draw

SECONDS = 60
BYTES = 4 << 30
SHAPE = TokenShape(tokens=2, width=8)
_PAIRS = [f"{first} {second}" for first, second in product(COLOURS, COLOURS)]
ENCODER = ColourEncoder(
    generic={
        Kind.PHOTO: tuple(_PAIRS + [f"{pair} {pair} red" for pair in _PAIRS]),
        Kind.TEXT: tuple(_PAIRS + [f"blue {pair}" for pair in _PAIRS]),
    },
    hubness=Hubness(),
)
OPTIONS = IndexOptions(threads=1)


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One change of one file: a bit that flips, or a length that it is cut to."""

    path: str
    bit: int | None = None
    length: int | None = None

    def inflict(self, folder: Path) -> None:
        """Change the file."""
        path = folder / self.path
        data = bytearray(path.read_bytes())
        if self.bit is None:
            data = data[: self.length]
        else:
            data[self.bit // 8] ^= 1 << self.bit % 8
        path.write_bytes(data)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one damage."""

    damage: Damage
    name: str
    told: str = ""

    @property
    def is_bad(self) -> bool:
        """Tell whether it must not be. Nothing else holds a learned name: it is only found."""
        if self.name == "not mended":
            return not self.damage.path.startswith("concepts/")
        return self.name not in ("found", "harmless", "beyond mending")


def make_library(home: Path, *, lists: bool = False) -> Path:
    """Make a library below a folder; its photos lie beside it."""
    photos = home / "photos"
    for number, (first, second) in enumerate(product(list(COLOURS)[:5], list(COLOURS)[:6])):
        path = draw(photos / f"{first}-{second}.jpg", first, second, size=(16, 16))
        _describe(path, number)
    for number in range(4):
        lines = [f"{pair} number {number}\n\n" for pair in _PAIRS[number * 9 : number * 9 + 5]]
        (photos / f"notes{number}.txt").write_text("".join(lines))
    folder = home / "library"
    with Library.create(folder, ENCODER) as library:
        if lists:
            library.tune(RecallTarget(recall=0.98, exact_rows=0))
        index_folders(library, ENCODER, [photos], options=OPTIONS)
        draw(photos / "late.png", "purple", "white", size=(16, 16))
        (photos / "notes0.txt").unlink()
        index_folders(library, ENCODER, [photos], options=OPTIONS)
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        tokens = np.random.default_rng(0).normal(size=(len(ids), SHAPE.tokens, SHAPE.width))
        library.keep_tokens(ids, tokens.astype(np.float32))
    for name in ("Rex", "Mia"):
        vectors = np.random.default_rng(1).normal(size=(2, 12)).astype(np.float32)
        told = {"like": "a dog", "model": "colours", "fingerprint": ENCODER.fingerprint}
        Concepts(folder).save(Concept(name=name, tokens=vectors, photos=3, steps=5, seed=0, **told))
    return folder


def _describe(path: Path, number: int) -> None:
    """Write a caption, keywords, a rating and a date beside a photo."""
    path.with_suffix(".jpg.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmp:Rating="{number % 5 + 1}" xmp:CreateDate="2019-0{number % 9 + 1}-11T10:11:12">'
        f"<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>harbour {number} at dawn</rdf:li>"
        "</rdf:Alt></dc:description><dc:subject><rdf:Bag><rdf:li>holiday</rdf:li>"
        f"<rdf:li>tag{number % 7}</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"
        "</x:xmpmeta>"
    )


def answers(folder: Path) -> list[Any]:
    """Ask a library all it knows."""
    said: list[Any] = []
    with Library.open(folder) as library:
        searcher = Searcher(library, ENCODER)
        asked = ("red", "harbour dawn", "tag:holiday", "blue after:2019-03", "number", "in:photos")
        for text, kind in product(asked, Kind):
            said.append([repr(hit) for hit in searcher.search(text, kind=kind, top=0)])
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        said.append([repr(kept) for kept in library.patch_tokens.read(ids, SHAPE)])
        said.append([library.score(ENCODER.encode_texts(["green"]), Kind.PHOTO, ids).tolist()])
        said.append([repr(record) for record in library.records(list(range(200)))])
        info = library.info()
        said.append([repr(info.folders), repr(info.described), info.photos, info.texts])
        said.append([repr(library.normalizer.moments(*pair)) for pair in product(Kind, Kind)])
    concepts, skipped = Concepts(folder).read()
    said.append([repr(concept) for concept in concepts])
    if skipped:
        raise LibraryDamaged(skipped[0].path, skipped[0].reason, "learn it again")
    return said


def found(folder: Path) -> list[str]:
    """Return what `check` finds, as its command does."""
    told = [f"{finding.path.name}: {finding.fault}" for finding in check(folder)]
    return told + [f"{skip.path.name}: {skip.reason}" for skip in Concepts(folder).read()[1]]


def damages(folder: Path, *, flips: int, cuts: int, seed: int) -> Iterator[Damage]:
    """Draw what happens to the files of a library."""
    rng = np.random.default_rng(seed)
    sizes = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size
    }
    names, weights = list(sizes), np.array(list(sizes.values()), dtype=np.float64)
    for number in range(flips):
        share = weights / weights.sum() if number % 2 else None
        name = names[rng.choice(len(names), p=share)]
        yield Damage(path=name, bit=int(rng.integers(8 * sizes[name])))
    for name, _ in product(names, range(cuts)):
        yield Damage(path=name, length=int(rng.integers(sizes[name])))


class Bench:
    """A library that is damaged again and again."""

    shape = SHAPE

    def __init__(self, home: Path, *, lists: bool = False, mended: float = 1.0) -> None:
        self.folder = make_library(home, lists=lists)
        self._kept = home / "kept"
        shutil.copytree(self.folder, self._kept)
        self._whole = answers(self.folder)
        self._share, self._drawn = mended, np.random.default_rng(0)

    def restore(self) -> None:
        """Make the library whole again."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._kept, self.folder)

    def judge(self, damage: Damage) -> Outcome:
        """Inflict a damage on the whole library, and see what becomes of it."""
        self.restore()
        damage.inflict(self.folder)
        is_mended = self._drawn.random() < self._share
        name, told = _apart(lambda: self._outcome(is_mended=is_mended))
        return Outcome(damage=damage, name=name, told=told)

    def _outcome(self, *, is_mended: bool) -> tuple[str, str]:
        """Ask, check and mend."""
        try:
            said: list[Any] | None = answers(self.folder)
            refusal = ""
        except TwinlensError as error:
            said, refusal = None, str(error)
        try:
            faults = found(self.folder)
        except TwinlensError as error:
            faults = [str(error)]
        if not faults:
            same = said == self._whole
            return ("harmless", "") if same else ("unnoticed", refusal or self._difference(said))
        left = self._mended() if is_mended else ""
        if "it cannot be repaired; keep the folder" in left:
            return "beyond mending", left
        return ("not mended", f"{faults} -> {left}") if left else ("found", str(faults))

    def _mended(self) -> str:
        """Repair and index again; say what is still wrong."""
        try:
            repair(self.folder)
        except TwinlensError as error:
            return f"repair: {error}"
        with Library.open(self.folder) as library:
            if not library.info().folders:
                return "it forgot its folders"
            index_folders(library, ENCODER, library.info().folders, options=OPTIONS)
            counts = library.counts()
        if faults := found(self.folder):
            return f"left: {faults}"
        return "" if list(counts.values()) == [31, 15] else f"it holds {counts}"

    def _difference(self, said: list[Any] | None) -> str:
        """Name the first answer that differs."""
        pairs = zip(said or [], self._whole, strict=False)
        return next((f"{one} != {other}"[:2000] for one, other in pairs if one != other), "")


def _apart(ask: Any) -> tuple[str, str]:
    """Run in a process of its own, with limits."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        most = _address_space() + BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        signal.alarm(SECONDS)
        faiss.omp_set_num_threads(1)  # the threads that this process had are not in its fork
        warnings.simplefilter("error")
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that counts
        try:
            told = ask()
        except MemoryError:
            told = ("memory", traceback.format_exc())
        except BaseException:  # noqa: BLE001 - that is what is looked for
            told = ("traceback", traceback.format_exc())
        with os.fdopen(writing, "w", errors="replace") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if text:
        name, told = json.loads(text)
        return name, told
    return ("hang", "") if status == -signal.SIGALRM else ("traceback", f"ended with {status}")


def _address_space() -> int:
    """Return the bytes of addresses that this process has: libraries such as torch take many."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def main(arguments: Sequence[str] | None = None) -> None:
    """Damage a library, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--mended", type=float, default=0.2)
    options = parser.parse_args(arguments)
    for ending in (signal.SIGINT, signal.SIGTERM):  # what was counted until then is printed
        signal.signal(ending, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), lists=options.lists, mended=options.mended)
        drawn = damages(bench.folder, flips=options.flips, cuts=options.cuts, seed=options.seed)
        counts: dict[str, Counter[str]] = {}
        with suppress(KeyboardInterrupt, BrokenPipeError, ValueError):
            for damage in list(drawn):
                outcome = bench.judge(damage)
                counts.setdefault(damage.path, Counter())[outcome.name] += 1
                if outcome.is_bad:
                    print(outcome, file=sys.stderr, flush=True)
    total = sum(counts.values(), Counter[str]())
    print(json.dumps({"total": total, "files": counts}, indent=1))


if __name__ == "__main__":
    main()
